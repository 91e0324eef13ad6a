"""The manifest of the paper, and the verdicts by its rules."""

import csv
import shutil

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from tests.conftest import CATALOGUE, METHODS, ROOT
from tests.summaries import seeds_of, summary_of
from workflow.analysis.judging import DIRECTIONS, UNDECIDED, Verdict, judge
from workflow.analysis.register import FIGURES
from workflow.analysis.stages import Stage
from workflow.analysis.statistics import median
from workflow.analysis.verdicts import coverage, pairs_in_order, verdict_counts, verdicts
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
    assert {family.figure for family in MANIFEST.figures} <= {figure.name for figure in FIGURES}
    assert {name for family in MANIFEST.figures for name in family.experiments} == {e for e, _ in PAPER}


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        (("rules", "factor"), 0.5, ["rules.factor", "0.5"]),
        (("rules", "fixed"), "last week", ["rules.fixed", "last week"]),
        (("rules", "stall", "share"), 1.5, ["rules.stall.share", "1.5"]),
        (("rules", "stall", "reasons"), ["bored"], ["rules.stall.reasons", "bored"]),
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


BOTH = [1e-3, 2e-3, 4e-3]


@pytest.mark.parametrize(
    ("authors", "ours", "verdict"),
    [
        (None, BOTH, Verdict.NOT_COMPARABLE),
        # both above 50 %, whatever the ratio; a run that did not finish is above
        (1.1, [0.9, 1.0, 7.0], Verdict.FAILED),
        (1.1, [0.9, FAILED, FAILED], Verdict.FAILED),
        # the authors failed, we did not: never `reproduced`
        (1.1, [1e-3, 2e-3, 3e-3], Verdict.BETTER),
        (1.1, [0.40, 0.45, 0.49], Verdict.BETTER),
        # one quartile on either side
        (1.1, [0.2, FAILED, FAILED], Verdict.SCATTERED),
        (1.1, [0.2, 0.3, 0.9], Verdict.SCATTERED),
        # the band around the authors' error, ends included
        (1e-3, BOTH, Verdict.REPRODUCED),
        (4e-3, BOTH, Verdict.REPRODUCED),
        (0.99e-3, BOTH, Verdict.WORSE),
        (4.1e-3, BOTH, Verdict.BETTER),
        # failures are the largest errors: the median first, then the quartiles
        (1e-3, [1e-3, FAILED, FAILED], Verdict.WORSE),
        (1e-3, [1e-3, 1e-3, FAILED, FAILED], Verdict.WORSE),
        (1e-3, [1e-3, 1e-3, FAILED], Verdict.SCATTERED),
        (1e-3, [1e-3, 1e-3, 1e-3, 1e-3, FAILED], Verdict.REPRODUCED),
        # quartiles a factor of ten apart, ends included
        (2e-3, [0.5e-3, 2e-3, 5e-3], Verdict.REPRODUCED),
        (2e-3, [0.5e-3, 2e-3, 5.1e-3], Verdict.SCATTERED),
        (9e-3, [0.5e-3, 2e-3, 5.1e-3], Verdict.SCATTERED),
        # higher, and above 50 % where the authors are not
        (1e-3, [0.9, 0.9, 0.9], Verdict.WORSE),
    ],
)
def test_verdicts_by_the_rules(authors, ours, verdict):
    assert judge(authors, ours, [], RULES).verdict == verdict


def test_the_one_dimensional_poisson_problem_with_a_hard_constraint_is_worse_whatever_the_seeds():
    """Its seed 3 widened the former interval from below the authors' error, and the row was reproduced."""
    ours, authors = [1.6892e-2, 1.0494e-2, 8.0590e-3, 3.7147e-3], 2.314914e-3
    assert judge(authors, ours[:3], [], RULES).verdict == judge(authors, ours, [], RULES).verdict == Verdict.WORSE
    assert "4.01 times" in judge(authors, ours, [], RULES).because


def test_the_hard_constraint_of_helmholtz_is_scattered():
    """The former interval was from 4e-3 to 5, and reproduced. A median of such errors says nothing."""
    found = judge(1.330131e-2, [2.526322, 1.2887e-2, 8.282e-3], [], RULES)
    assert found.verdict == Verdict.SCATTERED and "2.53e+00" in found.because


ERRORS = st.lists(st.floats(1e-9, 0.9), min_size=1, max_size=9)


@given(errors=ERRORS, ratios=st.lists(st.floats(1, 1e4), max_size=30), above=st.floats(1.01, 100))
def test_seeds_around_a_bad_median_never_turn_worse_into_reproduced(errors, ratios, above):
    """Seeds come in pairs, one as many times above the median as the other is below."""
    middle = median(errors)
    authors = middle / (above * RULES.factor)
    more = errors + [error for ratio in ratios for error in (middle * ratio, middle / ratio)]
    for ours in (errors, more):
        assert judge(authors, ours, [], RULES).verdict in (Verdict.WORSE, Verdict.TOO_FEW)
        assert judge(authors, ours, [], RULES).so_far in ("", DIRECTIONS[Verdict.WORSE])


def test_the_chance_that_a_bad_method_is_reproduced_falls_with_the_seeds():
    """A method three times as bad as the authors', its errors spread over a factor of e."""
    ours = 3e-3 * np.exp(np.random.default_rng(0).normal(0, 1, (2000, 63)))

    def share(seeds: int) -> float:
        return float(np.mean([judge(1e-3, row[:seeds], [], RULES).verdict == Verdict.REPRODUCED for row in ours]))

    shares = [share(seeds) for seeds in (3, 7, 15, 31, 63)]
    assert shares == sorted(shares, reverse=True) and shares[0] > 0.1 and shares[-1] < 0.01


@pytest.mark.parametrize(
    ("authors", "error", "verdict"),
    [
        (1e-3, 1e-3, Verdict.REPRODUCED),
        (1e-3, 3e-3, Verdict.WORSE),
        (1e-3, 1e-4, Verdict.BETTER),
        (1.1, 1.0, Verdict.FAILED),
    ],
)
def test_fewer_than_three_seeds_are_too_few(authors, error, verdict):
    for count in (1, 2):
        found = judge(authors, [error] * count, [], RULES)
        assert found.verdict == Verdict.TOO_FEW and found.so_far == DIRECTIONS[verdict]
        assert f"{count} of at least 3 seeds" in found.because
    assert judge(authors, [error] * 3, [], RULES).verdict == verdict


def test_words_of_what_errors_point_to_are_no_verdicts():
    assert not {str(verdict) for verdict in Verdict if verdict not in UNDECIDED} & set(DIRECTIONS.values())
    assert set(DIRECTIONS) | set(UNDECIDED) | {Verdict.NOT_COMPARABLE} == set(Verdict)


@pytest.mark.parametrize("ratio", [0.5, 2.0, 1.0])
def test_equal_errors_have_equal_verdicts(ratio):
    """Errors that the tables show as equal are on the same side of every limit."""
    ours = [1.5707e-2, 1.5707e-2, 1.5707e-2]
    other = [error * (1 + 1e-4) for error in ours]
    verdicts_ = [judge(ours[0] / ratio, found, [], RULES).verdict for found in (ours, other)]
    assert verdicts_ == [Verdict.REPRODUCED] * 2


def test_the_verdict_on_a_row_does_not_depend_on_other_rows():
    """MFF was better on one backend and reproduced on the other, at one error, by what else had been run there."""
    mff = seeds_of([1.571e-2, 1.570e-2, 1.572e-2], experiment="poisson-4-150", method="mff")
    others = seeds_of([1e-1] * 3, experiment="poisson-4-150", method="mff-hard-constraint")
    runs = [run | {"backend": "jax"} for run in mff] + [run | {"backend": "torch"} for run in [*mff, *others]]
    table = verdicts(summary_of(*runs), CATALOGUE)
    mine = table[table.method == "mff"]
    assert list(mine.verdict) == ["better", "better"]
    assert list(mine.pairs) == [0, 1]


def stage(**changes) -> Stage:
    known = {"level": 1, "optimizer": "lbfgs", "precision": "float32", "iterations": 2, "evaluations": 30}
    return Stage(**(known | {"reason": "no-decrease", "authors": 37557.0} | changes))


@pytest.mark.parametrize(
    ("changes", "stalled"),
    [
        ({}, True),
        ({"reason": "line-search"}, True),
        ({"iterations": 3755}, True),
        ({"iterations": 3756}, False),  # a tenth
        ({"reason": "gradient"}, False),
        ({"reason": "iteration-limit"}, False),
        ({"precision": "float64"}, False),
        ({"authors": 100.0}, True),
        ({"authors": 99.0}, False),  # the authors' own later levels
        ({"authors": 1.0, "iterations": 0}, False),
        ({"authors": np.nan}, False),
    ],
)
def test_when_a_stage_stalled(changes, stalled):
    assert stage(**changes).stalled(RULES.stall) == stalled


@pytest.mark.parametrize("ours", [[1e-3], [1e-3] * 3, [0.9] * 3, [1e-5] * 3, [FAILED] * 3])
@pytest.mark.parametrize("authors", [1e-3, 1.1])
def test_a_stall_neither_confirms_nor_refutes(authors, ours):
    found = judge(authors, ours, [stage()] * len(ours), RULES)
    assert found.verdict == Verdict.STALLED and found.so_far
    assert "level 1, lbfgs: 2 of the authors' 37557 iterations" in found.because


def test_a_row_is_stalled_from_half_of_its_runs_on():
    assert judge(1e-3, [1e-3] * 5, [stage()] * 2, RULES).verdict == Verdict.REPRODUCED
    assert judge(1e-3, [1e-3] * 4, [stage()] * 2, RULES).verdict == Verdict.STALLED
    assert judge(None, [1e-3], [stage()], RULES).verdict == Verdict.NOT_COMPARABLE


def test_pairs_that_failed_together_in_the_paper_do_not_count():
    authors = {"a": 1e-3, "b": 1.1, "c": 2.2, "unrun": 1e-4}
    assert pairs_in_order("a", authors, {"a": 0.1, "b": 0.2, "c": 0.05}, RULES) == (1, 2)
    assert pairs_in_order("b", authors, {"a": 0.1, "b": 0.2, "c": 0.05}, RULES) == (1, 1)
    assert pairs_in_order("a", authors, {"a": 0.1}, RULES) == (0, 0)


def heat(pinn: list, mmpinn: list, **axes) -> list[dict]:
    """Runs of heat-0.3, where the authors have 5.27e-4 (PINN) and 1.61e-4 (MMPINN)."""
    return [*seeds_of(pinn, method="pinn", **axes), *seeds_of(mmpinn, method="mmpinn", **axes)]


STALLED = {"stage_iterations": "2000;2", "stage_reasons": "iteration-limit;no-decrease"}


def test_a_stalled_row_shows_its_stages_beside_the_authors():
    """Heat with epsilon 0.15 as it was archived: both failed, ours after 2 of the authors' 37,557 iterations."""
    runs = [run | STALLED for run in seeds_of([0.98] * 3, experiment="heat-0.15", method="pinn")]
    row = verdicts(summary_of(*runs), CATALOGUE).iloc[0]
    assert (row.verdict, row["so far"], row["stalled runs"]) == ("stalled", "failed as well", 3)
    assert (row.stages, row.iterations, row["authors' iterations"]) == ("adam;lbfgs", "2000;2", "2000;37557")
    assert row["stop reasons"] == "iteration-limit;no-decrease"
    strict = [run | {"stage_precisions": "float64;float64", "numerics": "strict"} for run in runs]
    assert verdicts(summary_of(*strict), CATALOGUE).verdict.item() == "failed as in the paper"


def test_a_stall_in_any_level_counts_where_the_authors_went_on():
    """Their levels have 5,958, 792 and 3 iterations: a second level of 3 is a stall, a third one is not."""
    stages = {
        f"stage_{name}": ";".join([value] * 4) for name, value in (("precisions", "float32"), ("evaluations", "9"))
    }
    stages |= {"stage_optimizers": "adam;lbfgs;lbfgs;lbfgs", "stage_levels": "0;0;1;2"}
    stages["stage_reasons"] = ";".join(["iteration-limit"] + ["no-decrease"] * 3)

    def row(iterations: str):
        runs = seeds_of([5e-4] * 3, experiment="heat-0.15", method="mmpinn")
        return verdicts(
            summary_of(*(run | stages | {"stage_iterations": iterations} for run in runs)), CATALOGUE
        ).iloc[0]

    assert row("2000;6172;3;2").verdict == "stalled" and "level 2" in row("2000;6172;3;2").because
    assert row("2000;6172;80;0").verdict == "reproduced"


def test_the_order_of_the_methods_is_shown_and_not_judged():
    low = [1e-5, 1e-5, 2e-5]
    for other, in_order in (([1e-6] * 3, 1), ([1e-4] * 3, 0)):
        table = verdicts(summary_of(*heat(low, other)), CATALOGUE)
        assert table.verdict[0] == "better"
        assert list(table.pairs) == [1, 1] and list(table["pairs in the paper's order"]) == [in_order] * 2


def test_a_row_leads_to_its_runs_and_counts_failures():
    row = verdicts(summary_of(*heat([5e-4, None, 6e-4], [1e-4])), CATALOGUE).iloc[0]
    assert row.verdict == "scattered" and (row.finished, row.runs) == (2, 3)
    assert "1 of 3 did not finish" in row.because
    assert (row["median"], row.minimum, row.maximum) == (6e-4, 5e-4, np.inf)
    assert (row["lower quartile"], row["upper quartile"]) == (5e-4, np.inf)
    assert row.folder == "results/paper/heat-0.3/pinn/jax/paper" and row.seeds == "0;1;2"


def test_other_conditions_are_marked_and_counted_apart():
    both = summary_of(*heat([5e-4] * 3, [1.6e-4] * 3), *heat([5e-4] * 3, [1.6e-4], numerics="strict"))
    table = verdicts(both, CATALOGUE)
    assert list(table["other conditions"]) == ["", "", *["other numerics (strict)"] * 2]
    assert list(table["paper's conditions"]) == [True, True, False, False]
    counts = verdict_counts(both, CATALOGUE).set_index("numerics")
    assert list(counts.loc["paper", ["paper's conditions", "rows run", "reproduced"]]) == [True, 2, 2]
    assert list(counts.loc["strict", ["paper's conditions", "rows run", "reproduced", "too few seeds"]]) == [
        False,
        2,
        1,
        1,
    ]
    quick = summary_of(*heat([5e-4], [1.6e-4], scale="quick"))
    assert set(verdicts(quick, CATALOGUE)["other conditions"]) == {"other budget (quick)"}
    noted = summary_of({"experiment": "heat-0.15", "method": "sa-pinn"})
    assert "line search" in verdicts(noted, CATALOGUE)["other conditions"].item()


@pytest.mark.parametrize("method", [m for m in METHODS if m not in PAPER], ids="-".join)
def test_a_method_that_is_not_in_the_paper_is_not_compared(method):
    summary = summary_of({"experiment": method[0], "method": method[1]})
    row = verdicts(summary, CATALOGUE).iloc[0]
    assert (row.verdict, row.because) == ("not comparable", "not in the authors' repository")
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
