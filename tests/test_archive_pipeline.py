"""The archive through Snakemake: a report of it, and own runs beside it."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from solvers.runs.archive import ARCHIVE
from tests.conftest import CATALOGUE, ROOT, copy_project
from tests.pipelines import edited, planned, snakemake_in
from tests.test_archive import TRACKED
from workflow.sweep import Sweep

pytestmark = pytest.mark.pipeline
EXPERIMENTS = ["heat-0.15"]
"""That of the report; the tables of all are in test_readme, figures of others in test_pipeline."""
CHOSEN = ("runs=archive", f"experiments={','.join(EXPERIMENTS)}")
ROWS = {(spec.experiment, spec.method) for spec in Sweep.from_config({"scale": "smoke"}, CATALOGUE).specs}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the project with the archive."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    shutil.copytree(ROOT / ARCHIVE, root / ARCHIVE)
    return root


def test_tables_and_figures_of_the_archive_need_no_training(tree: Path):
    """As in a fresh clone: the tracked files are there, in any order of time."""
    jobs = planned(snakemake_in(tree, *CHOSEN, scale="paper"))
    assert set(jobs) == {"summary", "tables", "figures", "summary_figures", "page"}
    config = {"scale": "paper", "runs": "archive", "experiments": EXPERIMENTS}
    report = tree / "reports" / Sweep.from_config(config, CATALOGUE).name
    table = pd.read_csv(report / "tables/comparison.csv")
    axes = ["experiment", "method", "backend", "numerics"]
    archived = {folder.parts[-5:-1] for folder in TRACKED if folder.parts[-6] == "paper"}
    shown = {row for row in archived if row[0] in EXPERIMENTS and row[:2] in ROWS}
    assert shown == set(table[axes].itertuples(index=False, name=None)) and len(table) == len(shown)
    assert set(table.source) == {"archive"} and set(table.numerics) == {"paper", "strict"}
    for path in (tree / ARCHIVE).rglob("*"):
        os.utime(path)
    assert planned(snakemake_in(tree, *CHOSEN, "-n", scale="paper")) == {}
    fewer = planned(snakemake_in(tree, *CHOSEN, "methods=pinn", "-n", scale="paper"))
    assert fewer["summary"] == 1 and "train" not in fewer


def test_beside_the_archive_only_what_it_lacks_is_trained(tree: Path):
    chosen = ["runs=both", "experiments=heat-0.3", "methods=pinn", "backends=jax", "seeds=[0,1,7]"]
    jobs = planned(snakemake_in(tree, *chosen, "-n", scale="paper"))
    assert jobs["train"] == jobs["summary"] == 1


def test_a_changed_archive_is_refused(tree: Path):
    path = next((tree / ARCHIVE / "paper").rglob("run.json"))
    with edited(path, '"status": "finished"', '"status": "diverged"'):
        done = snakemake_in(tree, "runs=archive", "-n", scale="paper")
    assert done.returncode != 0 and "is not the file that was archived" in done.stdout + done.stderr
