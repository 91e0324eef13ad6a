"""The study ``board`` as it ships, and a row that is added to it as docs/leaderboard.md says, up to its page."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from solvers import balancing
from solvers.configuration.catalogue import Catalogue
from solvers.configuration.spec import RunSpec
from solvers.runs.place import run_folder
from solvers.runs.run import run
from tests.conftest import CATALOGUE, ROOT
from tests.summaries import seeds_of, summary_of
from tests.test_page import Elements
from workflow.analysis import register
from workflow.analysis.entries import parts_of
from workflow.analysis.protocol import HELD, conditions
from workflow.analysis.summary import summarise
from workflow.analysis.writing import write_table
from workflow.page import Inputs, content, tables, write_page
from workflow.page.runs import run_columns, run_rows
from workflow.sweep import Sweep

DOCUMENT = (ROOT / "docs/leaderboard.md").read_text(encoding="utf-8")
ROW = re.search(r"^```yaml\n# (config/studies/my-row.yaml)\n(.*?)^```$", DOCUMENT, re.M | re.S)
SMALL = {
    "iterations: 800": "iterations: 10",
    "iterations: 400, evaluations: 400": "iterations: 5, evaluations: 5",
}
BUDGET = 2000


@pytest.fixture(scope="module")
def board() -> Sweep:
    return Sweep.from_config({"study": "board", "seeds": 1}, CATALOGUE)


@pytest.fixture(scope="module")
def board_adam() -> Sweep:
    return Sweep.from_config({"study": "board-adam", "seeds": 1}, CATALOGUE)


def entry_of(sweep: Sweep, spec) -> str:
    (axis,) = sweep.axes
    return axis.value_of(spec.overrides)


def by_entry(sweep: Sweep) -> dict[str, dict[str, RunSpec]]:
    """By experiment and entry the run, of which there is one."""
    found: dict[str, dict[str, RunSpec]] = {}
    for spec in sweep.specs:
        assert entry_of(sweep, spec) not in found.setdefault(spec.experiment, {}), "one method for each experiment"
        found[spec.experiment][entry_of(sweep, spec)] = spec
    return found


def rules(sweep: Sweep, optimizer: str) -> set[str]:
    """Those that stand with the optimizer, other points apart."""
    parts = [parts_of(entry) for entry in sweep.axes[0].shown]
    return {rule for rule, own in parts if own == optimizer and not rule.startswith("sum-")}


def test_every_rule_stands_on_every_problem_with_adam_alone_and_with_quasi_newton_steps(board, board_adam):
    for sweep, usual in ((board, "sum+lbfgs"), (board_adam, "sum+adam")):
        entries, found = sweep.axes[0].shown, by_entry(sweep)
        assert len(entries) >= 18 and len(found) >= 10
        assert all(sorted(own) == sorted(entries) for own in found.values())
        assert entries[0] == usual, "what the others are measured against"
        used = {level.balancing["name"] for spec in sweep.specs for level in spec.levels}
        assert used <= set(balancing.names())
    assert by_entry(board).keys() == by_entry(board_adam).keys()
    assert rules(board, "lbfgs") == rules(board_adam, "adam")
    assert {"sum", "mmpinn"} <= rules(board, "lbfgs") & rules(board, "bfgs") & rules(board, "adam")


def test_entries_of_both_boards_are_the_same_runs(board, board_adam):
    """Made once for both."""
    both = set(board.axes[0].shown) & set(board_adam.axes[0].shown)
    assert both == {"sum+adam", "mmpinn+adam"}
    for experiment, own in by_entry(board).items():
        for entry in both:
            other = by_entry(board_adam)[experiment][entry]
            assert run_folder(own[entry], Path()) == run_folder(other, Path())


def test_all_entries_have_the_same_but_for_what_they_are_about(board, board_adam):
    for sweep in (board, board_adam):
        for own in by_entry(sweep).values():
            given = {entry: conditions(spec.model_dump(mode="json")) for entry, spec in own.items()}
            usual = given[sweep.axes[0].shown[0]]
            assert usual["evaluations allowed"] == BUDGET
            for entry, found in given.items():
                differs = {name for name in HELD if name in usual and found[name] != usual[name]}
                rule, optimizer = parts_of(entry)
                curved = optimizer in ("bfgs", "levenberg-marquardt", "spring")
                assert differs == (
                    {"precision"} if curved else {"points"} if rule.startswith("sum-") else set()
                ), entry


def test_mmpinn_has_the_papers_powers_where_the_paper_has_the_problem(board):
    for spec in (spec for spec in board.specs if entry_of(board, spec) == "mmpinn+lbfgs"):
        ours = [level.balancing["exponents"] for level in spec.levels]
        methods = CATALOGUE.experiment(spec.experiment).methods
        papers = next((methods[name] for name in ("mmpinn", "mmpinn-mff") if name in methods), None)
        if CATALOGUE.experiment(spec.experiment).in_paper:
            theirs = [level.balancing["exponents"] for level in papers.levels]
            assert ours[: len(theirs)] == theirs, spec.experiment  # one level alone of mini-batches
        assert ours[-1] == {"supervised": 1, "residual": 1}


@pytest.fixture(scope="module")
def added(tmp_path_factory) -> tuple[Sweep, Catalogue]:
    """The study that the document adds, with an eightieth of its iterations."""
    root = tmp_path_factory.mktemp("added")
    shutil.copytree(ROOT / "config", root / "config")
    text = ROW[2]
    for stated, small in SMALL.items():
        assert stated in text
        text = text.replace(stated, small)
    (root / ROW[1]).write_text(text)
    catalogue = Catalogue(root / "config")
    return Sweep.from_config({"study": "my-row", "seeds": 1, "scale": "smoke"}, catalogue), catalogue


def test_runs_of_a_new_row_are_shared_with_the_board(board, tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / ROW[1]).write_text(ROW[2])
    mine = Sweep.from_config({"study": "my-row", "seeds": 1}, Catalogue(tmp_path / "config"))
    places: dict[str, set[Path]] = {}
    for place in mine.places():
        places.setdefault(entry_of(mine, mine.find(place)), set()).add(place)
    assert list(places) == ["sum+lbfgs", "mmpinn+lbfgs", "mine+lbfgs"]
    theirs = set(board.places())
    assert places["sum+lbfgs"] | places["mmpinn+lbfgs"] <= theirs and not places["mine+lbfgs"] & theirs


def test_a_new_row_stands_on_the_page_with_its_runs_and_marks(added, tmp_path, monkeypatch):
    sweep, catalogue = added
    assert {"leaderboard", "ranks", "protocol", "pareto", "bands", "mmpinn"} <= set(sweep.tables())
    folders = []
    for place in sweep.places():
        folders.append(tmp_path / "results" / place)
        run(sweep.find(place), folders[-1])
    summary = summarise(folders, sweep.axes)
    reports = tmp_path / "reports/my-row/smoke"
    (reports / "tables").mkdir(parents=True)
    summary.to_csv(reports / "summary.csv", index=False)
    for name in sweep.tables():
        write_table(register.table(name).load()(summary, catalogue), reports / "tables", name)
    table = pd.read_csv(reports / "tables/leaderboard.csv")
    assert len(table) == 6 and set(table.failed) == {0} and list(table.evaluations.between(25, 30)) == [True] * 6
    kept = pd.read_csv(reports / "tables/protocol.csv", keep_default_na=False)
    assert set(kept["deviates in"]) == {""} and set(kept["evaluations allowed"]) == {25}
    inputs = Inputs(reports / "summary.csv", sorted((reports / "tables").glob("*.csv")), [], {"study": "my-row"})
    text = _page(reports, inputs)
    section = text.partition('id="leaderboard"')[2].partition("</section>")[0]
    lines = dict(re.findall(r'<tr[^>]*><th scope="row">(.*?)</th>(.*?)</tr>', section, re.S))
    assert list(lines)[-1] == "paper&#39;s best" and {"mine+lbfgs", "mmpinn+lbfgs"} <= set(lines)
    assert lines["mine+lbfgs"].count('href="#run-') == 2 and "†" not in lines["mine+lbfgs"]
    assert "All 6 cells keep the protocol." in section
    assert "3 entries on 2 problems (jax, numerics paper): 6 runs" in text and "Where MMPINN wins" not in text

    deviating = kept.assign(**{"deviates in": ["network"] + [""] * 5})
    deviating.to_csv(reports / "tables/protocol.csv", index=False)
    monkeypatch.setattr(content, "MOST_RUNS", 5)
    monkeypatch.setattr(tables, "MOST_ROWS", 5)
    text = _page(reports, inputs)
    assert text.count(" †<") == 1 and "1 of 6 cells deviate" in text
    assert text.count('class="run"') == 6, "a line for all seeds of a run, here one"
    assert "6 rows, too many for this page" in text and 'href="tables/leaderboard.html"' in text


def _page(reports: Path, inputs: Inputs) -> str:
    """The page, every link within which leads somewhere."""
    page = reports / "index.html"
    write_page(page, inputs)
    elements = Elements(page)
    ids = set(elements.all("id"))
    assert not [link for link in elements.all("href") if link.startswith("#") and link[1:] not in ids]
    return page.read_text(encoding="utf-8")


def test_seeds_in_one_line_have_their_medians_and_the_command_of_the_first():
    runs = summary_of(*seeds_of([1e-3, 3e-3, None], command="as typed"), *seeds_of([1.0], method="mmpinn"))
    first, second = run_rows(runs, Path.as_posix, together=True)
    cells = dict(zip([name for name, _ in run_columns(runs)], (cell.text for cell in first.cells), strict=True))
    assert (cells["seed"], cells["status"]) == ("0;1;2", "2 finished, 1 diverged")
    assert cells["relative L2"] == "3.00e-03"
    assert (first.runs, second.runs) == (3, 1) and first.command == "as typed"
    assert first.folder == "results/paper/heat-0.3/pinn/jax/paper/" and first.specification.endswith("/0/run.json")
    assert first.id == run_rows(runs, Path.as_posix)[0].id
