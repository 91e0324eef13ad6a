"""Fixtures: everything that is registered, so that a new problem, method or backend is tested by itself."""

import os
import shutil
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from problems.base import Problem
from solvers import backends
from solvers.assembly import build_backend, initial_parameters
from solvers.backends import Backend
from solvers.balancing import Balancing
from solvers.configuration import Catalogue
from solvers.spec import RunSpec

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = Catalogue()
BACKENDS = backends.names()
METHODS = [
    (experiment, method)
    for experiment in CATALOGUE.names("experiments")
    for method in CATALOGUE.experiment(experiment).methods
]
PAPER_METHODS = [method for method in METHODS if CATALOGUE.experiment(method[0]).in_paper]

COPIED = ("Snakefile", "config", "problems", "solvers", "workflow", "profiles")


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


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """What a test has drawn is gone after it."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(params=BACKENDS)
def backend_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=METHODS, ids="-".join)
def method(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


def smoke_spec(method: tuple[str, str], backend: str, numerics: str = "strict", **options) -> RunSpec:
    """A run of every method at the smoke scale, in float64 unless said otherwise."""
    return CATALOGUE.resolve(*method, backend, numerics, "smoke", **options)


@cache
def _built(text: str) -> tuple[Problem, Backend, np.ndarray]:
    spec = RunSpec.model_validate_json(text)
    problem = spec.build_problem()
    theta = initial_parameters(spec, problem)
    theta = theta + 0.1 * np.random.default_rng(1).standard_normal(theta.shape)
    return problem, build_backend(spec, problem), theta.astype(spec.dtype)


def build(spec: RunSpec) -> tuple[Problem, Backend, np.ndarray]:
    """Problem, backend and parameters of a run, biases moved off zero so that nothing cancels by chance.

    The same for equal specifications, so that JAX compiles each once for all tests.
    """
    problem, backend, theta = _built(spec.model_dump_json())
    return problem, backend, theta.copy()


def coefficients_of(rule: Balancing, terms: Iterable[str], exponents: Mapping[str, float]) -> np.ndarray:
    """The coefficients of one level, three points a term if they are not counted."""
    sizes = terms if isinstance(terms, Mapping) else dict.fromkeys(terms, 3)
    return rule.coefficients(sizes, exponents, np.random.default_rng(0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have to tell beside passing: their property "summary"."""
    for report in terminalreporter.getreports("passed"):
        for name, text in getattr(report, "user_properties", ()):
            if name == "summary":
                terminalreporter.write_line(text)
