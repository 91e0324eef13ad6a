"""Floors: a record like a run's, made by a command, in the summary, in tables, in figures and on the page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from solvers.cli import main
from solvers.configuration.catalogue import Catalogue
from solvers.runs import floor as floors
from solvers.runs.archive import ARCHIVE
from solvers.runs.fingerprint import fingerprint
from solvers.runs.floor import (
    FILE,
    FloorSpec,
    archive_floor,
    floor_folder,
    floor_identity,
    floor_spec,
    is_floor_of,
    is_floor_of_run,
    read_floor,
    solve_floor,
)
from solvers.runs.record import RecordError
from tests.conftest import CATALOGUE, ROOT, smoke_spec
from tests.summaries import seeds_of, summary_of
from workflow.analysis import register
from workflow.analysis.figures.overview import draw_overview
from workflow.analysis.figures.points import Page, draw_lines
from workflow.analysis.summary import FLOORS, read_summary, summarise
from workflow.page.floor import floor_told, floors_told
from workflow.sweep import Sweep

SPEC = FloorSpec(
    experiment="poisson-2-50",
    problem={"name": "poisson", "a": 2.0, "b": 6.0},
    grid=[101],
    solver="collocation",
    settings={},
)
RUN = ROOT / ARCHIVE / "paper/heat-0.3/pinn/jax/paper/0"
PAPERS = [name for name in CATALOGUE.names("experiments") if CATALOGUE.experiment(name).in_paper]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A floor that was solved."""
    made = tmp_path_factory.mktemp("results") / "floor/poisson"
    solve_floor(SPEC, made)
    return made


def test_its_record_says_all(folder: Path):
    found = read_floor(folder)
    assert found.status == "finished" and found.errors.rel_l2 < 1e-12 and found.errors.maximum < 1e-12
    assert found.spec == SPEC and is_floor_of(SPEC, found)
    assert found.attempts[-1].nodes[0] > found.attempts[0].nodes[0]
    assert found.attempts[-1].tails[0] < 1e-8 < found.attempts[0].tails[0]
    assert {"startup", "solving", "evaluation"} == set(found.seconds) == set(found.cpu_seconds)
    assert sum(attempt.cpu_seconds for attempt in found.attempts) <= found.cpu_seconds["solving"]
    assert found.provenance.fingerprint == floor_identity(SPEC)["fingerprint"]


def test_an_edited_record_is_found(folder: Path, tmp_path: Path):
    data = json.loads((folder / FILE).read_text())
    data["errors"]["rel_l2"] = 1e-20
    (tmp_path / FILE).write_text(json.dumps(data))
    with pytest.raises(RecordError, match="its checksum differs"):
        read_floor(tmp_path)
    (tmp_path / FILE).write_text(json.dumps(data | {"status": "perfect"}))
    with pytest.raises(RecordError, match="status"):
        read_floor(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(RecordError, match="not JSON"):
        read_floor(tmp_path)
    with pytest.raises(RecordError, match="cannot be read"):
        read_floor(tmp_path / "none")


def test_one_that_is_there_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch):
    before = read_floor(folder)
    solved = []
    monkeypatch.setattr(floors, "classical", lambda problem: solved.append(problem) or pytest.fail("solved anew"))
    assert solve_floor(SPEC, folder) == before
    monkeypatch.undo()
    other = SPEC.model_copy(update={"grid": [51]})
    assert floor_identity(other) != floor_identity(SPEC) and not is_floor_of(other, before)


def test_a_solver_without_a_solution_leaves_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(floors, "classical", lambda problem: floors.Classical("none", "why not"))
    found = solve_floor(SPEC, tmp_path)
    assert (found.status, found.reason, found.errors) == ("none", "why not", None)
    with pytest.raises(RecordError, match="without a result"):
        archive_floor(tmp_path, tmp_path / "archive")


def test_an_error_that_cannot_be_measured_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        floors, "classical", lambda problem: floors.Classical("finished", "", lambda points: 1 / 0)
    )
    found = solve_floor(SPEC, tmp_path)
    assert found.status == "failed" and "ZeroDivisionError" in found.reason and found.errors is None


def test_the_command_makes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["floor", "helmholtz-1-8", "--results", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("finished: relative L2 error") and "collocation" in said
    found = read_floor(floor_folder("helmholtz-1-8", tmp_path))
    assert found.spec == floor_spec("helmholtz-1-8", CATALOGUE) and found.spec.grid == [1200, 1200]
    assert found.command == "python -m solvers floor helmholtz-1-8"


def test_only_what_is_in_a_commit_is_archived(folder: Path, tmp_path: Path):
    def committed(**changes) -> Path:
        made = read_floor(folder)
        origin = made.provenance.model_copy(
            update={"commit": "0", "uncommitted_changes": False, "changed_meanwhile": []} | changes
        )
        floors._write(made.model_copy(update={"provenance": origin}), tmp_path)
        return tmp_path

    with pytest.raises(RecordError, match="in no commit"):
        archive_floor(committed(uncommitted_changes=True), tmp_path / "archive")
    with pytest.raises(RecordError, match="other code"):
        archive_floor(committed(fingerprint="another"), tmp_path / "archive")
    target = archive_floor(committed(), tmp_path / "archive")
    assert read_floor(target).spec == SPEC and target == tmp_path / "archive/floor/poisson-2-50"
    with pytest.raises(RecordError, match="--replace"):
        archive_floor(committed(), tmp_path / "archive")
    assert main(["archive", str(committed()), "--to", str(tmp_path / "archive"), "--replace"]) == 0


def test_it_depends_on_its_own_code_alone():
    """A finished run does not depend on the solver, nor a floor on the training."""
    assert fingerprint([]) != fingerprint([], floors.ENTRIES)
    assert fingerprint([], ["solvers.training.loop"]) == fingerprint([], ["solvers.training.loop", "solvers.cli"])
    with_solver = fingerprint([], ["solvers.training.loop", "solvers.classical.choice"])
    assert with_solver != fingerprint([], ["solvers.training.loop"])


@pytest.mark.parametrize("experiment", PAPERS)
def test_the_archive_has_the_floor_of_every_experiment_of_the_paper(experiment: str):
    """As the problem is today; a classical solver is far below every network."""
    found = read_floor(floor_folder(experiment, ROOT / ARCHIVE))
    assert found.spec == floor_spec(experiment, CATALOGUE)
    assert found.status == "finished" and found.errors.rel_l2 < 1e-10 and found.cpu_seconds["solving"] < 30


def test_a_run_gets_the_floor_of_its_very_problem(tmp_path: Path):
    floor = read_floor(floor_folder("heat-0.3", ROOT / ARCHIVE))
    assert is_floor_of_run(floor, smoke_spec(("heat-0.3", "pinn"), "jax", "paper"))
    assert not is_floor_of_run(
        floor, smoke_spec(("heat-0.3", "pinn"), "jax", "paper", overrides=["problem.epsilon=0.2"])
    )


@pytest.fixture
def summary():
    """One archived run with its floor, and one of another experiment without."""
    return summarise([RUN], floors=[floor_folder("heat-0.3", ROOT / ARCHIVE)])


def test_the_summary_has_it(summary: pd.DataFrame, tmp_path: Path):
    floor = read_floor(floor_folder("heat-0.3", ROOT / ARCHIVE))
    assert summary.floor_rel_l2.item() == floor.errors.rel_l2
    assert summary.floor_cpu_seconds.item() == floor.cpu_seconds["solving"]
    assert "collocation" in summary.floor_solver.item()
    none = summarise([RUN])
    assert np.isnan(none.floor_rel_l2.item()) and none.floor_solver.item() == ""
    for each in (summary, none):
        each.to_csv(tmp_path / "summary.csv", index=False)
        pd.testing.assert_frame_equal(read_summary(tmp_path / "summary.csv"), each)


def test_a_summary_that_was_kept_before_there_were_floors_is_read(summary: pd.DataFrame, tmp_path: Path):
    old = summary.drop(columns=list(FLOORS)).assign(supervised=[2])
    old.to_csv(tmp_path / "summary.csv", index=False)
    found = read_summary(tmp_path / "summary.csv")
    assert list(found.columns) == [*summary.columns, "supervised"] and np.isnan(found.floor_rel_l2.item())


TABLES = ("comparison", "floor", "verdicts", "statistics", "points", "beyond")
METHODS = [*seeds_of([1e-3, 2e-3, 4e-3]), *seeds_of([1e-7], method="bfgs")]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("known", [True, False])
def test_tables_of_errors_have_it(name: str, known: bool):
    none = {"floor_rel_l2": np.nan, "floor_cpu_seconds": np.nan, "floor_solver": "none: why", "floor_folder": "f"}
    summary = summary_of(*(run | ({} if known else none) for run in METHODS))
    found = register.table(name).load()(summary, CATALOGUE)
    assert (found["floor"] == 1e-12).all() if known else found["floor"].isna().all()
    assert "floor" in register.table(name).caption


def test_the_table_of_floors_compares_the_best_method():
    (row,) = register.table("floor").load()(summary_of(*METHODS), CATALOGUE).to_dict("records")
    assert (row["best method"], row["its median over the floor"]) == ("bfgs", pytest.approx(1e5))
    assert row["floor, CPU seconds"] == 0.5 and row["folder"] == "results/floor/heat-0.3"


def test_the_page_tells_it_or_why_there_is_none():
    told = floor_told(summary_of(*METHODS), str)
    assert "1.0e-12 after 0.5 CPU seconds" in told.text and told.record == "results/floor/heat-0.3/floor.json"
    none = summary_of({"floor_rel_l2": np.nan, "floor_solver": "none: collocation, x: no conditions"})
    assert "x: no conditions" in floor_told(none, str).text and floors_told(none) == ""
    assert floor_told(summary_of({"floor_solver": ""}), str) is None
    both = summary_of(*METHODS, {"experiment": "heat-0.15", "floor_rel_l2": 1e-2, "rel_l2": 1e-3})
    assert "1.0e-12 to 1.0e-02 on these 2 problems" in floors_told(both)
    assert "0.1 to 1e+05 times that; on 1 it is below that" in floors_told(both)


@pytest.mark.parametrize(
    ("floor", "shown"), [(1e-4, "classical solver"), (1e-16, "\N{DOWNWARDS ARROW} classical")]
)
def test_figures_draw_it_as_a_line_where_it_fits(floor: float, shown: str):
    summary = summary_of(*({**run, "floor_rel_l2": floor} for run in seeds_of([1e-3, 2e-3])))
    page = Page(summary.assign(rate=[1, 2]), ["rate"])
    (axis,) = draw_lines(page)[0].axes
    assert any(text.get_text().startswith(shown) for text in axis.texts)
    assert (axis.get_ylim()[0] < floor) == (floor == 1e-4)
    figure, numbers = draw_overview(summary, Catalogue())
    assert any(f"classical: {floor:.1e}" in text.get_text() for text in figure.axes[0].texts)
    assert (numbers.floor == floor).all()


def test_a_figure_of_runs_without_a_floor_is_as_before():
    summary = summary_of(*({**run, "floor_rel_l2": np.nan} for run in seeds_of([1e-3, 2e-3])))
    (axis,) = draw_lines(Page(summary.assign(rate=[1, 2]), ["rate"]))[0].axes
    assert not axis.texts


def test_a_floor_of_other_code_or_a_damaged_one_is_outdated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sweep = Sweep.from_command_line(CATALOGUE, ["scale=smoke", "experiments=poisson-2-50"])
    assert not sweep.floor_outdated("poisson-2-50", tmp_path)
    spec, folder = floor_spec("poisson-2-50", CATALOGUE), floor_folder("poisson-2-50", tmp_path)
    monkeypatch.setattr(floors, "classical", lambda problem: floors.Classical("none", "not asked"))
    solve_floor(spec, folder)
    assert not sweep.floor_outdated("poisson-2-50", tmp_path)
    monkeypatch.setattr(floors, "_fingerprint", lambda spec: "other code")
    assert sweep.floor_outdated("poisson-2-50", tmp_path)
    monkeypatch.undo()
    (folder / FILE).write_text("{}")
    assert sweep.floor_outdated("poisson-2-50", tmp_path)


def test_a_sweep_of_the_archive_makes_no_floor(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    config = ["scale=paper", "runs=archive", "experiments=heat-0.3"]
    assert Sweep.from_command_line(CATALOGUE, config).floors() == {"heat-0.3": ARCHIVE / "floor/heat-0.3"}
    fresh = Sweep.from_command_line(CATALOGUE, ["scale=smoke", "experiments=heat-0.3,burgers"])
    assert fresh.floors("burgers") == {"burgers": Path("results/floor/burgers")}
