"""What a study with an axis ``rule`` tells: rates, distances of predictions, powers that bring terms together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CATALOGUE
from tests.summaries import summary_of
from workflow.analysis import register
from workflow.analysis.figures.courses import draw_rates, draw_weights
from workflow.analysis.figures.style import write_figure
from workflow.analysis.rates import rates, slope
from workflow.analysis.solutions import compared, solutions
from workflow.analysis.synchronised import by_gradients, synchronised
from workflow.analysis.traces import mean_and_interval, trace
from workflow.page.opening import opening
from workflow.page.rules import rates_told, rules_told, solutions_told, synchronised_told
from workflow.readme.studies import FOLDER, studies_block
from workflow.sweep import Sweep

EVALUATIONS = np.array([0, 10, 50, 100, 300, 500, 1000])
GRID = np.linspace(0, 1, 101)
EXACT = np.sin(np.pi * GRID)


def write(folder: Path, rate: float = -1.0, error: float = 1e-2, residual: float = 1.0, wave: int = 3) -> None:
    """A run of two supervised terms of 1 together and a residual that starts as ``residual``; error and terms fall
    as powers of the evaluations, the terms twice as fast. The error is a sine of so many half waves."""
    falling = (np.maximum(EVALUATIONS, 10) / 1000.0) ** rate
    row = {"evaluation": EVALUATIONS, "optimizer": "lbfgs", "rel_l2": error * falling}
    for term, size, weight in (("initial", 0.25, 1.0), ("boundary", 0.75, 1.0), ("residual", residual, 0.5)):
        terms = size * falling**2 / falling[0] ** 2
        row |= {f"term.{term}": terms, f"weight.{term}": weight, f"gradient_norm.{term}": 2 * np.sqrt(terms)}
    folder.mkdir(parents=True)
    pd.DataFrame(row).to_parquet(folder / "history.parquet")
    wrong = error * np.sqrt(2) * np.linalg.norm(EXACT) / np.sqrt(len(GRID)) * np.sin(wave * np.pi * GRID)
    np.savez(folder / "fields.npz", x=GRID, exact=EXACT, predicted=EXACT + wrong)


def study(root: Path, runs: dict[str, list[dict | None]], **also) -> pd.DataFrame:
    """Runs by the rule, of seeds 0, 1, ...; None: one that diverged and left nothing."""
    rows = []
    for rule, seeds in runs.items():
        for seed, made in enumerate(seeds):
            folder = root / rule / str(seed)
            row = {"seed": seed, "folder": str(folder), "rel_l2": (made or {}).get("error", 1e-2)} | also
            rows.append(row | ({} if made is not None else {"status": "diverged", "rel_l2": np.nan}))
            if made is not None:
                write(folder, **made)
    rules = [rule for rule, seeds in runs.items() for _ in seeds]
    plain = summary_of(*({**row, "seed": i} for i, row in enumerate(rows)))
    return plain.assign(seed=[row["seed"] for row in rows], rule=rules)


def test_a_trace_has_the_terms_in_two_kinds(tmp_path):
    write(tmp_path / "run", residual=100.0)
    first = trace(tmp_path / "run").iloc[0]
    assert (first.supervised, first.residual) == (1.0, 100.0)
    assert (first["weight of supervised"], first["weight of residual"]) == (1.0, 0.5)
    assert first["pull of residual"] == 0.5 * 20 and first["gradient of residual"] == 20


@pytest.mark.parametrize("rate", [-0.5, -2.0])
def test_a_slope_is_that_of_the_last_decade(rate, tmp_path):
    """The terms fall as the square; before the last decade, up to 100 evaluations, anything may be."""
    write(tmp_path / "run", rate=rate)
    run = trace(tmp_path / "run")
    run.loc[run.evaluation < 100, "error"] = 5.0
    assert slope(run, "error") == pytest.approx(rate) and slope(run, "residual") == pytest.approx(2 * rate)
    run.loc[run.evaluation < 500, "error"] = 7.0
    assert slope(run, "error", since=0.5) == pytest.approx(rate)
    run.loc[3, "error"] = np.nan
    assert np.isnan(slope(run, "error")) and np.isnan(slope(run.iloc[:1], "error"))


def test_rates_have_intervals_over_the_seeds(tmp_path):
    seeds = [{"rate": -rate} for rate in (0.9, 1.0, 1.1)]
    summary = study(tmp_path, {"sum": seeds, "root": [{"rate": -2.0}] * 2 + [None], "none": [None] * 3})
    table = rates(summary, CATALOGUE)
    assert list(table.seeds) == [3, 3, 3] and list(table.finished) == [3, 2, 0]
    mean, low, high = mean_and_interval(np.array([-0.9, -1.0, -1.1]))
    assert (mean, low, high) == pytest.approx((-1, -1 - 0.24841, -1 + 0.24841), abs=1e-5)
    assert table["slope of error, low"][0] == pytest.approx(low) and np.isnan(table["slope of error"][2])
    assert table["slope of supervised"][1] == pytest.approx(-4)
    assert np.isinf(table["median error"][2])
    (told,) = rates_told(table)
    assert "falls fastest with rule = root, as E^-2.00 (95 %: -2.00 to -2.00), to 1.0e-02" in told
    assert "with rule = sum as E^-1.00 (95 %: -1.25 to -0.75)" in told and "the intervals do not meet" in told
    assert "Over the second half of the evaluations alone rule = root is it, as E^-2.00" in told
    one = rates(summary[summary.seed == 0], CATALOGUE)
    assert "one seed, so not decided" in rates_told(one)[0] and "are not known: not decided" in rates_told(one)[0]


def test_a_rule_that_is_lost_is_not_the_fastest(tmp_path):
    table = rates(study(tmp_path, {"sum": [{"error": 5.0}], "root": [{"error": 2.0, "rate": -3}]}), CATALOGUE)
    assert "no rule ends below an error of 100 %" in rates_told(table)[0]


def test_distances_of_known_errors():
    def fields(error: np.ndarray) -> dict[str, np.ndarray]:
        return {"exact": EXACT, "predicted": EXACT + error}

    wave, other = np.sin(2 * np.pi * GRID), np.sin(3 * np.pi * GRID)
    same = compared(fields(0.1 * wave), fields(0.08 * wave))
    assert (same["error of the first"], same["error"]) == pytest.approx((0.1, 0.08))
    assert same["distance"] == pytest.approx(0.02) and same["cosine of the errors"] == pytest.approx(1)
    apart = compared(fields(0.1 * wave), fields(0.1 * other))
    assert apart["distance"] == pytest.approx(0.1 * np.sqrt(2))
    assert apart["distance over the larger error"] == pytest.approx(np.sqrt(2))
    assert apart["cosine of the errors"] == pytest.approx(0, abs=1e-12)


def test_solutions_are_compared_with_the_first_rule_seed_by_seed(tmp_path):
    runs = {
        "sum": [{"error": 4e-3}] * 2,
        "near": [{"error": 3e-3}, {"error": 3e-3}],
        "far": [{"error": 0.1, "wave": 5, "residual": 1e4}, None],
    }
    table = solutions(study(tmp_path, runs), CATALOGUE)
    assert list(table.rule) == ["near", "far"] and list(table.seeds) == [2, 1]
    assert table.distance[0] == pytest.approx(1e-3, rel=0.02)
    np.testing.assert_allclose(table["distance over the larger error"], [0.25, 1], atol=0.01)
    assert table["terms over the first's"][1] == pytest.approx(10001 / 2)
    (told,) = solutions_told(table)
    assert told.startswith(
        "Of 2 comparisons with the first rule (jax, numerics paper, one seed, so not decided) 1 end"
    )
    assert (
        "in 1 of these the two share their error as well" in told and "with pinn, where the larger error" in told
    )
    (without,) = solutions_told(table.assign(error=[3e-3, 1.02]))
    assert without.startswith(
        "Of 1 comparisons with the first rule (jax, numerics paper, one seed, so not decided) (1 more, in which"
    )
    (useless,) = solutions_told(table.assign(error=[1.0, 1.02]))
    assert useless.startswith("In each of 2 comparisons")
    lone = solutions(study(tmp_path / "lone", {"sum": [None], "near": [{}]}), CATALOGUE)
    assert list(lone) == ["note"] and solutions_told(lone) == []


def test_powers_by_the_gradients():
    """(1/n) 1e6^(1/n - 1) 1e3 beside 1: n = 1 is 1e3 and n = 2 is 0.5; with 1e9 n = 2 is 5e5, n = 3 33."""
    assert by_gradients((1.0, 1e6), (1.0, 1e3)) == 2
    assert by_gradients((1.0, 1e6), (1.0, 5.0)) == 1
    assert by_gradients((1.0, 1e6), (1e9, 1e3)) is None, "a power makes it smaller still"
    assert by_gradients((0.0, 1e6), (1.0, 1e3)) is None


def test_synchronised_terms(tmp_path):
    """Gradients are twice the roots of the terms: of 1e4 that is 200, beside 1 + 1.7."""
    table = synchronised(study(tmp_path, {"sum": [{"residual": 1e4}] * 2, "none": [None]}), CATALOGUE)
    assert list(table.rule) == ["sum"]
    (row,) = table.to_dict("records")
    assert (row["powers, predicted"], row["powers, measured"]) == (4, 2)
    assert (row["weight ratio, first"], row["weight ratio, last"]) == (0.5, 0.5)
    assert row["in step"] == 0, "half of 200 is more than ten times 2.7"
    powers, weights = synchronised_told(table)
    assert "heat-0.3 4, 2; predicted rightly on 0 of 1 problem." in powers
    assert "rule = sum: 5.0e-01 to 5.0e-01, 0 %" in weights


def test_the_figures_have_a_line_for_each_rule_of_the_lowest_seed(tmp_path):
    summary = study(tmp_path, {"sum": [{}, {}], "root": [{}, {}], "none": [None, None]})
    summary = summary[summary.rule != "none"]
    figure, table = draw_weights(summary, CATALOGUE)
    assert len(figure.axes[0].lines) == 2 and set(table.seed) == {0} and len(table) == 2 * len(EVALUATIONS)
    assert (table.ratio == 0.5).all()
    write_figure(figure, table, tmp_path / "weights.pdf")
    figure, table = draw_weights(summary.iloc[:0], CATALOGUE)
    write_figure(figure, table, tmp_path / "empty.pdf")
    figure, table = draw_rates(summary, CATALOGUE)
    assert len(figure.axes[0].lines) == 2 and list(table.error[:2]) == [1.0, 1.0] and table.error.iloc[-1] == 1e-2
    write_figure(figure, table, tmp_path / "rates.pdf")


def test_the_page_and_the_document_tell_what_the_tables_say(tmp_path):
    """The document from the files that are kept alone."""
    runs = {"sum": [{"error": 4e-3}] * 2, "power-1-3": [{"error": 3e-3}] * 2}
    summary = study(tmp_path / "runs", runs, command="x", method="mmpinn")
    folder = tmp_path / FOLDER / "convergence"
    folder.mkdir(parents=True)
    shown = register.Shown((2,), names=("rule",))
    made = {table.name: table for table in register.TABLES if table.of_runs and table.applies(shown)}
    assert set(made) == {"solutions", "rates", "synchronised"}
    for name, table in made.items():
        table.load()(summary, CATALOGUE).to_csv(folder / f"{name}.csv", index=False)
    told = opening(summary, sorted(folder.glob("*.csv")), CATALOGUE)
    expected = rules_told({name: pd.read_csv(folder / f"{name}.csv") for name in sorted(made)})
    assert len(expected) == 4 and [text for text in expected if text in told] == expected
    summary.to_csv(folder.with_suffix(".csv"), index=False)
    for path in (tmp_path / "runs").rglob("*.*"):
        path.unlink()
    text = " ".join(studies_block(CATALOGUE, tmp_path).split())
    assert all(" ".join(sentence.split()) in text for sentence in expected)


def test_the_tables_are_made_where_an_axis_is_called_rule():
    shown = register.Shown((2,), names=("rule",))
    for name in ("solutions", "rates", "synchronised"):
        assert register.table(name).applies(shown) and not register.table(name).applies(
            replace(shown, names=("n",))
        )
    sweep = Sweep.from_command_line(CATALOGUE, ["study=convergence"])
    assert {"solutions", "rates", "synchronised"} <= set(
        sweep.tables()
    ) and "weights" in sweep.figures_of_summary()
    first = next(iter(sweep.axes)).shown[0]
    assert first == "sum", "with which all others are compared"


def test_the_rules_of_the_study_have_equal_evaluations():
    budgets = {
        (spec.experiment, sum(stage.get("evaluations") or stage["iterations"] for stage in level.stages), i)
        for spec in Sweep.from_command_line(CATALOGUE, ["study=convergence"]).specs
        for i, level in enumerate(spec.levels)
    }
    assert {(evaluations, i) for _, evaluations, i in budgets} == {(700, 0), (400, 1), (400, 2)}
