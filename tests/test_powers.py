"""What a study of the exponents tells: the best pair, the pair that balances the terms before the training, and
what the failed runs have left."""

import numpy as np
import pandas as pd
import pytest

from solvers.configuration.axes import axes_of
from solvers.configuration.documents import AxisEntry
from tests.conftest import CATALOGUE
from tests.summaries import summary_of
from workflow.analysis import register
from workflow.analysis.powers import powers, sizes
from workflow.page.powers import powers_told
from workflow.sweep import Sweep

START = "initial=1;boundary=9;residual.late=400;residual.early=600"
PAIRS = {(1, 1): 0.9, (1, 3): 1e-3, (3, 1): 1.2, (3, 3): 4e-3, (1, 6): 2e-2}


def study(errors: dict = PAIRS, start: str = START, lasts: dict | None = None, **also) -> pd.DataFrame:
    """A run for each pair, all of seed 0."""
    runs = [
        {"rel_l2": error, "terms_first": start, "terms_last": (lasts or {}).get(pair, start), "seed": i} | also
        for i, (pair, error) in enumerate(errors.items())
    ]
    pairs = {"supervised": [pair[0] for pair in errors], "residual": [pair[1] for pair in errors]}
    return summary_of(*runs).assign(seed=0, **pairs)


def test_terms_are_summed_over_conditions_and_over_groups():
    assert sizes(START) == (10, 1000)
    assert np.isnan(sizes("")).all() and np.isnan(sizes("residual=3")[0])


def test_the_balancing_pair_is_that_of_equal_powers_of_the_terms():
    """10^(1/1) = 1000^(1/3)."""
    (row,) = powers(study(), CATALOGUE).to_dict("records")
    assert (row["best pair"], row["balancing pair"], row["its rank"]) == ("(1, 3)", "(1, 3)", 1)
    assert (row["its error"], row["error of (1, 1)"], row["balancing over best"]) == (1e-3, 0.9, 1)
    (row,) = powers(study(start="boundary=10;residual=1e6"), CATALOGUE).to_dict("records")
    assert (row["balancing pair"], row["its rank"], row["balancing over best"]) == ("(1, 6)", 3, 20)
    (row,) = powers(study(start="boundary=10;residual=10"), CATALOGUE).to_dict("records")
    assert row["balancing pair"] == "(1, 1)", "of equal ones the smaller powers"


def test_failed_runs_are_told_apart_by_what_they_left():
    """The residual fell by four decades and the conditions by one, or the other way round."""
    lasts = {(1, 1): "initial=0.1;boundary=0.9;residual=0.1", (3, 1): "initial=1e-9;boundary=1e-9;residual=999"}
    (row,) = powers(study(lasts=lasts), CATALOGUE).to_dict("records")
    assert (row["runs"], row["failed"], row["residual left"], row["conditions left"]) == (5, 2, 1, 1)
    told = powers_told(pd.DataFrame([row]))
    assert told[0].startswith(
        "The terms at the start tell the powers (jax, numerics paper, one seed, so not decided)"
    )
    assert "within 2 times the smallest error on 1 of 1 problem," in told[0]
    assert "the plain sum, (1, 1), costs 900 times" in told[0]
    assert told[1] == (
        "Of 5 runs 2 failed: 1 left the residual where it was, or fell behind in it, 1 the conditions."
    )


def test_a_problem_without_an_error_or_without_terms_is_left_out():
    failed = study({pair: float("nan") for pair in PAIRS}, status="diverged")
    for summary in (failed, study(start="")):
        assert list(powers(summary, CATALOGUE).columns) == ["note"]
        assert powers_told(powers(summary, CATALOGUE)) == []


@pytest.mark.parametrize(
    ("path", "made"),
    [("levels.0.balancing.exponents", True), ("balancing.exponents", True), ("levels.0.balancing.other", False)],
)
def test_the_table_is_made_where_the_axes_are_exponents(path, made):
    entries = [AxisEntry(path=f"{path}.{name}", values=[1, 2], name=name) for name in ("supervised", "residual")]
    keys = tuple((axis.name, axis.stated["path"].key) for axis in axes_of(entries, "here"))
    assert register.table("powers").applies(register.Shown((2, 2), keys)) == made


def test_the_shipped_studies_of_exponents_have_it():
    for name in ("exponents", "powers", "powers-full"):
        assert "powers" in Sweep.from_command_line(CATALOGUE, [f"study={name}"]).tables()
    assert "powers" not in Sweep.from_command_line(CATALOGUE, ["study=ablation"]).tables()
