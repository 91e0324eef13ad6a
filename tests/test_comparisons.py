"""Backends and numerics beside each other, and the figures of costs."""

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CATALOGUE
from tests.summaries import seeds_of, summary_of
from workflow.analysis import backends as compared
from workflow.analysis.backends import CHAOS, parting
from workflow.analysis.numerics import conclusions, lbfgs_stages, numerics
from workflow.analysis.summary import read_summary
from workflow.analysis.tables import TABLES, write_table


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
def test_where_trajectories_part(second, stage, tolerance, expected):
    first, other = history([8.0, 4.0, 2.0, 1.0]), history(second, stage)
    for pair in ((first, other), (other, first)):
        assert parting(*pair, tolerance) == pytest.approx(expected, nan_ok=True)


def test_nothing_parts_without_a_history():
    assert np.isnan(parting(history([1.0]), pd.DataFrame(), 1e-3))


def test_a_row_that_only_one_history_has_is_not_compared():
    first = history([8.0, 4.0, 2.0, 1.0])
    assert np.isnan(parting(first, first.drop(index=2), 1e-3))


@pytest.fixture
def without_histories(monkeypatch):
    monkeypatch.setattr(compared, "read_history", lambda folder: history([1.0, 0.5]))


def verdict(jax: list[dict], torch: list[dict]) -> str:
    runs = [run | {"backend": "jax"} for run in jax] + [run | {"backend": "torch"} for run in torch]
    return compared.backends(summary_of(*runs), CATALOGUE).verdict.item()


ERRORS = [1e-3, 2e-3, 4e-3]


@pytest.mark.usefixtures("without_histories")
@pytest.mark.parametrize(
    ("torch", "expected"),
    [
        (ERRORS, CHAOS),
        ([1.5e-3, 1.8e-3, 3.1e-3], CHAOS),  # now more, now less
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


@pytest.mark.usefixtures("without_histories")
def test_costs_stand_beside_each_other_on_the_seeds_of_both():
    runs = [run | {"backend": "jax"} for run in seeds_of(ERRORS)]
    runs.append({"backend": "torch", "seed": 1, "rel_l2": 4e-3, "training_seconds": 22.0})
    row = compared.backends(summary_of(*runs), CATALOGUE).iloc[0]
    assert (row.a, row.b, row.seeds) == ("jax", "torch", 1)
    assert row["error b / a"] == pytest.approx(2)
    assert row["ms per evaluation, a"] == pytest.approx(100)
    assert row["ms per evaluation, b"] == pytest.approx(200)


def test_what_cannot_be_compared_is_said():
    one = summary_of({})
    for make in (compared.backends, numerics, conclusions):
        assert make(one, CATALOGUE).note.str.startswith("nothing to compare").all()


@pytest.mark.usefixtures("without_histories")
@pytest.mark.parametrize("name", TABLES)
def test_a_run_that_left_nothing_is_counted_in_every_table(name, tmp_path):
    """It failed before its first stage: no error, no counts, no stages, no history."""
    nothing = {f"stage_{part}": "" for part in ("optimizers", "levels", "iterations", "evaluations", "reasons")}
    nothing |= {"iterations": 0, "function_evaluations": 0, "gradient_evaluations": 0, "training_seconds": 0.0}
    failed = [run | nothing | {"backend": backend} for run in seeds_of([None]) for backend in ("jax", "torch")]
    summary = summary_of(*failed, {"method": "mmpinn"})
    summary.to_csv(tmp_path / "summary.csv", index=False)
    pd.testing.assert_frame_equal(read_summary(tmp_path / "summary.csv"), summary)
    table = TABLES[name](summary, CATALOGUE)
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
    assert row["paper: stopped because (runs)"] == "no-decrease (1)"
    assert row["strict: stopped because (runs)"] == "iteration-limit (1)"


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
    row = conclusions(summary_of(*runs), CATALOGUE).iloc[0]
    assert (row.a, row.b, row.conclusion) == ("mmpinn", "pinn", conclusion)


def test_what_was_run_with_one_numerics_only_is_no_conclusion():
    runs = [*seeds_of([1e-2], method="pinn"), *seeds_of([1e-3], method="mmpinn")]
    alone = strict([{"method": "pinn"}, {"method": "mmpinn", "seed": 1}])
    assert conclusions(summary_of(*runs, *alone), CATALOGUE).conclusion.item().startswith("cannot tell")
    failed = strict([*seeds_of([None], method="pinn"), *seeds_of([None], method="mmpinn")])
    table = conclusions(summary_of(*runs, *failed), CATALOGUE)
    assert table["strict: error of b / a"].item() == 1 and "paper only" in table.conclusion.item()
