"""Summaries of studies that git keeps: only of runs that are there and of committed code, and what they say."""

from pathlib import Path

import pytest

from solvers.runs.record import read_run
from tests.conftest import CATALOGUE, ROOT
from workflow import keep
from workflow.analysis.summary import summarise
from workflow.analysis.writing import harmless
from workflow.readme.studies import FOLDER, kept, studies_block
from workflow.sweep import Sweep

RUN = ROOT / "results/archive/quick/heat-0.3/mmpinn/jax/paper/0"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report of one archived run, as if it were at a point of the study."""
    folder = tmp_path / "reports/exponents/quick"
    folder.mkdir(parents=True)
    summary = summarise([RUN]).assign(supervised=[1], residual=[3])
    harmless(summary).to_csv(folder / "summary.csv", index=False)
    return folder


def test_a_kept_summary_is_told(report: Path, tmp_path: Path, capsys):
    assert keep.main([str(report), "--to", str(tmp_path)]) == 0
    file = tmp_path / FOLDER / "exponents.csv"
    assert capsys.readouterr().out.strip() == str(file)
    assert list(kept(tmp_path)) == ["exponents"] and len(kept(tmp_path)["exponents"]) == 1
    text = studies_block(CATALOGUE, tmp_path)
    assert text.startswith("## Which exponents does MMPINN need?")
    assert "1 runs of 1 problems" not in text and "one run of one problem" in text


def test_what_cannot_be_kept_is_named(report: Path, tmp_path: Path, capsys, monkeypatch):
    def refused(folder: Path) -> str:
        assert keep.main([str(folder), "--to", str(tmp_path)]) == 1
        assert not (tmp_path / FOLDER).exists()
        return capsys.readouterr().err

    assert "summary.csv" in refused(tmp_path / "reports/exponents/paper")
    other = report.parent.rename(tmp_path / "reports/mine")
    assert "mine is not a study of config/studies" in refused(other / "quick")
    report = other.rename(tmp_path / "reports/exponents") / "quick"
    record = read_run(RUN)
    origin = record.provenance.model_copy(update={"uncommitted_changes": True})
    changed = record.model_copy(update={"provenance": origin})
    monkeypatch.setattr(keep, "checked_record", lambda folder, files: changed)
    assert "the code of this run is in no commit" in refused(report)


def test_what_is_kept_is_of_the_studies_as_they_are():
    """Every point of a kept summary is one of the study's file, with its axes."""
    for name, summary in kept(ROOT).items():
        study = Sweep.from_command_line(CATALOGUE, [f"study={name}"]).study
        values = {axis.name: set(axis.shown) for axis in study.axes}
        for axis, allowed in values.items():
            assert set(summary[axis]) <= allowed, f"{name}: {axis}"
        assert set(summary.experiment) <= set(study.experiments) and set(summary.method) <= set(study.methods)


def test_tables_made_of_the_runs_are_kept_beside_the_summary(report: Path, tmp_path: Path):
    """And those alone: the others are made of the summary."""
    (report / "tables").mkdir()
    for name in ("rates", "choices"):
        (report / f"tables/{name}.csv").write_text("note\nnothing\n")
    assert keep.main([str(report), "--to", str(tmp_path)]) == 0
    folder = tmp_path / FOLDER / "exponents"
    assert [path.name for path in folder.iterdir()] == ["rates.csv"] and list(kept(tmp_path)) == ["exponents"]
    assert "More tables: [exponents](../reports/studies/exponents)." in " ".join(
        studies_block(CATALOGUE, tmp_path).split()
    )
