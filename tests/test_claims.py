"""The paper's claims: pairs decided by the manifest's rules, and the sentences that say so."""

import re

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CATALOGUE
from tests.summaries import seeds_of, summary_of
from workflow.analysis.claims import claims
from workflow.analysis.writing import write_table
from workflow.manifest import read_manifest
from workflow.page.claims import told, told_in

MANIFEST = read_manifest(CATALOGUE)
HIGH, LOW = [1.5, 2.0, 3.0], [1e-3, 2e-3, 3e-3]
STALLED = {"stage_iterations": "2000;2", "stage_reasons": "iteration-limit;no-decrease"}
RIDGE = {"experiment": "pulse", "stage_iterations": "2000;9999"}


def runs_of(method: str, errors: list, **more) -> list[dict]:
    return seeds_of(errors, **(RIDGE | {"method": method} | more))


def judged(*runs: dict, claim: str, baseline: str = "pinn", method: str = "mmpinn-grs", **where) -> pd.Series:
    """The row of one pair."""
    table = claims(summary_of(*runs), CATALOGUE)
    found = table[(table.claim == claim) & (table.baseline == baseline) & (table.method == method)]
    for column, value in where.items():
        found = found[found[column] == value]
    (row,) = found.to_dict("records")
    return pd.Series(row)


def test_the_pairs_are_those_of_which_the_authors_numbers_say_so():
    """All pairs of their rows from above to below, and none but pairs in which their numbers are those claimed."""
    rules = MANIFEST.claims
    authors = {
        (row.experiment, row.method): CATALOGUE.experiment(row.experiment).methods[row.method].authors
        for row in MANIFEST.rows
    }
    (fall,) = [claim for claim in rules.list if claim.measure == "fall"]
    falling = {
        (experiment, one, other)
        for (experiment, one), high in authors.items()
        for (same, other), low in authors.items()
        if same == experiment and other.startswith("mmpinn") and high.rel_l2 and low.rel_l2
        if high.rel_l2 > rules.above and low.rel_l2 < rules.below
    }
    assert {(p.experiment, p.baseline, p.method) for p in fall.pairs} == falling
    for claim in rules.list:
        for pair in claim.pairs:
            one, other = (authors[pair.experiment, name] for name in (pair.baseline, pair.method))
            if claim.measure == "iterations":
                assert sum(one.lbfgs_iterations) > sum(other.lbfgs_iterations)
            else:
                assert one.rel_l2 > other.rel_l2


@pytest.mark.parametrize(
    ("baseline", "method", "outcome", "because", "so_far"),
    [
        (HIGH, LOW, "holds", "", ""),
        (LOW, LOW, "contradicted", "", ""),
        (HIGH, [0.02, 0.02, 0.02], "contradicted", "", ""),
        (HIGH, [1e-3, None, None], "contradicted", "", ""),
        ([None, None, None], LOW, "holds", "", ""),
        (HIGH[:2], LOW, "open", "too few seeds", "for"),
        (HIGH[:1], [0.5], "open", "too few seeds", "against"),
        ([], LOW, "not run", "", ""),
    ],
)
def test_a_fall_is_judged_by_medians(baseline, method, outcome, because, so_far):
    row = judged(*runs_of("pinn", baseline), *runs_of("mmpinn-grs", method), claim="fall")
    assert (row.outcome, row["open because"], row["so far"]) == (outcome, because, so_far)
    assert row.missing == ("" if baseline else "pinn")


@pytest.mark.parametrize("which", ["pinn", "mmpinn-grs"])
def test_a_stall_is_no_result(which):
    """Of the baseline or of the method, whatever their errors: it points to nothing."""
    runs = [runs_of(name, errors, **(STALLED if name == which else {})) for name, errors in METHODS]
    row = judged(*runs[0], *runs[1], claim="fall")
    assert (row.outcome, row["open because"], row["so far"]) == ("open", "stalled", "")
    assert "stalled, which says nothing" in text_of(told(claims(summary_of(*runs[0], *runs[1]), CATALOGUE)))


METHODS = (("pinn", HIGH), ("mmpinn-grs", LOW))


@pytest.mark.parametrize(
    ("ratios", "outcome", "because"),
    [
        ([2, 2.1, 2.2], "holds", ""),
        ([0.5, 0.49, 0.48], "contradicted", ""),
        ([0.5, 2, 3], "open", "the interval holds 1"),
        ([2, 2.1, None], "open", "a run did not finish"),
    ],
)
def test_an_error_is_judged_by_the_interval_of_the_ratio(ratios, outcome, because):
    base = [1e-2 if ratio else None for ratio in ratios]
    runs = [*runs_of("mmpinn", base), *runs_of("mmpinn-grs", [1e-2 / (ratio or 1) for ratio in ratios])]
    row = judged(*runs, claim="groups", baseline="mmpinn")
    assert (row.outcome, row["open because"]) == (outcome, because)
    if None not in ratios:
        logs = np.log10(ratios)
        half = 4.302652729911275 * logs.std(ddof=1) / np.sqrt(3)  # Student's t, two degrees of freedom
        assert (row.low, row.high) == pytest.approx(10.0 ** (logs.mean() + np.array([-half, half])))
        assert row["smallest p of the sign test"] == 0.25


@pytest.mark.parametrize(
    ("counts", "errors", "outcome"),
    [
        ([5000, 5100, 5200], LOW, "holds"),
        ([5000, 5100, 5200], [9.0, 9.0, 9.0], "contradicted"),
        ([20000, 20100, 20200], LOW, "contradicted"),
        ([5000, 12000, 30000], LOW, "open"),
    ],
)
def test_fewer_iterations_count_only_with_an_error_that_is_no_larger(counts, errors, outcome):
    runs = runs_of("mmpinn-grs", errors)
    runs = [run | {"iterations": count} for run, count in zip(runs, counts, strict=True)]
    row = judged(*runs_of("pinn", HIGH, iterations=12000), *runs, claim="iterations")
    assert row.outcome == outcome


def test_budgets_that_are_used_up_tell_nothing_of_iterations():
    used = {"stage_reasons": "iteration-limit;iteration-limit"}
    runs = [*runs_of("pinn", HIGH, iterations=9, **used), *runs_of("mmpinn-grs", LOW, iterations=3, **used)]
    row = judged(*runs, claim="iterations")
    assert (row.outcome, row["open because"], row["so far"]) == ("open", "all budgets were used up", "")


def test_backends_and_numerics_are_judged_apart():
    runs = [
        *runs_of("pinn", HIGH),
        *runs_of("mmpinn-grs", LOW),
        *runs_of("pinn", HIGH, numerics="strict"),
        *runs_of("mmpinn-grs", HIGH, numerics="strict"),
        *runs_of("mmpinn-grs", LOW, backend="torch"),
    ]
    found = {
        (backend, numerics): judged(*runs, claim="fall", backend=backend, numerics=numerics)
        for backend, numerics in (("jax", "paper"), ("jax", "strict"), ("torch", "paper"))
    }
    assert [row.outcome for row in found.values()] == ["holds", "contradicted", "not run"]
    assert [row["paper's conditions"] for row in found.values()] == [True, False, True]
    first = told(claims(summary_of(*runs), CATALOGUE))[0]
    assert [line.word for line in first.lines] == ["holds where decided", "does not hold"]
    assert [line.papers for line in first.lines] == [True, False]
    assert first.untold == "torch with numerics paper" and first.fixed == "2026-11-27"


def test_runs_at_another_scale_are_marked():
    runs = [*runs_of("pinn", HIGH, scale="quick"), *runs_of("mmpinn-grs", LOW, scale="quick")]
    assert not claims(summary_of(*runs), CATALOGUE)["paper's conditions"].any()


def text_of(found) -> str:
    return " ".join(line.text for one in found for line in one.lines)


def test_sentences_tell_numbers_interval_test_and_seeds(tmp_path):
    """From the table in memory and from its file alike."""
    table = claims(summary_of(*runs_of("pinn", HIGH), *runs_of("mmpinn-grs", LOW)), CATALOGUE)
    write_table(table, tmp_path, "claims")
    found = told_in([tmp_path / "claims.csv"])
    assert found == told(table)
    assert re.search(
        r"Holds in 1 of 6 pairs: pulse, pinn to mmpinn-grs: error 2\.00e\+00 to 2\.00e-03 \(medians of 3 seeds; "
        r"the authors': 1\.28e\+00 to 5\.73e-04\), "
        r"ratio 1,145 \(95 %: [\d,.]+ to [\d,.]+\), sign test p = 0\.25, the least that 3 seeds can give",
        text_of(found),
    )
    assert told_in([]) == []


def test_a_page_without_a_pair_of_the_claims_says_nothing_of_them(tmp_path):
    """Such as that of a problem of one's own."""
    write_table(claims(summary_of(*runs_of("pinn", HIGH)), CATALOGUE), tmp_path, "claims")
    assert told_in([tmp_path / "claims.csv"]) == []


def test_one_seed_says_nothing_of_the_spread():
    found = told(claims(summary_of(*runs_of("pinn", [2.0]), *runs_of("mmpinn-grs", [1e-3])), CATALOGUE))
    assert "Open in 1 (one seed: nothing can be said about spread, so far for it)" in text_of(found)
    assert found[0].lines[0].word == "not decided"
