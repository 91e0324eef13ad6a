"""Backends and numerics beside each other, and the figures of costs."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CATALOGUE
from tests.summaries import seeds_of, summary_of
from workflow.analysis import backends as compared
from workflow.analysis import register
from workflow.analysis.backends import Difference, first_difference
from workflow.analysis.beyond import beyond
from workflow.analysis.numerics import Conclusion, conclusions, lbfgs_stages, numerics
from workflow.analysis.summary import read_summary
from workflow.analysis.writing import harmless, write_table
from workflow.page.sentences import SENTENCES, in_sentences


def history(objective: list[float], stage: list[int] | None = None) -> pd.DataFrame:
    """A history with a row every 10 iterations."""
    count = len(objective)
    return pd.DataFrame(
        {"iteration": 10 * np.arange(count), "stage": stage or [0] * count, "objective": objective}
    )


@pytest.mark.parametrize(
    ("second", "stage", "tolerance", "expected"),
    [
        ([8.0, 4.0, 2.0, 1.0], None, 1e-3, np.nan),
        ([8.0, 4.0, 2.003, 1.2], None, 1e-3, 20),
        ([8.0, 4.0, 2.003, 1.2], None, 1e-1, 30),
        ([8.0, 4.0, 2.0, 1.0], [0, 0, 1, 1], 1e-1, 20),  # another stage
        ([8.0, 4.0], None, 1e-1, 10),  # one went on
        ([0.0, 4.0, 2.0, 1.0], None, 1e-1, 0),
    ],
)
def test_where_trajectories_begin_to_differ(second, stage, tolerance, expected):
    first, other = history([8.0, 4.0, 2.0, 1.0]), history(second, stage)
    for pair in ((first, other), (other, first)):
        assert first_difference(*pair, tolerance) == pytest.approx(expected, nan_ok=True)


def test_nothing_differs_without_a_history():
    assert np.isnan(first_difference(history([1.0]), pd.DataFrame(), 1e-3))


def test_a_row_that_only_one_history_has_is_not_compared():
    first = history([8.0, 4.0, 2.0, 1.0])
    assert np.isnan(first_difference(first, first.drop(index=2), 1e-3))


@pytest.fixture
def without_histories(monkeypatch):
    monkeypatch.setattr(compared, "checked_record", lambda folder: None)
    monkeypatch.setattr(compared, "read_history", lambda folder: history([1.0, 0.5]))


def sentences(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """As the page shows it, from its file, which has names."""
    column, _ = SENTENCES[name]
    assert set(table[column]) <= {*map(str, Difference), *map(str, Conclusion)}
    written = StringIO(harmless(table).to_csv(index=False, float_format="%.6g"))
    return in_sentences(pd.read_csv(written, dtype=str, keep_default_na=False), name)


def verdict(jax: list[dict], torch: list[dict]) -> str:
    runs = [run | {"backend": "jax"} for run in jax] + [run | {"backend": "torch"} for run in torch]
    return sentences(compared.backends(summary_of(*runs), CATALOGUE), "backends").verdict.item()


ERRORS = [1e-3, 2e-3, 4e-3]


@pytest.mark.usefixtures("without_histories")
@pytest.mark.parametrize(
    ("torch", "expected"),
    [
        (ERRORS, "no difference beyond rounding chaos"),
        ([1.5e-3, 1.8e-3, 3.1e-3], "no difference beyond rounding chaos"),  # now more, now less
        ([1.10e-3, 2.21e-3, 4.39e-3], "differs: error x1.1 (inside the spread of the seeds)"),
        ([1.0e-2, 2.1e-2, 4.2e-2], "differs: error x10.3"),
        ([1.0e-4, 2.1e-4, 4.2e-4], "differs: error x0.103"),
        ([1e-3, 2e-3, None], "differs: 3 of 3 finished with a, 2 with b"),
    ],
)
def test_the_verdict_on_two_backends(torch, expected):
    assert verdict(seeds_of(ERRORS), seeds_of(torch)) == expected


@pytest.mark.usefixtures("without_histories")
def test_what_seeds_cannot_tell_is_said():
    assert verdict(seeds_of([1e-3]), seeds_of([5e-3])) == "cannot tell: one seed"
    assert verdict(seeds_of([None]), seeds_of([None])) == "cannot tell: no run finished"
    assert verdict(seeds_of([1e-3, None]), seeds_of([None, 1e-3])) == "cannot tell: not the same seeds finished"


@pytest.mark.usefixtures("without_histories")
def test_a_systematic_difference_of_evaluations_is_told():
    more = [run | {"function_evaluations": 220 + i} for i, run in enumerate(seeds_of(ERRORS))]
    assert verdict(seeds_of(ERRORS), more) == "differs: evaluations x2.01"
    worse = [run | {"rel_l2": 10.0 * run["rel_l2"]} for run in more]
    assert verdict(seeds_of(ERRORS), worse) == "differs: error x10; evaluations x2.01"


@pytest.mark.usefixtures("without_histories")
def test_costs_stand_beside_each_other_on_the_seeds_of_both():
    runs = [run | {"backend": "jax"} for run in seeds_of(ERRORS)]
    runs.append({"backend": "torch", "seed": 1, "rel_l2": 4e-3, "cpu_seconds": 22.0, "wall_seconds": 44.0})
    row = compared.backends(summary_of(*runs), CATALOGUE).iloc[0]
    assert (row.a, row.b, row.seeds) == ("jax", "torch", 1)
    assert row["error b / a"] == pytest.approx(2)
    assert row["CPU ms per evaluation, a"] == pytest.approx(1e4 / 110)
    assert row["CPU ms per evaluation, b"] == pytest.approx(200)
    assert (row["wall / CPU, a"], row["wall / CPU, b"]) == pytest.approx((1.05, 2))
    assert (row["contended runs, a"], row["contended runs, b"]) == (0, 1)


def test_what_cannot_be_compared_is_said():
    one = summary_of({})
    for make in (compared.backends, numerics, conclusions):
        assert make(one, CATALOGUE).note.str.startswith("nothing to compare").all()


@pytest.mark.usefixtures("without_histories")
@pytest.mark.parametrize("name", [one.name for one in register.TABLES if one.applies(register.Shown(()))])
def test_a_run_that_left_nothing_is_counted_in_every_table(name, tmp_path):
    """It failed before its first stage: no error, no counts, no stages, no history."""
    parts = ("optimizers", "levels", "precisions", "iterations", "evaluations", "reasons")
    nothing = {f"stage_{part}": "" for part in parts} | {"cpu_seconds": 0.0, "wall_seconds": 0.0}
    nothing |= {"iterations": 0, "function_evaluations": 0, "gradient_evaluations": 0}
    failed = [run | nothing | {"backend": backend} for run in seeds_of([None]) for backend in ("jax", "torch")]
    summary = summary_of(*failed, {"method": "mmpinn"})
    summary.to_csv(tmp_path / "summary.csv", index=False)
    pd.testing.assert_frame_equal(read_summary(tmp_path / "summary.csv"), summary)
    table = register.table(name).load()(summary, CATALOGUE)
    write_table(table, tmp_path, name)
    assert len(table) > 0


def strict(runs: list[dict]) -> list[dict]:
    return [run | {"numerics": "strict"} for run in runs]


def test_stages_of_lbfgs_are_taken_apart():
    stages = lbfgs_stages(
        summary_of(
            {
                "stage_optimizers": "adam;lbfgs;lbfgs",
                "stage_levels": "0;0;1",
                "stage_precisions": "float32;float32;float64",
                "stage_iterations": "50;40;1",
                "stage_evaluations": "50;44;20",
                "stage_reasons": "iteration-limit;gradient;no-decrease",
            }
        )
    )
    assert stages.to_numpy().tolist() == [[1, 40, 44, "gradient"], [2, 1, 20, "no-decrease"]]


def test_numerics_stand_beside_each_other_level_by_level():
    runs = strict([{"stage_iterations": "50;900", "stage_reasons": "iteration-limit;iteration-limit"}])
    row = numerics(summary_of({}, *runs), CATALOGUE).iloc[0]
    assert (row["paper: iterations"], row["strict: iterations"]) == (50, 900)
    assert (row["paper: stop reasons"], row["paper: runs by reason"]) == ("gradient", "1")
    assert (row["strict: stop reasons"], row["strict: runs by reason"]) == ("iteration-limit", "1")


@pytest.mark.parametrize(
    ("in_paper", "in_strict", "conclusion"),
    [
        (1e-2, 1e-2, "holds with all numerics: the methods'"),
        (1e-2, 1e-4, "holds with paper only: the stop rule's or the precision's"),
        (1e-4, 1e-2, "holds with strict only: the stop rule's or the precision's"),
        (1e-4, 1e-4, "does not hold"),
        (None, 1e-2, "holds with all numerics: the methods'"),  # PINN failed
    ],
)
def test_conclusions_of_the_paper(in_paper, in_strict, conclusion):
    """On heat-0.3 the authors have MMPINN before PINN; ours is always at 1e-3."""
    runs = [*seeds_of([in_paper], method="pinn"), *seeds_of([1e-3], method="mmpinn")]
    runs += strict([*seeds_of([in_strict], method="pinn"), *seeds_of([1e-3], method="mmpinn")])
    row = sentences(conclusions(summary_of(*runs), CATALOGUE), "conclusions").iloc[0]
    assert (row.a, row.b, row.conclusion) == ("mmpinn", "pinn", conclusion)


def test_what_was_run_with_one_numerics_only_is_no_conclusion():
    runs = [*seeds_of([1e-2], method="pinn"), *seeds_of([1e-3], method="mmpinn")]
    alone = strict([{"method": "pinn"}, {"method": "mmpinn", "seed": 1}])
    table = sentences(conclusions(summary_of(*runs, *alone), CATALOGUE), "conclusions")
    assert table.conclusion.item() == "cannot tell: compared with paper only"
    failed = strict([*seeds_of([None], method="pinn"), *seeds_of([None], method="mmpinn")])
    table = conclusions(summary_of(*runs, *failed), CATALOGUE)
    assert table["strict: error of b / a"].item() == 1 and table.conclusion.item() == Conclusion.SOME
    assert "paper only" in sentences(table, "conclusions").conclusion.item()


def test_methods_beyond_the_paper_stand_beside_its_best():
    runs = seeds_of([2e-4, 1e-6, None], method="bfgs") + seeds_of([1e-4], method="mmpinn")
    found = beyond(summary_of(*runs), CATALOGUE)
    assert found.method.tolist() == ["bfgs"], "the paper's own are not beyond it"
    row = found.iloc[0]
    assert (row.runs, row.finished) == (3, 2)
    assert (row["paper's best method"], row["paper's best relative L2"]) == ("mmpinn", 1.610665e-4)
    assert row["relative L2, median"] == 2e-4 and np.isinf(row["worst over paper's best"]), "a failure counts"
    tuned = beyond(summary_of(*seeds_of([1e-5, 3e-5], method="bfgs-tuned")), CATALOGUE)
    assert tuned["worst over paper's best"].item() == pytest.approx(3e-5 / 1.610665e-4)


def test_where_the_authors_give_no_error_nothing_is_compared():
    unknown = seeds_of([1e-5], experiment="heat-0.11", method="bfgs")
    (row,) = beyond(summary_of(*unknown), CATALOGUE).to_dict("records")
    assert row["paper's best method"] == "" and np.isnan(row["worst over paper's best"])
