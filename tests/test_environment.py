"""The environment: pins agree, and each part imports only what it may."""

import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain

import pytest
import yaml
from packaging.requirements import Requirement

from tests.conftest import ROOT

HEAVY = ("pydantic", "pandas", "pyarrow", "rich", "yaml", "safetensors", "psutil")


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return dict(re.fullmatch(r"([\w.-]+)==(\S+)", line).groups() for line in lines if re.match(r"[\w.-]+==", line))


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CUDA = ("cuda12", "cuda13")


def direct() -> dict[str, str]:
    """What is asked for in the locked environment, extras of the project's own resolved."""
    extras = {name: wanted for name, wanted in PROJECT["optional-dependencies"].items() if name not in CUDA}
    wanted = [*PROJECT["dependencies"], *chain(*extras.values())]
    return {re.match(r"[\w-]+", text)[0]: text for text in wanted if not text.startswith(PROJECT["name"])}


def test_the_lock_pins_releases_without_a_local_label():
    """Builds for CPU and CUDA have the same pin."""
    assert not [pin for pin in locked().values() if "+" in pin]


def test_pyproject_holds_ranges_and_the_lock_lies_in_them():
    for name, text in direct().items():
        requirement = Requirement(text)
        assert "==" not in text and requirement.specifier
        assert requirement.specifier.contains(locked()[name]), (text, locked()[name])


def test_each_framework_is_an_extra_of_its_own():
    extras = PROJECT["optional-dependencies"]
    assert not {"jax", "torch", "optax"} & {Requirement(text).name for text in PROJECT["dependencies"]}
    assert [Requirement(text).name for text in extras["torch"]] == ["torch"]
    assert [Requirement(text).name for text in extras["jax"]] == ["jax", "optax"]
    assert Requirement(extras["cpu"][0]).extras == {"jax", "torch"}
    for name in CUDA:
        ours, plugin = map(Requirement, extras[name])
        assert (ours.name, ours.extras) == (PROJECT["name"], {"cpu"})
        assert (plugin.name, plugin.extras) == ("jax", {name})


def test_what_is_installed_holds_the_configuration(tmp_path):
    """Files that code looks for beside solvers/ are in the package that ``pip install .`` makes."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("config", "docs", "problems", "solvers", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import setuptools; setuptools.setup(script_args=['-q', 'build_py', '--build-lib', 'made'])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    made = tmp_path / "made"
    for folder in ("config", "solvers", "workflow/templates", "workflow/schemas", "workflow/report"):
        ours = {path.relative_to(tmp_path) for path in (tmp_path / folder).rglob("*") if path.is_file()}
        ours = {path for path in ours if "__pycache__" not in path.parts}
        assert ours and {path for path in ours if not (made / path).exists()} == set()
    assert [path.name for path in (made / "docs").iterdir()] == ["glossary.md"], "the page has its text"


def test_every_direct_dependency_is_locked():
    assert set(direct()) <= set(locked())


def test_conda_environment_has_the_locked_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    packages = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    pins = dict(text.split("==") for text in packages if "==" in text)
    assert pins == {name: locked()[name] for name in direct()}
    assert "-c requirements.txt" in packages


def test_the_environment_installed_is_the_locked_one():
    from importlib.metadata import version

    wrong = {n: (version(n), pin) for n, pin in locked().items() if version(n).partition("+")[0] != pin}
    assert not wrong


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("backend", "absent"), [("torch", ("jax", "jaxlib", "optax")), ("jax", ("torch",))], ids=["torch", "jax"]
)
def test_one_framework_is_enough(backend, absent, tmp_path):
    code = f"""
import sys
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NotInstalled())
from solvers.cli import main
assert main(["list"]) == 0
run = ["run", "heat-0.3", "pinn", "--backend", "{backend}", "--scale", "smoke", "--quiet"]
assert main([*run, "--results", {str(tmp_path)!r}]) == 0
assert "{backend}" in sys.modules
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_the_numerical_core_needs_no_tables_or_configuration(backend):
    """On a machine that has only NumPy, SciPy, SymPy and the framework, a method can still be trained."""
    code = f"""
import sys
for name in {HEAVY!r}:
    sys.modules[name] = None
import problems
from solvers import backends, balancing, randomness, stopwatch
from solvers.model import networks, terms
from solvers.points import samplers, sampling
from solvers.training import history, levels, loop
from solvers.model.networks.base import flatten
from solvers.optimizers.adam import Adam
from solvers.optimizers.lbfgs import Lbfgs
heat = problems.load("heat")
network = networks.load("dense")(width=5, depth=2)
grid, chance = samplers.load("grid")(5), randomness.generator("core", 0, "points")
points = sampling.PointSets([sampling.PointSource(equation, grid, chance) for equation in heat.equations])
model = terms.Model(network, *terms.INPUTS["interval"](heat.lower, heat.upper))
rule = balancing.load("power")({{"residual": 3.0}})
backend = backends.load("{backend}")(model, points.terms(), "float64")
theta = flatten(network.initialise(2, randomness.generator("core", 0, "weights")))
watch = history.Monitor(heat.terms, lambda theta: 0.0, 5, 1e4, stopwatch.Stopwatch())
stages = [levels.Stage("adam", Adam(5)), levels.Stage("lbfgs", Lbfgs(5, 50))]
rng = randomness.generator('core', 0, 'balancing')
made = levels.Backends(backend)
training = loop.train(made, [levels.Level(rule, stages)], theta, watch, rng, points)
assert training.status == "finished" and len(training.stages) == 2
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
