"""A run of another specification, code or place than is wanted is made again, and stands in no table."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from solvers.runs.finished import difference, outdated, taken, unlike
from solvers.runs.record import FILES, RecordError, read_run, sha256
from solvers.runs.run import run
from tests.conftest import copy_project, smoke_spec
from tests.test_archive import edit
from workflow.analysis.summary import summarise

CASE = ("heat-0.3", "pinn")
SPEC = smoke_spec(CASE, "torch", "paper")
PLACE = Path("smoke/heat-0.3/pinn/torch/paper/0")
CONFIG = ["scale=smoke", "experiments=heat-0.3", "methods=pinn", "backends=torch", "seeds=1"]
SUMMARY = "reports/paper/smoke+backends=torch+experiments=heat-0.3+methods=pinn/summary.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Results with one finished run, and one with another epsilon."""
    root = tmp_path_factory.mktemp("made")
    run(SPEC, root / PLACE)
    run(smoke_spec(CASE, "torch", "paper", overrides=["problem.epsilon=0.7"]), root / "other")
    return root


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / PLACE, tmp_path / PLACE))


def other_code(data: dict) -> None:
    data["provenance"]["fingerprint"] = "0" * 16


def other_specification(data: dict) -> None:
    data["provenance"]["spec_hash"] = "1-" + "0" * 16


CHANGES = {"code": other_code, "specification": other_specification}


@pytest.mark.parametrize("what", CHANGES)
def test_a_run_of_another_identity_is_outdated_and_refused_by_name(folder, what):
    assert not outdated(SPEC, folder) and taken(SPEC, folder)
    edit(folder, CHANGES[what])
    assert outdated(SPEC, folder) and taken(SPEC, folder) is None
    with pytest.raises(RecordError, match=what) as found:
        summarise([folder], wanted=lambda _: SPEC)
    assert str(folder / "run.json") in str(found.value)


def test_what_differs_in_the_specification_is_named(made):
    data = json.loads((made / "other/run.json").read_text())
    plain = SPEC.model_copy(update={"overrides": data["spec"]["overrides"]})
    assert "problem.epsilon is 0.7, here 0.3" in difference(plain, data)
    assert unlike({"a": [1, {"b": 2}], "c": 3}, SPEC).count(" is only ") == 3


def test_a_run_in_anothers_place_is_named_and_not_counted(made, tmp_path):
    shutil.copytree(made / "other", tmp_path / PLACE)
    assert outdated(SPEC, tmp_path / PLACE)
    with pytest.raises(RecordError, match=r"is the record of .*@problem.epsilon=0.7.*, not of"):
        summarise([tmp_path / PLACE], wanted=lambda _: SPEC)


def test_labels_alone_make_another_place(folder):
    """The hash of a specification has no labels: a copy under the name of a method with equal settings."""
    assert outdated(SPEC.model_copy(update={"method": "alias"}), folder)


def test_what_is_missing_or_damaged_is_not_outdated(folder):
    assert not outdated(SPEC, folder.with_name("1"))
    (folder / "run.json").write_text("{")
    assert not outdated(SPEC, folder)


def test_an_outdated_run_is_made_again_by_hand(folder):
    edit(folder, other_code)
    assert run(SPEC, folder).status == "finished"
    assert not outdated(SPEC, folder)


def seal(folder: Path) -> None:
    """Make it one of the archive, as it is."""
    sums = {name: sha256((folder / name).read_bytes()) for name in FILES}
    (folder / "archive.json").write_text(json.dumps({"archived": "", "left_out": [], "sha256": sums}))


def test_an_archived_run_says_what_of_it_is_not_todays(folder):
    seal(folder)
    assert summarise([folder], wanted=lambda _: SPEC).outdated.item() == ""
    for change in CHANGES.values():
        edit(folder, change)
    seal(folder)
    assert summarise([folder], wanted=lambda _: SPEC).outdated.item() == "specification and code"
    assert summarise([folder]).outdated.item() == ""


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def call(tree: Path) -> Callable[..., str]:
    """Runs a command in the copy; what it says."""

    def called(*command: str, fails: bool = False) -> str:
        environment = os.environ | {"PYTHONPATH": str(tree)}
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment)
        assert (done.returncode != 0) == fails, done.stderr[-3000:]
        return done.stdout + done.stderr

    return called


SNAKEMAKE = ["snakemake", "--cores", "1", SUMMARY, "--config", *CONFIG]


def trains(shown: str) -> bool:
    """Whether a training is among the jobs that Snakemake counts before it does them."""
    return bool(re.search(r"^train +\d", shown, re.MULTILINE))


@pytest.mark.pipeline
def test_the_pipeline_makes_outdated_runs_again_and_takes_the_others(tree, call, made):
    """Made by hand, so that Snakemake knows nothing of it; then the specification changes; then another's copy."""
    shutil.copytree(made / PLACE, tree / "results" / PLACE)
    first = read_run(tree / "results" / PLACE)
    assert not trains(call(*SNAKEMAKE))
    scale = tree / "config/scales/smoke.yaml"
    scale.write_text(scale.read_text().replace("iterations: 20", "iterations: 21"))
    assert trains(call(*SNAKEMAKE))
    again = read_run(tree / "results" / PLACE)
    assert again.provenance.spec_hash != first.provenance.spec_hash
    assert pd.read_csv(tree / SUMMARY).spec_hash.item() == again.provenance.spec_hash
    assert not trains(call(*SNAKEMAKE, "-n"))
    place = tree / "results" / PLACE
    shutil.rmtree(place)
    shutil.copytree(made / "other", place)
    assert trains(call(*SNAKEMAKE))
    assert not read_run(place).spec.overrides
    assert not trains(call(*SNAKEMAKE, "-n"))


@pytest.mark.pipeline
def test_a_finished_run_that_snakemake_wants_again_is_taken(tree, call):
    """As when Snakemake was killed after the run had finished."""
    if not (tree / SUMMARY).exists():  # by the test before
        call(*SNAKEMAKE)
    before = read_run(tree / "results" / PLACE)
    call(*SNAKEMAKE, "--forcerun", "train")
    assert read_run(tree / "results" / PLACE) == before
