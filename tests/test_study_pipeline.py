"""A study through Snakemake: its runs, its report, the start page; and what an addition makes anew: nothing."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, copy_project
from tests.pipelines import make_runs

pytestmark = pytest.mark.pipeline
REPORT = "reports/exponents/smoke+seeds=1"
GIVEN = ("study=exponents", "scale=smoke", "seeds=1")


def call(tree: Path, *command: str) -> str:
    """What a command that must succeed says, on the copy's code."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout + done.stderr


def snakemake(tree: Path, *arguments: str) -> str:
    return call(tree, "snakemake", "--cores", "2", *arguments)


def planned(tree: Path, *config: str) -> dict[str, int]:
    """Jobs by rule of a dry run."""
    shown = snakemake(tree, "-n", "--config", *config)
    return {name: int(count) for name, count in re.findall(r"^(train|summary|tables|page) +(\d+)$", shown, re.M)}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the project with the four runs of the example, one seed each, the last trained by Snakemake,
    and their report."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    make_runs(root, *GIVEN)
    snakemake(root, "--config", *GIVEN)
    return root


def test_a_study_has_its_report(tree: Path):
    summary = pd.read_csv(tree / REPORT / "summary.csv")
    assert list(summary[["supervised", "residual"]].itertuples(index=False, name=None)) == [
        (1, 1), (1, 3), (2, 1), (2, 3),
    ]  # fmt: skip
    assert len(pd.read_csv(tree / REPORT / "tables/points.csv")) == 4
    assert not (tree / REPORT / "tables/verdicts.csv").exists()
    for name in ("maps", "spreads"):
        assert (tree / REPORT / f"figures/heat-0.3/{name}.png").stat().st_size > 5_000
    page = (tree / REPORT / "index.html").read_text()
    assert page.count('<tr id="run-') == 4 and "Which exponents does MMPINN need?" in page
    assert "exponents/smoke%2Bseeds%3D1/index.html" in (tree / "reports/index.html").read_text()


def test_a_point_is_made_by_its_own_command(tree: Path):
    row = pd.read_csv(tree / REPORT / "summary.csv").iloc[-1]
    call(tree, *shlex.split(row.command), "--quiet", "--results", "again")
    ours, again = (
        pd.read_parquet(tree / folder / "history.parquet").drop(columns="seconds")
        for folder in (row.folder, row.folder.replace("results/", "again/", 1))
    )
    pd.testing.assert_frame_equal(ours, again, check_exact=True)


def test_another_seed_makes_the_new_runs_only(tree: Path):
    assert planned(tree, *GIVEN[:2], "seeds=2")["train"] == 4


METHOD = """  exponents-again:
    title: MMPINN once more
    balancing: {name: power}
    levels:
      - stages: [adam, lbfgs]
scales:
"""
ADDED = {
    "config/studies/widths.yaml": """title: Widths
experiments: heat-0.3
methods: mmpinn
backends: torch
seeds: 1
axes:
  - {path: network.width, values: [8, 9]}
""",
    "solvers/points/samplers/again.py": (ROOT / "solvers/points/samplers/sobol.py").read_text(),
    "solvers/balancing/again.py": (ROOT / "solvers/balancing/sum.py").read_text(),
}


@pytest.fixture(scope="module")
def added(tree: Path, tmp_path_factory) -> Path:
    """The same with a method, a study, a sampler and a balancing rule more."""
    root = Path(shutil.copytree(tree, tmp_path_factory.mktemp("added") / "project", symlinks=True))
    for path, text in ADDED.items():
        (root / path).write_text(text)
    experiment = root / "config/experiments/heat-0.3.yaml"
    text = experiment.read_text()
    assert text.count("\nscales:\n") == 1
    experiment.write_text(text.replace("\nscales:\n", f"\n{METHOD}", 1))
    return root


def test_an_addition_makes_no_finished_run_anew(added: Path):
    """Nor is anything made twice without one: what would be is planned here too."""
    assert planned(added, *GIVEN) == {}, "neither a run nor a table of it"


def test_what_was_added_is_run(added: Path):
    assert planned(added, "study=widths", "scale=smoke")["train"] == 2
    assert planned(added, "scale=smoke", "experiments=heat-0.3", "methods=exponents-again")["train"] == 2
    sampler = "--set=points.residual={strategy: again, count: 64}"
    command = ["python", "-m", "solvers", "run", "heat-0.3", "mmpinn", "--backend", "torch", "--scale", "smoke"]
    assert "finished: relative L2 error" in call(added, *command, sampler)
