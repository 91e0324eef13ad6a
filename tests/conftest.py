"""Fixtures: everything that is registered, so that a new problem, method or backend is tested by itself."""

import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NPROC", "1")  # JAX's threads: see solvers.threads
# Compiled programs are shared by all tests, those in copies of the project and in other processes too.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{Path(__file__).resolve().parent.parent}/.cache/jax-tests")
# Half of the tests' time is XLA at work, and most of that the optimizing of programs that run once: LLVM's passes,
# and fused loops, which XLA makes twice as fast in its older way. Float32, rows of each network and steps of
# optimizers are tested as they are compiled in production: see `compiled_as_in_production`.
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    flags += " --xla_cpu_use_fusion_emitters=false"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cache

import numpy as np
import pytest

import problems
from problems.base import Equation, Problem
from solvers import backends
from solvers.backends import Backend
from solvers.balancing import Balancing
from solvers.balancing.base import State
from solvers.configuration.assembly import build_backend, initial_parameters
from solvers.configuration.catalogue import Catalogue
from solvers.configuration.spec import RunSpec

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = Catalogue()
BACKENDS = backends.names()
SHARED_ON = ("heat-0.3", "poisson-2-50", "klein-gordon-5")


def _of_one_problem(names: Iterable[str]) -> list[str]:
    """All but the experiments of a group whose problem another one has already."""
    tested: list[str] = []
    seen: set[str] = set()
    for name in sorted(names, key=lambda name: CATALOGUE.experiment(name).group is not None):
        entry = CATALOGUE.experiment(name)
        if entry.group is None or entry.problem["name"] not in seen:
            tested.append(name)
        seen.add(entry.problem["name"])
    return sorted(tested)


def _of_other_networks(methods: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of each network that none of ``methods`` has, the first method of any experiment that has it."""
    seen = {_network_of(*method) for method in methods}
    found: dict[str, tuple[str, str]] = {}
    for experiment in CATALOGUE.names("experiments"):
        for method in CATALOGUE.experiment(experiment).methods:
            if (network := _network_of(experiment, method)) not in seen:
                found.setdefault(network, (experiment, method))
    return list(found.values())


def _network_of(experiment: str, method: str) -> str:
    entry = CATALOGUE.experiment(experiment)
    return entry.methods[method].network.get("name", entry.network["name"])


METHODS = [  # those that experiments share: on one of each kind, not on all
    (experiment, method)
    for experiment in _of_one_problem(CATALOGUE.names("experiments"))
    for method in CATALOGUE.experiment(experiment).methods
    if experiment in SHARED_ON or method not in CATALOGUE.names("methods")
]
METHODS += _of_other_networks(METHODS)
PAPER_METHODS = [
    (experiment, method)
    for experiment, method in METHODS
    if CATALOGUE.experiment(experiment).in_paper and CATALOGUE.experiment(experiment).methods[method].in_paper
]

PHYSICS = ("experiment", "problem", "points", "grouping", "inputs", "network", "trial", "chunk_size")
"""All that the terms of a run depend on beside its backend, precision and seed
(:mod:`solvers.configuration.assembly`)."""


def physics_of(spec: RunSpec) -> str:
    """Those settings, as JSON."""
    data = spec.model_dump(mode="json", include=set(PHYSICS))
    return json.dumps([data[name] for name in PHYSICS])


@cache
def _smoke_spec(method: tuple[str, str], backend: str, numerics: str, options: tuple[tuple, ...]) -> RunSpec:
    """A specification takes hundredths of a second, and most are asked for by several tests."""
    return CATALOGUE.resolve(*method, backend, numerics, "smoke", **dict(options))


def smoke_spec(method: tuple[str, str], backend: str, numerics: str = "strict", **options) -> RunSpec:
    """A run of every method at the smoke scale, in float64 unless said otherwise."""
    given = ((name, tuple(value) if isinstance(value, list) else value) for name, value in options.items())
    return _smoke_spec(method, backend, numerics, tuple(given))


def one_of_each(kind: Callable[[RunSpec], Hashable], methods: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first method of each kind."""
    found: dict[Hashable, tuple[str, str]] = {}
    for method in methods:
        found.setdefault(kind(smoke_spec(method, BACKENDS[0])), method)
    return list(found.values())


def dimension_of(spec: RunSpec) -> int:
    """The number of coordinates."""
    return len(problems.load(spec.problem["name"]).coordinates)


def loss_kind(spec: RunSpec) -> tuple:
    """Rules of a run and names of its terms. A loss is the rule's function of the terms: those are tested with
    every physics, and the rules of every method in every namespace (test_balancing)."""
    rules = [level.balancing for level in spec.build_levels()]
    kinds = {(type(rule), rule.pointwise, rule.wants_residuals): None for rule in rules}
    return tuple(kinds), tuple(spec.terms)


def parts_of_the_terms(spec: RunSpec) -> set[tuple]:
    """What the terms depend on: the problem with the trial function, the network (in each number of coordinates,
    with each way to merge its parts), the scaling of the inputs, the grouping, the samplers."""
    return {
        ("equations", spec.problem["name"], spec.trial),
        ("network", spec.network["name"], spec.network.get("merge"), dimension_of(spec)),
        ("inputs", spec.inputs),
        ("grouping", spec.grouping and spec.grouping["name"]),
        *(("points", settings["strategy"]) for settings in spec.points.values()),
    }


def parts_of_the_field(spec: RunSpec) -> set[tuple]:
    """What u and its derivatives depend on: the same but for the equations and their points."""
    return {
        ("network", spec.network["name"], spec.network.get("merge"), dimension_of(spec)),
        ("inputs", spec.inputs),
        ("trial", spec.trial, dimension_of(spec)),
    }


def _of_every_part(
    methods: Iterable[tuple[str, str]], parts_of: Callable[[RunSpec], set[tuple]]
) -> list[tuple[str, str]]:
    """A few methods that together have every part that any of ``methods`` has: always the one with most that is
    new."""
    parts = {method: parts_of(smoke_spec(method, BACKENDS[0])) for method in methods}
    chosen, left = [], set().union(*parts.values())
    while left:
        best = max(parts, key=lambda method: len(parts[method] & left))
        chosen.append(best)
        left -= parts[best]
    return chosen


OF_OTHER_PHYSICS = one_of_each(physics_of, METHODS)
"""One method of all that share terms, points and network, and differ in balancing and stages alone."""
OF_EVERY_PART = _of_every_part(OF_OTHER_PHYSICS, parts_of_the_terms)
OF_EVERY_FIELD = _of_every_part(OF_EVERY_PART, parts_of_the_field)
COMPILING = {"jax"}
"""Backends that compile: a second for each function of each kind of terms, where others take milliseconds."""


def _on_backends(compiled: list[tuple[str, str]]) -> list[tuple[tuple[str, str], str]]:
    """All physics on every backend, but on those that compile the ``compiled`` alone."""
    pairs = [(method, backend) for method in OF_OTHER_PHYSICS for backend in BACKENDS]
    return [(method, backend) for method, backend in pairs if backend not in COMPILING or method in compiled]


PHYSICS_ON, FIELDS_ON = _on_backends(OF_EVERY_PART), _on_backends(OF_EVERY_FIELD)

LONGEST_FIRST = (
    *("test_slurm", "test_pipeline", "test_resume", "test_additions", "test_compiled_terms", "test_faults"),
    *("test_terms", "test_every_method", "test_kubernetes", "test_archive_pipeline", "test_study_pipeline"),
    *("test_training", "test_examples", "test_outdated", "test_archive", "test_jacobian", "test_finished"),
    *("test_campaign", "test_minibatches", "test_optimizers", "test_benchmarks", "test_profiles", "test_readme"),
    *("test_page", "test_types", "test_analysis", "test_documented", "test_start", "test_environment"),
    *("test_bfgs", "test_race", "test_least_squares", "test_run", "test_configuration_broken", "test_figures"),
    *("test_problems", "test_jets", "test_rules", "test_memory", "test_hooks", "test_losses"),
)
"""Files that take longest. A process takes a file at a time: one that began last would leave the other idle."""

COPIED = ("Snakefile", "config", "docs", "problems", "solvers", "workflow", "profiles")


def copy_project(root: Path, checkpoint_interval: float | None = None) -> Path:
    """A copy of all that the pipeline needs, for tests that change it; its runs make checkpoints every so many
    seconds."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    if checkpoint_interval is not None:
        rule = root / "workflow/rules/train.smk"
        before, option, after = rule.read_text().partition(" --time-limit")
        assert option
        rule.write_text(f"{before} --checkpoint-interval {checkpoint_interval}{option}{after}")
    return root


def git(folder: Path, *arguments: str) -> None:
    """A command of git in ``folder``, by an author of its own."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others in their order."""
    places = {name: i for i, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    gc.freeze()  # what is imported by now stays: the collector need not look at it behind every module


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """What a test has drawn is gone after it."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_programs() -> Iterator[None]:
    """JAX keeps every program it has compiled, each in several mappings of memory, of which Linux allows a process
    65,530: test_jacobian alone makes 36,000, and a process without any left dies."""
    yield
    _BUILT.clear()
    if "tests.trial" in sys.modules:
        sys.modules["tests.trial"]._backends.cache_clear()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
        gc.collect()


PRODUCTION = {
    "xla_backend_optimization_level": 3,
    "xla_llvm_disable_expensive_passes": False,
    "xla_cpu_use_fusion_emitters": True,
}
"""XLA's defaults, as options of a compilation."""


@pytest.fixture(scope="module")
def compiled_as_in_production() -> Iterator[None]:
    """JAX's programs are optimized as without the flags above: for the modules whose numbers depend on what the
    compiler makes of a program (float32's rounding, rows, a hundred steps of an optimizer)."""
    import jax

    compile_ = jax.stages.Lowered.compile

    def optimized(lowered: jax.stages.Lowered, compiler_options: Mapping[str, object] | None = None):
        return compile_(lowered, PRODUCTION | dict(compiler_options or {}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.stages.Lowered, "compile", optimized)
        yield


@pytest.fixture(params=BACKENDS)
def backend_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=METHODS, ids="-".join)
def method(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture(params=OF_OTHER_PHYSICS, ids="-".join)
def physics(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A method of each kind of terms, for tests of what neither balancing nor stages can change."""
    return request.param


@pytest.fixture(params=PHYSICS_ON, ids=lambda pair: "-".join((*pair[0], pair[1])))
def physics_on(request: pytest.FixtureRequest) -> tuple[tuple[str, str], str]:
    """The same with a backend; those that compile have every part of a run, not each combination of parts.

    Enough for functions beside the terms themselves, which call the same parts of the model: the terms and their
    gradients are tested with ``physics`` on all backends, and every problem with every network.
    """
    return request.param


@pytest.fixture(params=FIELDS_ON, ids=lambda pair: "-".join((*pair[0], pair[1])))
def field_on(request: pytest.FixtureRequest) -> tuple[tuple[str, str], str]:
    """The same for functions of the field alone, which see nothing of the problem but its coordinates."""
    return request.param


_BUILT: dict[tuple, tuple[Problem, Backend, np.ndarray]] = {}


def build(spec: RunSpec) -> tuple[Problem, Backend, np.ndarray]:
    """Problem, backend and parameters of a run, biases moved off zero so that nothing cancels by chance.

    The same for all runs of the same physics, so that JAX compiles each once for all tests of a file.
    """
    key = physics_of(spec), spec.backend, spec.precision, spec.seed
    if key not in _BUILT:
        problem = spec.build_problem()
        theta = initial_parameters(spec, problem)
        theta = theta + 0.1 * np.random.default_rng(1).standard_normal(theta.shape)
        _BUILT[key] = problem, build_backend(spec, problem), theta.astype(spec.dtype)
    problem, backend, theta = _BUILT[key]
    return problem, backend, theta.copy()


def mismatch_of(
    equation: Equation, derivatives: Callable[[np.ndarray, str], np.ndarray], points: np.ndarray
) -> np.ndarray:
    """What a solution leaves of an equation (N,) at ``points`` (N, d), by the definition, from its
    ``derivatives(points, name)``."""

    def applied(points: np.ndarray) -> np.ndarray:
        given = {name: derivatives(points, name) for name in equation.derivatives}
        return equation.apply(given, list(points.T))

    if equation.opposite is None:
        return applied(points) - equation.target(points)
    across = points.copy()
    for name, value in equation.opposite.items():
        across[:, equation.problem.coordinates.index(name)] = value
    return applied(points) - applied(across)


def state_of(rule: Balancing, terms: Iterable[str]) -> State:
    """The state of a rule at the start of a level, three points a term if they are not counted."""
    sizes = terms if isinstance(terms, Mapping) else dict.fromkeys(terms, 3)
    return rule.init(sizes, np.random.default_rng(0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have to tell beside passing: their property "summary"."""
    for report in terminalreporter.getreports("passed"):
        for name, text in getattr(report, "user_properties", ()):
            if name == "summary":
                terminalreporter.write_line(text)
