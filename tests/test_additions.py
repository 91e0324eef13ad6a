"""A new optimizer, balancing rule, sampler or grouping is one file, on both backends, and survives kills."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import BACKENDS, ROOT, copy_project
from tests.pipelines import make_runs

ADDITIONS = ROOT / "tests/additions"
FILES = sorted(p.relative_to(ADDITIONS) for p in ADDITIONS.rglob("*") if p.suffix in (".py", ".yaml"))
ADDED = [path for path in FILES if len(path.parts) > 1]
METHODS = ["heavy-ball", "inverse-means", "one-term", "above-mean", "kernel-roots", "survivors", "halves"]


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
        "above_mean.py",
        "inverse_means.py",
        "kernel_roots.py",
        "one_term.py",
        "heavy_ball.py",
        "halves.py",
        "survivors.py",
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_goes_on_to_the_last_bit(made, backend_name, method):
    seen = made[backend_name][method]
    assert seen["status"] == "finished"
    assert seen["restarts"] == 2 and all(seen["exact"])
    assert seen["same"]


@pytest.mark.parametrize("method", ["inverse-means", "above-mean", "kernel-roots"])
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
