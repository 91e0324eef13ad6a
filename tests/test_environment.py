"""The environment: pins agree, and each part imports only what it may."""

import re
import subprocess
import sys
import tomllib
from itertools import chain

import pytest
import yaml

from tests.conftest import ROOT

HEAVY = ("pydantic", "pandas", "pyarrow", "rich", "yaml", "safetensors", "psutil")


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return dict(re.fullmatch(r"([\w.-]+)==(\S+)", line).groups() for line in lines if re.match(r"[\w.-]+==", line))


def direct() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *chain(*project["optional-dependencies"].values()),
    ]
    return {re.match(r"[\w-]+", text)[0]: text for text in wanted}


def test_torch_is_pinned_without_a_local_label():
    assert locked()["torch"] == "2.13.0"
    assert direct()["torch"] == "torch==2.13.0"


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


@pytest.mark.parametrize(("backend", "other"), [("torch", "jax"), ("jax", "torch")])
def test_a_run_never_imports_the_other_framework(backend, other, tmp_path):
    code = f"""
import sys
from solvers.cli import main
run = ["run", "heat-0.3", "pinn", "--backend", "{backend}", "--scale", "smoke", "--quiet"]
main([*run, "--results", {str(tmp_path)!r}])
assert "{backend}" in sys.modules
assert "{other}" not in sys.modules
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
from solvers import backends, balancing, networks, training, monitor, sampling, terms, randomness, stopwatch
from solvers.networks.base import flatten
from solvers.optimizers.adam import Adam
from solvers.optimizers.lbfgs import Lbfgs
heat = problems.load("heat")
network = networks.load("dense")(width=5, depth=2)
pieces = [terms.Piece(e.term, e, sampling.sample(e, "grid", 5, None)) for e in heat.equations]
model = terms.Model(network, *terms.INPUTS["interval"](heat.lower, heat.upper))
rule = balancing.load("power")()
backend = backends.load("{backend}")(model, terms.build_terms(pieces), rule, "float64")
theta = flatten(network.initialise(2, randomness.generator("core", 0, "weights")))
watch = monitor.Monitor(heat.terms, lambda theta: 0.0, 5, 1e4, stopwatch.Stopwatch())
levels = [training.Level({{"residual": 3.0}}, [("adam", Adam(5)), ("lbfgs", Lbfgs(5, 50))])]
rng = randomness.generator('core', 0, 'balancing')
assert training.train(backend, levels, theta, watch, rng).status == "finished"
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
