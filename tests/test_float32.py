"""Why float32 stalls: the table of stages that rounding ended, and what is said of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from solvers.runs.record import read_history
from solvers.runs.run import run
from tests.conftest import CATALOGUE, smoke_spec
from workflow.analysis.float32 import float32_stops
from workflow.analysis.summary import summarise
from workflow.analysis.writing import write_table
from workflow.page.float32 import sentences, stops

METHOD = ("heat-0.15", "pinn")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> pd.DataFrame:
    """A run in float32 that rounding is said to have ended after ten iterations of L-BFGS, and one in float64."""
    root = tmp_path_factory.mktemp("runs")
    more = ["optimizers.lbfgs.iterations=60", "optimizers.lbfgs.evaluations=90"]
    for numerics, longer in (("paper", []), ("strict", more)):
        run(smoke_spec(METHOD, "torch", numerics, overrides=["evaluation.every=1", *longer]), root / numerics)
    summary = summarise([root / "paper", root / "strict"])
    summary.loc[0, "stage_reasons"] = "iteration-limit;no-decrease"
    return summary


def test_the_numbers_are_those_of_the_histories(made: pd.DataFrame):
    (row,) = float32_stops(made, CATALOGUE).to_dict("records")
    ours, exact = (read_history(Path(folder)) for folder in made.folder)
    ours, exact = (found[found.stage == 1].drop_duplicates("iteration") for found in (ours, exact))
    loss = ours.objective.iloc[-1]
    assert row["stalled"] and row["loss"] == loss and row["unit"] == np.spacing(np.float32(loss))
    assert row["authors' iterations"] == 37557
    last = (ours.objective.iloc[-2] - loss) / (ours.iteration.iloc[-1] - ours.iteration.iloc[-2])
    assert row["units a step"] == pytest.approx(last / row["unit"])
    left = exact[exact.objective <= loss]
    assert row["float64: iterations from there"] == left.iteration.iloc[-1] - left.iteration.iloc[0]
    assert len(left) > 10
    fall = left.objective.iloc[0] - left.objective.iloc[-1]
    mean = fall / (left.iteration.iloc[-1] - left.iteration.iloc[0])
    assert row["float64: units a step, mean"] == pytest.approx(mean / row["unit"])
    assert [row["error"], row["float64: error"]] == list(made.rel_l2)


def test_a_run_that_went_on_to_its_budget_is_not_in_the_table(made: pd.DataFrame):
    kept = made.assign(stage_reasons="iteration-limit;iteration-limit")
    assert list(float32_stops(kept, CATALOGUE).columns) == ["note"]


def test_without_a_run_in_float64_nothing_stands_beside(made: pd.DataFrame):
    (row,) = float32_stops(made[:1], CATALOGUE).to_dict("records")
    assert row["stalled"] and np.isnan(row["float64: iterations from there"]) and np.isnan(row["float64: error"])


def frame_of(**columns) -> pd.DataFrame:
    """Two stages that stalled, with float64 beside them."""
    return pd.DataFrame(
        {
            **{"experiment": "heat-0.15", "method": ["pinn", "mmpinn"], "backend": "jax", "seed": 0},
            **{"numerics": "paper", "level": 1, "stalled": True, "iterations": 2, "authors' iterations": 37557.0},
            **{"loss": [1e6, 2e6], "unit": [0.0625, 0.125], "units a step": [0.5, np.nan], "error": [0.97, 0.98]},
            **{"float64: iterations from there": [100.0, 200.0], "float64: units a step, mean": [300.0, 400.0]},
            **{"float64: error": [1.1, 1.2]},
        }
        | columns
    )


MEAN, AFTER, ERROR = "float64: units a step, mean", "float64: iterations from there", "float64: error"


@pytest.mark.parametrize(
    ("columns", "told", "not_told"),
    [
        (
            {},
            [
                "there was more to gain",
                "the stall hid no success",
                "300 to 400 of these units",
                "one seed a row",
            ],
            ["tells yet"],
        ),
        ({MEAN: [0.1, 0.2]}, ["the spacing of the loss alone explains the stop"], ["more to gain"]),
        ({MEAN: [0.1, 20.0]}, ["less than float32 can show in some rows, more in others"], ["explain"]),
        ({ERROR: [0.1, 0.2]}, ["the stall hid a smaller error"], ["no success"]),
        ({ERROR: [0.1, 1.2]}, ["it was lower in 1 of 2"], []),
        (
            {AFTER: [np.nan, 9.0]},
            ["one of these rows went on", "no run in float64 tells yet: heat-0.15 pinn on jax"],
            [],
        ),
        ({AFTER: np.nan}, ["heat-0.15 pinn on jax, heat-0.15 mmpinn on jax"], ["explain", "error"]),
    ],
)
def test_sentences_follow_the_numbers(columns, told, not_told):
    text = " ".join(sentences(frame_of(**columns)))
    assert "2 of them stalled" in text and "1e+06 to 2e+06" in text
    assert "in the 1 stages of more than one record, had lowered it by 0.5 of these units each, in 1 by" in text
    assert all(part in text for part in told) and not any(part in text for part in not_told)


def test_the_section_is_there_only_if_a_run_stalled(tmp_path):
    write_table(frame_of(), tmp_path / "some", "float32-stops")
    write_table(frame_of(stalled=False), tmp_path / "none", "float32-stops")
    found = stops([tmp_path / "some/float32-stops.csv"], {}, lambda path: str(path))
    assert found and len(found.table.rows) == 2 and "experiment" in found.table.columns
    assert stops([tmp_path / "none/float32-stops.csv"], {}, str) is None
    assert stops([], {}, str) is None
