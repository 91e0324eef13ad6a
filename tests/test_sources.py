"""Where the runs of a sweep come from: made, from the archive, or both; and how far those are that are made."""

import json
import logging
import shutil
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from solvers.runs.archive import ARCHIVE
from solvers.runs.place import run_folder
from solvers.runs.provenance import identity_of
from solvers.runs.sources import runs_of
from tests.conftest import CATALOGUE, ROOT, smoke_spec
from workflow import announce
from workflow.progress import SweepProgress, follow
from workflow.sweep import Sweep

CHOSEN = {"scale": "paper", "experiments": "heat-0.3", "methods": "pinn", "backends": "jax", "seeds": [0, 1, 7]}


@pytest.fixture
def here(monkeypatch, tmp_path) -> Path:
    """A folder with a few runs in its archive."""
    shutil.copytree(ROOT / ARCHIVE / "paper/heat-0.3", tmp_path / ARCHIVE / "paper/heat-0.3")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(spec, root: Path, **changes: str) -> None:
    """What is looked at of a run, below ``root``."""
    folder = run_folder(spec, root)
    folder.mkdir(parents=True)
    data = {"schema_version": 3, "status": "finished", "seconds": {"training": 60.0}}
    data |= {"provenance": identity_of(spec) | changes, "spec": spec.model_dump(mode="json")}
    (folder / "run.json").write_text(json.dumps(data))


def sources(**changes) -> dict[int, str]:
    """By seed, the folder that holds the runs of a sweep with both."""
    sweep = Sweep.from_config(CHOSEN | {"runs": "both"} | changes, CATALOGUE)
    return {
        int(folder.name): str(folder).removesuffix(f"/paper/heat-0.3/pinn/jax/paper/{folder.name}")
        for folder in sweep.folders()
    }


def test_a_run_is_taken_from_the_archive_if_that_has_it(here):
    assert sources() == {0: "results/archive", 1: "results/archive", 7: "results"}
    sweep = Sweep.from_config(CHOSEN | {"runs": "both"}, CATALOGUE)
    assert [spec.seed for spec in sweep.made()] == [7] and not sweep.archived
    assert sweep.places() == [Path("paper/heat-0.3/pinn/jax/paper/7")]
    assert sweep.name.startswith("paper/paper-both+")
    archived, made = (sweep.wanted(sweep.folders()[i]) for i in (0, 2))
    assert archived == CATALOGUE.resolve("heat-0.3", "pinn", "jax", scale="paper") and made == sweep.specs[2]


def test_an_own_run_of_todays_code_takes_the_place_of_the_archived_one(here):
    own, old = (CATALOGUE.resolve("heat-0.3", "pinn", "jax", scale="paper", seed=seed) for seed in (0, 1))
    written(own, Path("results"))
    written(old, Path("results"), fingerprint="0")
    assert sources() == {0: "results", 1: "results/archive", 7: "results"}


def test_a_sweep_that_the_archive_has_whole_trains_nothing(here):
    sweep = Sweep.from_config(CHOSEN | {"runs": "both", "seeds": [0, 1]}, CATALOGUE)
    assert sweep.archived and not sweep.made() and "check" not in sweep.tables()


def test_other_sources_are_as_before(here):
    for runs, archived in (("fresh", {False}), ("archive", {True})):
        sweep = Sweep.from_config(CHOSEN | {"runs": runs, "seeds": [0, 1]}, CATALOGUE)
        assert {taken for _, taken in runs_of(sweep.study, CATALOGUE)} == archived
        assert sweep.archived == (runs == "archive") and len(sweep.made()) == 2 * (runs == "fresh")


def test_what_is_taken_from_the_archive_is_announced(here, monkeypatch):
    sweep = Sweep.from_config(CHOSEN | {"runs": "both"}, CATALOGUE)
    told = announce.announcement(sweep, 2, CATALOGUE)
    assert "3 runs" in told and "2 are taken from results/archive." in told and "already" not in told


def test_the_log_tells_how_far_the_sweep_is_after_a_job(tmp_path, monkeypatch):
    monkeypatch.setattr("workflow.progress.SECONDS_BETWEEN_LINES", 0.0)
    specs, told = [smoke_spec(("heat-0.3", "pinn"), "jax", seed=seed) for seed in range(2)], []
    logger = logging.Logger("stand-in")
    logger.addHandler(SweepProgress("paper, smoke", specs, tmp_path, 2, told.append))

    def say(event: LogEvent | None) -> str | None:
        told.clear()
        logger.info("", extra={"event": event} if event else {})
        return told[0] if told else None

    written(specs[0], tmp_path)
    assert say(None) is None and say(LogEvent.JOB_INFO) is None
    line = "paper, smoke: 1 of 2 runs done (1 finished), 1 left; time left: about 1:00, 2 at a time"
    assert say(LogEvent.PROGRESS) == line
    monkeypatch.setattr("workflow.progress.SECONDS_BETWEEN_LINES", 1e6)
    assert say(LogEvent.PROGRESS) is None
    monkeypatch.setattr("workflow.progress.SECONDS_BETWEEN_LINES", 0.0)
    written(specs[1], tmp_path)
    assert say(LogEvent.PROGRESS) == (
        "paper, smoke: 2 of 2 runs done (2 finished); tables, figures and the page follow"
    )
    assert say(LogEvent.PROGRESS) is None


def test_a_sweep_that_trains_nothing_is_not_followed(tmp_path):
    logger = logging.Logger("stand-in")
    follow(logger, "paper, paper", [], tmp_path, 2)
    assert not logger.handlers
