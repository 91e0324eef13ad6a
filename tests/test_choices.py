"""What one choice for all problems costs: regret, what counts as lost, and the sentences."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CATALOGUE
from tests.summaries import seeds_of, summary_of
from workflow.analysis.choices import choices
from workflow.analysis.figures.choices import draw_choices
from workflow.analysis.figures.style import write_figure
from workflow.page.choices import choices_told
from workflow.page.opening import opening

PROBLEMS = ("heat-0.3", "poisson-2-50", "pulse", "helmholtz-1-8", "klein-gordon-5")


def study(errors: dict[str, dict[int, list[float | None]]], **also: object) -> pd.DataFrame:
    """A summary of errors by problem and value of the axis ``n``, seed by seed."""
    runs = [
        run | {"n": n}
        for problem, points in errors.items()
        for n, own in points.items()
        for run in seeds_of(own, experiment=problem, method="pinn", **also)
    ]
    plain = summary_of(*({k: v for k, v in run.items() if k != "n"} | {"seed": i} for i, run in enumerate(runs)))
    return plain.assign(seed=[run["seed"] for run in runs], n=[run["n"] for run in runs])


def test_regret_is_the_error_over_the_best_points_of_each_problem():
    table = choices(
        study({"heat-0.3": {1: [4e-3] * 3, 2: [1e-3] * 3}, "pulse": {1: [1e-2] * 3, 2: [9e-2] * 3}}), CATALOGUE
    )
    assert list(table.n) == [1, 2] and list(table.problems) == [2, 2] and list(table["best on"]) == [1, 1]
    np.testing.assert_allclose(table.regret, [2, 3])
    np.testing.assert_allclose(table["regret, largest"], [4, 9])
    np.testing.assert_allclose(table["error over the first's"], [1, np.sqrt(9 / 4)])
    assert table["regret, low"].isna().all(), "two problems are too few for an interval"


def test_no_error_counts_as_more_than_that_of_predicting_nothing():
    """Nor does a run that did not finish, and a problem on which nothing works says nothing."""
    errors = {"heat-0.3": {1: [50.0, 7.0, None], 2: [0.1] * 3}, "pulse": {1: [3.0] * 3, 2: [900.0] * 3}}
    table = choices(study(errors), CATALOGUE)
    np.testing.assert_allclose(table.regret, [np.sqrt(10), 1])
    assert list(table.lost) == [6, 3] and list(table.runs) == [6, 6]


def test_a_problem_that_lacks_a_point_is_left_out():
    table = choices(study({"heat-0.3": {1: [1e-3], 2: [2e-3]}, "pulse": {1: [1.0]}}), CATALOGUE)
    assert list(table.problems) == [1, 1] and list(table.runs) == [1, 1]


def test_numerics_and_backends_are_told_apart():
    both = pd.concat(
        [
            study({"heat-0.3": {1: [1e-3], 2: [2e-3]}}, backend=backend, numerics="paper")
            for backend in ("jax", "torch")
        ]
    )
    assert list(choices(both, CATALOGUE).backend) == ["jax", "jax", "torch", "torch"]


def test_a_consistent_difference_is_shown_and_chance_is_not():
    consistent = {
        p: {1: [1e-3 * f] * 2, 2: [3e-3 * f * (1 + i / 50)] * 2}
        for i, (p, f) in enumerate(zip(PROBLEMS, range(1, 6), strict=True))
    }
    table = choices(study(consistent), CATALOGUE)
    assert table["p, Holm"][1] < 0.01 and table.low[1] < 3.06 < table.high[1]
    best, against = choices_told(table)
    assert best == (
        "One choice for all 5 problems (jax, numerics paper, 2 seeds): n = 1 is the best on every one of them; "
        "n = 2 costs most, 3.12 times the best choice's error."
    )
    assert "larger with n = 2 (3.12 times)" in against and "0 of 1 choices differ within chance" in against
    mixed = {p: {1: [1e-3] * 2, 2: [1e-3 * f] * 2} for p, f in zip(PROBLEMS, (0.2, 5, 0.5, 2, 1), strict=True)}
    best, against = choices_told(choices(study(mixed), CATALOGUE))
    assert "n = 1 costs least; its median error is" in best and "the best on more than 3 of the problems" in best
    assert "No choice differs from n = 1 beyond chance" in against


def test_the_page_of_a_study_begins_with_them(tmp_path: Path):
    summary = study({"heat-0.3": {1: [1e-3], 2: [2e-3]}, "pulse": {1: [1e-3], 2: [4e-3]}})
    choices(summary, CATALOGUE).to_csv(tmp_path / "choices.csv", index=False)
    told = opening(summary, [tmp_path / "choices.csv"], CATALOGUE)
    assert "n = 1 is the best on every one of them" in told[1]


@pytest.mark.parametrize("complete", [True, False])
def test_the_figure_has_a_mark_for_each_point(complete, tmp_path: Path):
    own = {1: [1e-3], 2: [2e-3]} if complete else {1: [1e-3]}
    summary = study({"heat-0.3": {1: [1e-3], 2: [2e-3]}, "pulse": own})
    if not complete:
        summary = summary[(summary.experiment != "heat-0.3") | (summary.n == 2)]
    figure, table = draw_choices(summary, CATALOGUE)
    marks = sum(len(each.get_offsets()) for each in figure.axes[0].collections if hasattr(each, "get_sizes"))
    assert len(table) == (2 if complete else 0)
    assert not complete or marks >= 2
    write_figure(figure, table, tmp_path / "choices.pdf")
