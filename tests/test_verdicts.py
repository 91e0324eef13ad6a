"""The manifest of the paper, and the verdicts by its rules."""

import csv
import shutil

import numpy as np
import pytest
import yaml

from solvers.configuration import Catalogue, ConfigurationError
from tests.conftest import CATALOGUE, METHODS, ROOT
from tests.summaries import seeds_of, summary_of
from workflow.analysis.figures import FIGURES
from workflow.analysis.verdicts import Verdict, coverage, judge, pairs_in_order, verdict_counts, verdicts
from workflow.manifest import read_manifest

MANIFEST = read_manifest(CATALOGUE)
RULES = MANIFEST.rules
FAILED = np.inf

with (ROOT / "config/paper/authors_results.csv").open() as stream:
    PAPER = [(row["experiment"], row["method"]) for row in csv.DictReader(stream)]


def test_the_manifest_has_each_row_of_the_authors_once():
    assert len(PAPER) == 36
    assert [(row.experiment, row.method) for row in MANIFEST.rows] == PAPER


def test_every_experiment_of_the_manifest_has_its_figures():
    assert {family.figure for family in MANIFEST.figures} <= set(FIGURES)
    assert {name for family in MANIFEST.figures for name in family.experiments} == {e for e, _ in PAPER}


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        (("rules", "factor"), 0.5, ["rules.factor", "0.5"]),
        (("rules", "scale"), "papers", ["rules.scale", "papers", "allowed: paper"]),
        (("rows", 0, "experiment"), "heat-0.33", ["rows.0.experiment", "heat-0.33", "heat-0.3"]),
        (("rows", 0, "method"), "mpinn", ["rows.0.method", "mpinn", "pinn, mmpinn"]),
        (("rows", 1, "method"), "pinn", ["rows.1.method", "stands twice in heat-0.3"]),
        (("rows", 3, "because"), "", ["rows.3.because", "if and only if the rule is none"]),
        (("rows", 0, "rule"), "guess", ["rows.0.rule", "guess"]),
    ],
)
def test_a_mistake_in_the_manifest_is_named(tmp_path, key, value, parts):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    path = tmp_path / "config/paper/manifest.yaml"
    document = yaml.safe_load(path.read_text())
    *way, last = key
    place = document
    for step in way:
        place = place[step]
    place[last] = value
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigurationError) as error:
        read_manifest(Catalogue(tmp_path / "config"))
    for part in ["manifest.yaml", *parts]:
        assert part in str(error.value)


def test_a_rule_that_the_authors_numbers_do_not_allow_is_refused(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    path = tmp_path / "config/paper/manifest.yaml"
    path.write_text(
        path.read_text().replace("method: pinn, rule: error", "method: pinn, rule: none, because: x", 1)
    )
    with pytest.raises(ConfigurationError, match=r"rows\.0\.rule.*must be error"):
        read_manifest(Catalogue(tmp_path / "config"))


@pytest.mark.parametrize(
    ("authors", "ours", "ordered", "verdict"),
    [
        (None, [1e-3], True, Verdict.NOT_COMPARABLE),
        # both above 50 %, whatever the ratio; a run that did not finish counts
        (1.1, [0.9, 1.0, 7.0], False, Verdict.FAILED),
        (1.1, [FAILED, FAILED, 0.2], False, Verdict.FAILED),
        # the authors failed, we did not: never `reproduced`, however the order
        (1.1, [1e-3, 2e-3, 3e-3], True, Verdict.BETTER),
        (1.1, [0.40, 0.45, 0.49], True, Verdict.BETTER),
        # failures do not widen the interval, and half of the runs must finish
        (1e-3, [FAILED, FAILED, 1e-3], True, Verdict.WORSE),
        (1e-3, [FAILED, 1e-3], True, Verdict.WORSE),
        (1e-3, [FAILED, 1e-3, 1e-3], True, Verdict.REPRODUCED),
        (9e-3, [FAILED, 1e-3, 1e-3], False, Verdict.BETTER),
        # the interval, ends included
        (1e-3, [2e-3, 3e-3, 4e-3], False, Verdict.REPRODUCED),
        (0.99e-3, [2e-3, 3e-3, 4e-3], True, Verdict.WORSE),
        (8e-3, [2e-3, 3e-3, 4e-3], False, Verdict.REPRODUCED),
        # lower: the order decides
        (8.1e-3, [2e-3, 3e-3, 4e-3], True, Verdict.REPRODUCED),
        (8.1e-3, [2e-3, 3e-3, 4e-3], False, Verdict.BETTER),
        # higher, and above 50 % where the paper is not
        (1e-3, [0.9, 0.9, 0.9], True, Verdict.WORSE),
    ],
)
def test_verdicts_by_the_rules(authors, ours, ordered, verdict):
    assert judge(authors, ours, ordered, RULES)[0] == verdict


def test_pairs_that_failed_together_in_the_paper_do_not_count():
    authors = {"a": 1e-3, "b": 1.1, "c": 2.2, "unrun": 1e-4}
    assert pairs_in_order("a", authors, {"a": 0.1, "b": 0.2, "c": 0.05}, RULES) == (1, 2)
    assert pairs_in_order("b", authors, {"a": 0.1, "b": 0.2, "c": 0.05}, RULES) == (1, 1)
    assert pairs_in_order("a", authors, {"a": 0.1}, RULES) == (0, 0)


def heat(pinn: list, mmpinn: list, **axes) -> list[dict]:
    """Runs of heat-0.3, where the authors have 5.27e-4 (PINN) and 1.61e-4 (MMPINN)."""
    return [*seeds_of(pinn, method="pinn", **axes), *seeds_of(mmpinn, method="mmpinn", **axes)]


def test_the_order_of_the_methods_decides_where_ours_is_lower():
    low = [1e-5, 1e-5, 2e-5]
    reproduced = verdicts(summary_of(*heat(low, [1e-6] * 3)), CATALOGUE)
    assert list(reproduced.verdict) == ["reproduced", "reproduced"]
    assert list(reproduced["pairs in the paper's order"]) == ["1 of 1", "1 of 1"]
    turned = verdicts(summary_of(*heat([1e-6] * 3, low)), CATALOGUE)
    assert list(turned.verdict) == ["better", "better"]
    alone = verdicts(summary_of(*seeds_of(low)), CATALOGUE)
    assert list(alone.verdict) == ["better"]


def test_a_row_leads_to_its_runs_and_counts_failures():
    row = verdicts(summary_of(*heat([5e-4, None, 6e-4], [1e-4])), CATALOGUE).iloc[0]
    assert row.verdict == "reproduced" and row.statuses == "finished 2, diverged 1"
    assert (row["median"], row.minimum, row.maximum) == (6e-4, 5e-4, np.inf)
    assert row.folder == "results/paper/heat-0.3/pinn/jax/paper" and row.seeds == "0, 1, 2"


def test_other_conditions_are_marked_and_counted_apart():
    both = summary_of(*heat([5e-4], [1.6e-4]), *heat([5e-4], [1.6e-4], numerics="strict"))
    assert list(verdicts(both, CATALOGUE).conditions) == ["the paper's"] * 2 + ["other numerics (strict)"] * 2
    counts = verdict_counts(both, CATALOGUE).set_index("numerics")
    assert list(counts.loc["paper", ["conditions", "rows run", "reproduced"]]) == ["the paper's", 2, 2]
    assert list(counts.loc["strict", ["conditions", "rows run", "reproduced"]]) == ["other", 2, 2]
    quick = summary_of(*heat([5e-4], [1.6e-4], scale="quick"))
    assert set(verdicts(quick, CATALOGUE).conditions) == {"other budget (quick)"}
    noted = summary_of({"experiment": "heat-0.15", "method": "sa-pinn"})
    assert "line search" in verdicts(noted, CATALOGUE).conditions.item()


@pytest.mark.parametrize("method", [m for m in METHODS if m not in PAPER], ids="-".join)
def test_a_method_that_is_not_in_the_paper_is_not_compared(method):
    summary = summary_of({"experiment": method[0], "method": method[1]})
    row = verdicts(summary, CATALOGUE).iloc[0]
    assert (row.verdict, row.because) == ("not comparable", "not in the paper")
    assert list(verdict_counts(summary, CATALOGUE)) == ["note"]


def test_an_unknown_number_is_not_comparable_and_says_why():
    row = verdicts(summary_of({"experiment": "heat-0.11", "method": "mmpinn"}), CATALOGUE).iloc[0]
    assert row.verdict == "not comparable" and "first level only" in row.because


def test_coverage_lists_the_whole_paper_and_counts_the_runs():
    table = coverage(summary_of(*heat([1e-3, 1e-3], [1e-3])), CATALOGUE)
    assert len(table) == 36 + len(MANIFEST.figures)
    assert list(table["runs here"][:3]) == [2, 1, 0]
    fields = table[table["of the paper"].str.startswith("exact")].iloc[0]
    assert fields["runs here"] == 3
