"""A new optimizer, balancing rule, sampler or grouping is one file, on both backends, and survives kills."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import torch

from solvers import backends
from solvers.balancing.base import StepObservation
from tests.conftest import BACKENDS, ROOT, copy_project
from tests.pipelines import make_runs

backends.load("jax")  # turns float64 on, whichever tests ran before
ADDITIONS = ROOT / "tests/additions"
FILES = sorted(p.relative_to(ADDITIONS) for p in ADDITIONS.rglob("*") if p.suffix in (".py", ".yaml"))
ADDED = [path for path in FILES if len(path.parts) > 1]
METHODS = ["heavy-ball", "soft-adapt", "pcgrad", "rba", "ntk", "rad", "halves"]
NAMESPACES = {"numpy": (np, np.asarray), "jax": (jnp, jnp.asarray), "torch": (torch, torch.tensor)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the added files, none of which was there."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    for path in ADDED:
        assert not (root / path).exists()
        shutil.copy(ADDITIONS / path, root / path)
    return root


@pytest.fixture(scope="module")
def made(project: Path) -> dict[str, dict[str, dict]]:
    """By backend and method what became of a run: undisturbed, and killed twice."""
    environment, found = os.environ | {"PYTHONPATH": str(project)}, {}
    for backend in BACKENDS:
        command = [sys.executable, str(ADDITIONS / "kill_and_go_on.py"), "additions", backend]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[backend] = {row["method"]: row for row in map(json.loads, done.stdout.splitlines())}
    return found


def test_each_kind_is_one_file():
    assert [path.name for path in ADDED if path.suffix == ".py"] == [
        "ntk.py",
        "pcgrad.py",
        "rba.py",
        "soft_adapt.py",
        "heavy_ball.py",
        "halves.py",
        "rad.py",
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_goes_on_to_the_last_bit(made, backend_name, method):
    seen = made[backend_name][method]
    assert seen["status"] == "finished"
    assert seen["restarts"] == 2 and all(seen["exact"])
    assert seen["same"]


@pytest.mark.parametrize("method", ["soft-adapt", "rba", "ntk"])
def test_weights_do_change(made, backend_name, method):
    weights = np.array(made[backend_name][method]["weights"])
    assert (weights[1] != weights[0]).any() and (weights[2] != weights[1]).any()


@pytest.mark.parametrize("method", METHODS)
def test_both_backends_see_the_same(made, method):
    """The terms of every recorded iterate, after up to 30 iterations."""
    one, other = (made[name][method]["terms"] for name in BACKENDS)
    np.testing.assert_allclose(one, other, rtol=1e-8)


def call(project: Path, *command: str) -> str:
    """What a command that must succeed prints, by the copy's code."""
    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout.strip()


def report_of(project: Path, *config: str) -> str:
    """The folder of the report of a configuration, within the copy."""
    return call(project, sys.executable, "-m", "workflow.sweep", *config)


@pytest.mark.pipeline
def test_added_methods_stand_in_the_tables(project, made):
    """And can be drawn: the whole report is made, of the runs that are there."""
    config = ("experiments=additions", "scale=smoke", "backends=torch", "numerics=strict")
    call(project, "snakemake", "--cores", "2", "--config", *config)
    report = project / report_of(project, *config)
    assert set(pd.read_csv(report / "summary.csv").method) == set(METHODS)
    assert set(pd.read_csv(report / "tables/comparison.csv").method) == set(METHODS)
    assert (report / "index.html").exists()


@pytest.mark.pipeline
def test_an_added_study_has_its_points_in_a_table(project):
    """Its figures would be those of any study with two axes (test_study_pipeline)."""
    make_runs(project, "study=momentum")
    path = f"{report_of(project, 'study=momentum')}/tables/points.csv"
    call(project, "snakemake", "--cores", "2", path, "--config", "study=momentum")
    points = pd.read_csv(project / path)
    assert sorted(points[["momentum", "rate"]].itertuples(index=False, name=None)) == [
        (0.0, 1e-8),
        (0.0, 1e-7),
        (0.9, 1e-8),
        (0.9, 1e-7),
    ]


def added(path: str) -> ModuleType:
    """An added module, by its place."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ADDITIONS / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def seen(values, residuals=()) -> StepObservation:
    return StepObservation(values, None, None, {"residual": residuals}, {})


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_soft_adapts_published_vector(namespace):
    xp, array = NAMESPACES[namespace]
    rule = added("solvers/balancing/soft_adapt.py").SoftAdapt(beta=1.0)
    state = {k: array(v) for k, v in rule.init(dict.fromkeys("abc", 1), np.random.default_rng(0)).items()}
    for values in ([10.0, 1.0, 0.1], [8.0, 0.5, 0.2]):
        state = rule.advance(state, seen(array(np.array(values))), {}, xp)
    expected = [0.2198146980, 0.9851411293, 1.7950441727]
    np.testing.assert_allclose(np.asarray(state["weights"]), expected, rtol=1e-9)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_pcgrads_published_vector(namespace):
    xp, array = NAMESPACES[namespace]
    rule = added("solvers/balancing/pcgrad.py").Pcgrad()
    gradients = array(np.array([[1.0, 2.0, 0.0], [-3.0, 1.0, 1.0]]))
    chance = {name: array(each[0]) for name, each in rule.chance(1, 2, np.random.default_rng(0)).items()}
    direction = rule.direction(gradients, None, {}, chance, xp)
    np.testing.assert_allclose(np.asarray(direction), [-2.0727272727, 3.4909090909, 1.0909090909], rtol=1e-9)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_residual_based_attentions_published_vector(namespace):
    xp, array = NAMESPACES[namespace]
    rule = added("solvers/balancing/rba.py").Rba()
    state = {k: array(v) for k, v in rule.init({"residual": 3}, np.random.default_rng(0)).items()}
    for _ in range(2):
        state = rule.advance(state, seen(None, array(np.array([0.5, -2.0, 1.0]))), {}, xp)
    expected = [0.00049975, 0.001999, 0.0009995]
    np.testing.assert_allclose(np.asarray(state["multiplier.residual"]), expected, rtol=1e-12)


def test_adaptive_points_follow_the_residual():
    """A residual that is zero on one half, without an offset, leaves that half empty; a constant one does not."""
    rad = added("solvers/points/samplers/rad.py").Rad
    lower, upper, rng = np.zeros(2), np.ones(2), np.random.default_rng(0)
    old = np.zeros((200, 2))
    right = rad(200, offset=0.0).refresh(old, lower, upper, lambda x: (x[:, 0] > 0.5) * 1.0, rng)
    assert right.shape == (200, 2) and (right[:, 0] > 0.5).all() and len(np.unique(right[:, 0])) == 200
    even = rad(2000).refresh(np.zeros((2000, 2)), lower, upper, lambda x: np.ones(len(x)), rng)
    assert abs((even[:, 0] > 0.5).mean() - 0.5) < 0.04
