"""Statistics of errors over the seeds, by numbers that are known by hand or by another way."""

import numpy as np
import pytest
from scipy import stats

from tests.conftest import CATALOGUE
from tests.summaries import seeds_of, summary_of
from workflow.analysis.statistics import (
    bootstrap_interval,
    holm,
    median,
    paired,
    paired_tests,
    quartiles,
    statistics,
)
from workflow.analysis.targets import cost_ratios, profile, profiles, targets

INF = np.inf


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1e-3], (np.nan, np.nan)),
        ([1e-3, 1e-3, 1e-3], (1e-3, 1e-3)),
        ([1e-3, 3e-3, 2e-3], (1e-3, 3e-3)),  # three values: nothing short of their range
        ([1e-3, 2e-3, INF], (1e-3, INF)),
        ([INF, INF, 2e-3], (2e-3, INF)),
        ([INF, INF, INF], (INF, INF)),
        ([INF] + [1e-3] * 40, (1e-3, 1e-3)),  # one failure in many does not move the median
    ],
)
def test_bootstrap_intervals(values, expected):
    assert bootstrap_interval(values) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0], (2, 2, 2)),
        ([3.0, 1.0], (1, 2, 3)),
        ([3.0, 1.0, 2.0], (1, 2, 3)),
        ([4.0, 3.0, 2.0, 1.0], (1.5, 2.5, 3.5)),
        ([5.0, 1.0, 2.0, 3.0, 4.0], (2, 3, 4)),
        ([1.0, 2.0, INF], (1, 2, INF)),
        ([1.0, 2.0, 3.0, np.nan], (1.5, 2.5, INF)),  # a missing value is larger than any other
        ([INF, INF], (INF, INF, INF)),
    ],
)
def test_quartiles_by_hand(values, expected):
    assert quartiles(values) == expected
    assert median(values) == expected[1]


def test_the_bootstrap_interval_narrows_with_the_seeds():
    values = 10 ** np.random.default_rng(0).normal(-3, 0.5, 60)
    few, many = (np.log10(bootstrap_interval(values[:n])) for n in (5, 60))
    assert many[1] - many[0] < few[1] - few[0]


def test_success_rates_count_failures():
    table = statistics(summary_of(*seeds_of([0.1, 5e-3, 5e-4, None])), CATALOGUE).iloc[0]
    assert list(table[["at or below 10 %", "at or below 1 %", "at or below 0.1 %"]]) == [0.75, 0.5, 0.25]
    assert (table.runs, table.finished, table.maximum) == (4, 3, INF)
    assert table["median"] == pytest.approx((5e-3 + 0.1) / 2)
    assert table["range holds the median with probability"] == 0.875


def test_an_error_left_by_a_run_that_did_not_finish_is_no_success():
    runs = seeds_of([1e-3, 1e-3])
    runs[1]["status"] = "diverged"
    table = statistics(summary_of(*runs), CATALOGUE).iloc[0]
    assert table["at or below 1 %"] == 0.5 and table.maximum == INF


def test_paired_logarithms_agree_with_scipy():
    a, b = np.array([1e-3, 2e-3, 4e-3, 3e-3]), np.array([2e-3, 6e-3, 5e-3, 9e-3])
    found = paired(a, b)
    theirs = stats.ttest_rel(np.log10(b), np.log10(a))
    assert found.t == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((10**low, 10**high))
    assert found.ratio == pytest.approx(stats.gmean(b / a))
    assert (found.a_smaller, found.b_smaller) == (4, 0)
    assert found.sign == found.smallest_sign == 0.125


@pytest.mark.parametrize(("count", "smallest"), [(1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_value_of_so_many_seeds(count, smallest):
    found = paired([1e-3] * count, [1e-2] * count)
    assert found.sign == found.smallest_sign == smallest


def test_degenerate_pairs():
    same = paired([1e-3, 2e-3], [1e-3, 2e-3])
    assert (same.ratio, same.low, same.high, same.sign) == pytest.approx((1, 1, 1, 1))
    assert np.isnan(same.t) and np.isnan(same.effect)
    failed = paired([1e-3, INF, 1e-3], [INF, INF, INF])
    assert (failed.a_smaller, failed.b_smaller, failed.sign) == (2, 0, 0.5)
    assert np.isnan([failed.ratio, failed.low, failed.t]).all()
    one = paired([1e-3], [2e-3])
    assert one.ratio == pytest.approx(2) and np.isnan([one.low, one.t, one.effect]).all()


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, np.nan, 0.6]) == pytest.approx([0.02, np.nan, 0.6], nan_ok=True)
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0


def test_tests_say_by_which_test_a_method_is_better():
    few = [1.0e-3, 1.1e-3, 1.2e-3]
    runs = [*seeds_of(few, method="mmpinn"), *seeds_of([1e-1, 1.1e-1, 1.3e-1], method="pinn")]
    row = paired_tests(summary_of(*runs), CATALOGUE).iloc[0]
    assert row["error of b / a"] == pytest.approx(100, rel=0.1)
    assert row["p, sign test, Holm"] == 0.25 and row["p, t test, Holm"] < 0.05
    assert row["shown at 5 %"] == "mmpinn is better, if the logarithms are normal"
    six = [*seeds_of([1e-3] * 6, method="mmpinn"), *seeds_of([1e-1, None] * 3, method="pinn")]
    assert paired_tests(summary_of(*six), CATALOGUE)["shown at 5 %"].item() == "mmpinn is better"
    alike = [*seeds_of(few, method="mmpinn"), *seeds_of(few[::-1], method="pinn")]
    assert paired_tests(summary_of(*alike), CATALOGUE)["shown at 5 %"].item() == "nothing"


def test_methods_are_compared_on_the_seeds_of_both():
    runs = [*seeds_of([1e-3, 1e-3, 1e-3], method="mmpinn"), *seeds_of([1e-2], method="pinn")]
    assert paired_tests(summary_of(*runs), CATALOGUE).seeds.item() == 1
    assert list(paired_tests(summary_of(*seeds_of([1e-3])), CATALOGUE)) == ["note"]


def test_a_target_that_is_not_reached_costs_infinitely_much():
    runs = [
        {"seed": seed, "evaluations_to_0.1": at, "seconds_to_0.1": at / 10} for seed, at in enumerate([10, 30])
    ]
    table = targets(summary_of(*runs, {"seed": 2}), CATALOGUE).set_index("target")
    ten = table.loc[0.1]
    assert (ten.runs, ten.reached) == (3, 2)
    assert list(ten[["evaluations, median", "evaluations, minimum", "evaluations, maximum"]]) == [30, 10, INF]
    assert table.loc[0.001].reached == 0 and table.loc[0.001, "CPU seconds, median"] == INF


def test_performance_profile_by_hand():
    """Two problems: on one `b` takes 4 times as long as `a`, on the other only `b` gets there; `c` never does."""
    to = "evaluations_to_0.1"
    runs = [
        {"seed": 0, "method": "mmpinn", to: 10},
        {"seed": 0, "method": "pinn", to: 40},
        {"seed": 1, "method": "mmpinn"},
        {"seed": 1, "method": "pinn", to: 7},
        {"seed": 0, "method": "sa-pinn", "experiment": "heat-0.15", to: 1},  # alone on its problem
    ]
    ratios = cost_ratios(summary_of(*runs), to)
    assert list(ratios.ratio) == [1, 4, INF, 1]
    assert list(profile(ratios.ratio[ratios.method == "pinn"], [1, 3, 4])) == [0.5, 0.5, 1.0]
    table = profiles(summary_of(*runs), CATALOGUE)
    row = table[(table.cost == "evaluations to 10 %") & (table.method == "mmpinn")].iloc[0]
    assert (row.problems, row["within 1 x"], row["within 100 x"], row.solved) == (2, 0.5, 0.5, 0.5)


def test_nobody_is_best_where_nobody_gets_there():
    ratios = cost_ratios(summary_of({"method": "pinn"}, {"method": "mmpinn"}), "seconds_to_0.001")
    assert list(ratios.ratio) == [INF, INF]
