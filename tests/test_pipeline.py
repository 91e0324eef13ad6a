"""Snakemake itself: the whole DAG at the smoke scale, what re-runs it, its report, its messages."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest
import yaml

from solvers.configuration.spec import RunSpec
from solvers.runs.place import run_folder
from solvers.runs.record import FILES
from solvers.runs.run import run
from tests.conftest import CATALOGUE, ROOT, copy_project
from tests.pipelines import edited, planned, snakemake_in
from workflow.sweep import Sweep

pytestmark = pytest.mark.pipeline
DIVERGING = "heat-0.11"
EXPERIMENTS = [DIVERGING, "pulse", "poisson-2-50"]
"""Those of the report: with one that diverges, one with groups, one in a single dimension. The methods of the
others are trained in test_every_method; heat-0.15 and heat-0.3 are drawn in test_archive_pipeline and in
test_study_pipeline."""
BY_SNAKEMAKE = {(DIVERGING, "pinn", "jax"), (DIVERGING, "pinn", "torch"), ("pulse", "mmpinn-grs", "jax")}
SWEEP = Sweep.from_config({"scale": "smoke", "experiments": EXPERIMENTS}, CATALOGUE)
SPECS = SWEEP.specs
REPORT = f"reports/{SWEEP.name}"
CHOSEN = f"experiments={','.join(EXPERIMENTS)}"
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

    def call(*arguments: str) -> subprocess.CompletedProcess:
        chosen = [] if any(a.startswith("experiments=") for a in arguments) else [CHOSEN]
        return snakemake_in(tree, *chosen, *arguments, scale="smoke")

    return call


@pytest.fixture(scope="module")
def finished(tree: Path, snakemake: Snakemake) -> Path:
    """Three experiments and their report. A few runs are made by Snakemake; the others, which would be the same
    command with other names, in this process, where nothing has to start, and taken."""
    for spec in SPECS:
        if (spec.experiment, spec.method, spec.backend) not in BY_SNAKEMAKE:
            run(spec, run_folder(spec, tree / "results"))
    done = snakemake()
    assert done.returncode == 0, done.stderr[-5000:]
    assert "paper, smoke: " in done.stderr and "time left: about " in done.stderr
    assert "Reason:" not in done.stderr
    assert planned(done)["train"] == len(BY_SNAKEMAKE)
    return tree


def test_the_whole_pipeline_runs_failures_included(finished: Path):
    summary = pd.read_csv(finished / REPORT / "summary.csv")
    assert len(summary) == len(SPECS)
    diverged = summary[summary.status == "diverged"]
    assert set(zip(diverged.experiment, diverged.method, strict=True)) == {(DIVERGING, "pinn")}
    assert len(diverged) == 2
    for folder in summary.folder:
        assert all((finished / folder / name).exists() for name in FILES)
    for name in SWEEP.tables():
        for suffix in ("csv", "md", "tex", "html"):
            assert (finished / REPORT / f"tables/{name}.{suffix}").stat().st_size > 0
    for experiment in summary.experiment.unique():
        for name in SWEEP.figures_of(experiment):
            for suffix in ("pdf", "png", "csv"):
                assert (finished / REPORT / f"figures/{experiment}/{name}.{suffix}").stat().st_size > 0
    for name in SWEEP.figures_of_summary():
        assert (finished / REPORT / f"figures/{name}.png").stat().st_size > 0
    assert (finished / REPORT / "figures/pulse/subdomains.png").stat().st_size > 0
    page = (finished / REPORT / "index.html").read_text()
    assert quote(f"{SWEEP.name}/index.html") in (finished / "reports/index.html").read_text()
    assert page.count('<tr id="run-') == len(summary) and page.count("<img ") >= 7 * summary.experiment.nunique()
    table = pd.read_csv(finished / REPORT / "tables/comparison.csv")
    failed = table[(table.experiment == DIVERGING) & (table.method == "pinn")]
    assert set(failed.finished) == {0} and set(failed.runs) == {1}


def test_every_run_can_be_made_by_its_own_command(finished: Path):
    summary = pd.read_csv(finished / REPORT / "summary.csv")
    row = summary[(summary.method == "mmpinn") & (summary.backend == "torch")].iloc[0]
    command = [*shlex.split(row.command), "--quiet", "--results", "again"]
    subprocess.run(
        command, cwd=finished, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(finished)}
    )
    ours, again = (
        pd.read_parquet(finished / root / "history.parquet").drop(columns="seconds")
        for root in (row.folder, row.folder.replace("results/", "again/", 1))
    )
    pd.testing.assert_frame_equal(ours, again, check_exact=True)


WITHOUT_EFFECT = [
    ("solvers/model/jets.py", '"""Jets:', '"""Jets, that is:'),
    ("problems/heat.py", "        return u.t - u.xx", "        # the heat operator\n        return u.t - u.xx"),
    ("workflow/scripts/tables.py", '"""The summary', '"""The  summary'),
    ("config/experiments/poisson-2-50.yaml", "title: Poisson", "# a comment\ntitle: Poisson"),
    ("config/experiments/poisson-2-50.yaml", "every: 100", "every: 99"),  # the smoke scale overrides it
]


def test_nothing_is_done_twice_whatever_is_said_in_comments(finished: Path, snakemake: Snakemake):
    """All edits at once: whatever was planned would be the doing of one of them."""
    with ExitStack() as stack:
        for file, old, new in WITHOUT_EFFECT:
            stack.enter_context(edited(finished / file, old, new))
        assert planned(snakemake("-n")) == {}


def using_adam_at_20(spec: RunSpec) -> bool:
    return any(s["optimizer"] == "adam" and s["iterations"] == 20 for s in spec.levels[0].stages)


CHANGES = {
    ("problems/heat.py", "u.t - u.xx", "u.t - 1 * u.xx"): lambda spec: spec.problem["name"] == "heat",
    ("solvers/model/networks/dense.py", "if self.width < 1", "if self.width <= 0"): lambda spec: (
        spec.network["name"] in ("dense", "ifnn")
    ),
    ("solvers/backends/torch.py", "PREDICTED_AT_ONCE = 8192", "PREDICTED_AT_ONCE = 4096"): lambda spec: (
        spec.backend == "torch"
    ),
    ("solvers/balancing/power.py", "clip(TINY)", "clip(2 * TINY)"): lambda spec: (
        spec.levels[0].balancing["name"] == "power"
    ),
    (
        "config/experiments/pulse.yaml",
        "1000000, learning_rate: 1.0e-3",
        "1000000, learning_rate: 2.0e-3",
    ): lambda spec: (spec.experiment, spec.method) == ("pulse", "pinn-1000k"),
    ("config/scales/smoke.yaml", "iterations: 20", "iterations: 21"): using_adam_at_20,
}
"""Edits, and which runs each affects."""
IDENTITIES = """
import json, multiprocessing, sys
from pathlib import Path
from workflow.sweep import Sweep

def identities(file, old, new):
    path = Path(file)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    try:
        sweep = Sweep.from_config({"scale": "smoke"})
        return {str(place): sweep.identity(place) for place in sweep.places()}
    finally:
        path.write_text(text)

with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
    print(json.dumps([pool.apply(identities, change) for change in json.load(sys.stdin)]))
"""
"""By edit and run what the train rule has as a parameter: when it changes, the run is made again. Every edit is
seen by a process of its own, which has read nothing before."""


def test_a_change_affects_just_the_runs_that_use_it(finished: Path):
    """They, and no others of all experiments, have another identity."""
    environment, nothing = os.environ | {"PYTHONPATH": str(finished)}, ("config/config.yaml", "", "")
    done = subprocess.run(
        [sys.executable, "-c", IDENTITIES],
        cwd=finished,
        input=json.dumps([nothing, *CHANGES]),
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    before, *after = json.loads(done.stdout)
    every = Sweep.from_config({"scale": "smoke"}, CATALOGUE).specs
    places = {str(run_folder(spec, Path())): spec for spec in every}
    for (change, affects), identities in zip(CHANGES.items(), after, strict=True):
        assert before.keys() == identities.keys() == places.keys()
        found = {place for place, identity in identities.items() if identity != before[place]}
        assert found and found == {place for place, spec in places.items() if affects(spec)}, change


def test_runs_of_another_identity_are_made_again(finished: Path, snakemake: Snakemake):
    """By another code or another specification, and no others."""
    together = [change for change in CHANGES if change[0].endswith(("power.py", "pulse.yaml"))]
    affected = [[spec for spec in SPECS if CHANGES[change](spec)] for change in together]
    both = [spec for spec in SPECS if any(spec in each for each in affected)]
    assert len(SPECS) > len(both) > max(map(len, affected))
    with ExitStack() as stack:
        for file, old, new in together:
            stack.enter_context(edited(finished / file, old, new))
        assert planned(snakemake("-n"))["train"] == len(both)


def test_more_seeds_run_only_the_new_ones(finished: Path, snakemake: Snakemake):
    assert planned(snakemake("seeds=2", "-n"))["train"] == len(SPECS)


def test_a_selection_needs_no_other_runs(finished: Path, snakemake: Snakemake):
    """Of two listed seeds one is there."""
    jobs = planned(snakemake("experiments=pulse", "backends=jax", "methods=mmpinn", "seeds=[0,7]", "-n"))
    assert jobs["train"] == 1


def test_the_report_is_made(finished: Path, snakemake: Snakemake):
    done = snakemake("--report", f"{REPORT}/report.html")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "(ERROR/" not in done.stderr
    page = (finished / REPORT / "report.html").read_text()
    for text in ("comparison", "losses.png", "Figures", "Tables"):
        assert text in page


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["seeds=-2"], ["seeds", "-2", "at least 1"]),
        (["methods=mpinn"], ["methods", "mpinn", "pinn, mmpinn"]),
    ],
)
def test_mistakes_are_named_before_any_job_starts(tree: Path, snakemake: Snakemake, arguments, parts):
    """A value that Snakemake has read, and a name; all others are in test_configuration."""
    done = snakemake(*arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "rule train" not in done.stderr
    for part in parts:
        assert part in done.stderr


def test_a_configuration_file_is_read_more_strictly_than_snakemake_does(tree: Path, snakemake: Snakemake):
    with edited(tree / "config/config.yaml", "seeds: null", "seeds: 1\nseeds: 2"):
        done = snakemake("-n")
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
