"""Snakemake itself: the whole DAG at the smoke scale, what re-runs it, its report, its messages."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from solvers.archive import ARCHIVE
from solvers.record import FILES
from tests.conftest import CATALOGUE, ROOT, copy_project
from tests.conftest import PAPER_METHODS as METHODS
from tests.test_archive import TRACKED
from workflow.analysis.figures import FIGURES
from workflow.analysis.profiles import CURVES, PROFILES
from workflow.analysis.tables import TABLES

pytestmark = pytest.mark.pipeline
DIVERGING = "heat-0.11"
SPECS = [CATALOGUE.resolve(*method, backend, scale="smoke") for method in METHODS for backend in ("jax", "torch")]
USING = {
    "heat": sum(spec.problem["name"] == "heat" for spec in SPECS),
    "dense": sum(spec.network["name"] in ("dense", "ifnn") for spec in SPECS),
    "power": sum(spec.balancing["name"] == "power" for spec in SPECS),
    "adam at 20": sum(
        any(stage["optimizer"] == "adam" and stage["iterations"] == 20 for stage in spec.levels[0].stages)
        for spec in SPECS
    ),
}
Snakemake = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the project in which the PINN of one experiment has a learning rate of 1e6."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    path = root / f"config/experiments/{DIVERGING}.yaml"
    experiment = yaml.safe_load(path.read_text())
    experiment["scales"]["smoke"]["methods"] = {"pinn": {"optimizers": {"adam": {"learning_rate": 1.0e6}}}}
    path.write_text(yaml.safe_dump(experiment, sort_keys=False))
    return root


@pytest.fixture(scope="module")
def snakemake(tree: Path) -> Snakemake:
    """Runs snakemake in the copy, on the copy's code."""

    def call(*arguments: str, scale: str = "smoke") -> subprocess.CompletedProcess:
        command = ["snakemake", "--cores", "2", "--config", f"scale={scale}", *arguments]
        environment = os.environ | {
            "PYTHONPATH": str(tree),
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache/jax-tests"),
        }
        return subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment)

    return call


@pytest.fixture(scope="module")
def finished(tree: Path, snakemake: Snakemake) -> Path:
    done = snakemake()
    assert done.returncode == 0, done.stderr[-5000:]
    return tree


def planned(done: subprocess.CompletedProcess) -> dict[str, int]:
    """Jobs by rule of a dry run."""
    assert done.returncode == 0, done.stderr[-3000:]
    shown = done.stdout + done.stderr
    if "Nothing to be done" in shown:
        return {}
    table = re.search(r"Job stats:\n.*?\n-+.*?\n(.*?)\n\n", shown, re.S)
    rows = [line.split() for line in table[1].splitlines()]
    return {name: int(count) for name, count in rows if name not in ("total", "all")}


def test_the_whole_pipeline_runs_failures_included(finished: Path):
    summary = pd.read_csv(finished / "reports/smoke/summary.csv")
    assert len(summary) == 2 * len(METHODS)
    diverged = summary[summary.status == "diverged"]
    assert set(zip(diverged.experiment, diverged.method, strict=True)) == {(DIVERGING, "pinn")}
    assert len(diverged) == 2
    for folder in summary.folder:
        assert all((finished / folder / name).exists() for name in FILES)
    for name in TABLES:
        for suffix in ("csv", "md", "tex", "html"):
            assert (finished / f"reports/smoke/tables/{name}.{suffix}").stat().st_size > 0
    for experiment in summary.experiment.unique():
        for name in (*FIGURES, *CURVES):
            for suffix in ("pdf", "png", "csv"):
                assert (finished / f"reports/smoke/figures/{experiment}/{name}.{suffix}").stat().st_size > 0
    for name in ("overview", *PROFILES):
        assert (finished / f"reports/smoke/figures/{name}.png").stat().st_size > 0
    assert (finished / "reports/smoke/figures/pulse/subdomains.png").stat().st_size > 0
    page = (finished / "reports/smoke/index.html").read_text()
    assert page.count('<tr id="run-') == len(summary) and page.count("<img ") >= 7 * summary.experiment.nunique()
    table = pd.read_csv(finished / "reports/smoke/tables/comparison.csv")
    failed = table[(table.experiment == DIVERGING) & (table.method == "pinn")]
    assert set(failed["runs finished"]) == {"0 of 1"}


def test_nothing_is_done_twice(finished: Path, snakemake: Snakemake):
    assert planned(snakemake("-n")) == {}


def test_every_run_can_be_made_by_its_own_command(finished: Path):
    summary = pd.read_csv(finished / "reports/smoke/summary.csv")
    row = summary[(summary.method == "mmpinn") & (summary.backend == "torch")].iloc[0]
    command = [*row.command.split(), "--quiet", "--results", "again"]
    subprocess.run(
        command, cwd=finished, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(finished)}
    )
    ours, again = (
        pd.read_parquet(finished / root / "history.parquet").drop(columns="seconds")
        for root in (row.folder, row.folder.replace("results/", "again/", 1))
    )
    pd.testing.assert_frame_equal(ours, again, check_exact=True)


def edited(path: Path, old: str, new: str):
    """Edit a file of the copy and put it back afterwards, its time moved on both times."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    yield
    path.write_text(text)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("solvers/jets.py", '"""Jets:', '"""Jets, that is:'),
        (
            "problems/heat.py",
            "        return u.t - u.xx",
            "        # the heat operator\n        return u.t - u.xx",
        ),
        ("workflow/scripts/tables.py", '"""The summary', '"""The  summary'),
        ("config/experiments/heat-0.3.yaml", "title: Heat", "# a comment\ntitle: Heat"),
    ],
)
def test_comments_and_docstrings_rerun_nothing(
    finished: Path, snakemake: Snakemake, file: str, old: str, new: str
):
    change = edited(finished / file, old, new)
    next(change)
    assert planned(snakemake("-n")) == {}
    next(change, None)


@pytest.mark.parametrize(
    ("file", "old", "new", "runs"),
    [
        ("problems/heat.py", "u.t - u.xx", "u.t - 1 * u.xx", USING["heat"]),
        ("solvers/networks/dense.py", "if self.width < 1", "if self.width <= 0", USING["dense"]),
        ("solvers/backends/torch.py", "PREDICTED_AT_ONCE = 8192", "PREDICTED_AT_ONCE = 4096", len(METHODS)),
        ("solvers/balancing/power.py", "clip(TINY)", "clip(2 * TINY)", USING["power"]),
        ("config/experiments/heat-0.3.yaml", "every: 20", "every: 19", 0),
        ("config/experiments/heat-0.3.yaml", "learning_rate: 1.0e-3", "learning_rate: 2.0e-3", 4),
        ("config/scales/smoke.yaml", "iterations: 20", "iterations: 21", USING["adam at 20"]),
    ],
)
def test_a_change_reruns_just_what_it_affects(
    finished: Path, snakemake: Snakemake, file: str, old: str, new: str, runs: int
):
    """`every: 19` changes nothing because the smoke scale overrides it."""
    change = edited(finished / file, old, new)
    next(change)
    jobs = planned(snakemake("-n"))
    next(change, None)
    assert jobs.get("train", 0) == runs
    assert bool(jobs) == bool(runs)


def test_more_seeds_run_only_the_new_ones(finished: Path, snakemake: Snakemake):
    assert planned(snakemake("seeds=2", "-n"))["train"] == 2 * len(METHODS)


def test_seeds_can_be_listed(finished: Path, snakemake: Snakemake):
    assert planned(snakemake("seeds=[0,7]", "-n"))["train"] == 2 * len(METHODS)


def test_a_selection_needs_no_other_runs(finished: Path, snakemake: Snakemake):
    jobs = planned(snakemake("experiments=heat-0.15", "backends=jax", "methods=mmpinn", "seeds=3", "-n"))
    assert jobs["train"] == 2


def test_tables_and_figures_of_the_archive_need_no_training(tree: Path, snakemake: Snakemake):
    """As in a fresh clone: the tracked files are there, in any order of time."""
    shutil.copytree(ROOT / ARCHIVE, tree / ARCHIVE)
    jobs = planned(snakemake("runs=archive", "-n", scale="paper"))
    assert set(jobs) == {"summary", "tables", "figures", "figures_with_groups", "summary_figures", "page"}
    done = snakemake("runs=archive", scale="paper")
    assert done.returncode == 0, done.stderr[-5000:]
    table = pd.read_csv(tree / "reports/paper-archive/tables/comparison.csv")
    assert len(table) == len({folder.parent for folder in TRACKED}) and set(table.runs) == {"archive"}
    for path in (tree / ARCHIVE).rglob("*"):
        os.utime(path)
    assert planned(snakemake("runs=archive", "-n", scale="paper")) == {}
    fewer = planned(snakemake("runs=archive", "methods=pinn,mff", "-n", scale="paper"))
    assert fewer["summary"] == 1 and "train" not in fewer


def test_a_changed_archive_is_refused(tree: Path, snakemake: Snakemake):
    path = next((tree / ARCHIVE).rglob("run.json"))
    change = edited(path, '"status": "finished"', '"status": "diverged"')
    next(change)
    done = snakemake("runs=archive", "-n", scale="paper")
    next(change, None)
    assert done.returncode != 0 and "is not the file that was archived" in done.stdout + done.stderr


def test_the_report_is_made(finished: Path, snakemake: Snakemake):
    done = snakemake("--report", "reports/smoke/report.html")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "(ERROR/" not in done.stderr
    page = (finished / "reports/smoke/report.html").read_text()
    for text in ("comparison", "losses.png", "Figures", "Tables"):
        assert text in page


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["scal=quick"], ["scal", "allowed: scale, seeds"]),
        (["experiments=heat-0.33"], ["experiments", "heat-0.33", "heat-0.3"]),
        (["seeds=-2"], ["seeds", "-2", "at least 1"]),
        (["backends=tensorflow"], ["backends", "tensorflow", "jax, torch"]),
        (["runs=old"], ["runs", "old", "fresh, archive"]),
        (["runs=archive", "backends=torch", "numerics=strict"], ["runs", "no archived run"]),
        (["methods=mpinn"], ["methods", "mpinn", "pinn, mmpinn"]),
    ],
)
def test_mistakes_are_named_before_any_job_starts(tree: Path, snakemake: Snakemake, arguments, parts):
    done = snakemake(*arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "rule train" not in done.stderr
    for part in parts:
        assert part in done.stderr


def test_a_configuration_file_is_read_more_strictly_than_snakemake_does(tree: Path, snakemake: Snakemake):
    change = edited(tree / "config/config.yaml", "seeds: null", "seeds: 1\nseeds: 2")
    next(change)
    done = snakemake("-n")
    next(change, None)
    shown = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in shown
    assert "config/config.yaml: seeds: is given twice" in shown


def test_lint_has_only_the_complaint_that_the_readme_explains(tree: Path, snakemake: Snakemake):
    complaints = set(re.findall(r"^    \* (.*):$", snakemake("--lint").stderr, re.M))
    assert complaints == {"Specify a conda environment or container for each rule."}


@pytest.mark.parametrize(
    "command",
    [
        ["snakefmt", "--check", "Snakefile", "workflow"],
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "."],
    ],
    ids=" ".join,
)
def test_the_code_is_formatted(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
