"""The sentences with which a page begins: counted from the tables, for a page of the paper and for others."""

from pathlib import Path

import pandas as pd

from tests.conftest import CATALOGUE
from tests.summaries import seeds_of, summary_of
from workflow.analysis import register
from workflow.analysis.writing import write_table
from workflow.page.opening import Kind, kind_of, opening

TABLES = ("verdicts", "claims", "ranking", "beyond")


def told(summary: pd.DataFrame, folder: Path) -> list[str]:
    for name in TABLES:
        write_table(register.table(name).load()(summary, CATALOGUE), folder, name)
    return opening(summary, sorted(folder.glob("*.csv")), CATALOGUE)


def poisson(method: str, errors: list[float], **axes: str) -> list[dict]:
    return seeds_of(errors, experiment="poisson-4-150", method=method, **axes)


def test_a_page_of_the_paper_says_claims_rows_exceptions_and_what_is_missing(tmp_path):
    runs = [*poisson("pinn", [2.0, 2.1, 2.2]), *poisson("mff", [0.01, 0.011, 0.012])]
    summary = summary_of(*runs, *poisson("mmpinn-mff", [6e-4]))
    assert kind_of(summary, CATALOGUE) == Kind.PAPER
    claimed, held, rows, exceptions, missing, floor = told(summary, tmp_path)
    assert "errors from above 100 % fall below 1 %" in claimed
    assert held == (
        "Of these 5 claims, 1 holds in every pair that was decided, 4 are not decided yet: 1 of 18 comparisons of"
        " two methods on a backend is decided, over 3 seeds each, and none of them contradicts the paper."
    )
    assert rows == (
        "Of the 29 rows for which the authors give an error, on jax: 3 have been run, over 1 to 3 seeds: 1 better,"
        " 1 failed as in the paper, 1 not decided."
    )
    assert exceptions == "Exceptions: poisson-4-150 mff on jax is lower, 0.259 times the authors' error."
    assert missing.startswith("Missing on every backend: 26 of these rows, heat-0.3 pinn, ")
    assert "7 further rows of the authors have no error to compare with" in missing
    assert floor == (
        "A classical solver, on one core, has the relative L2 error 1.0e-12 on this problem, after 0.5 CPU"
        " seconds; the smallest median error of a method here is 6e+08 times that."
    )


def test_rows_on_any_backend_are_not_missing(tmp_path):
    summary = summary_of(*poisson("pinn", [2.0], backend="torch"))
    missing = next(text for text in told(summary, tmp_path) if text.startswith("Missing"))
    assert "28 of these rows" in missing and "poisson-4-150 pinn," not in missing


def test_a_smaller_budget_tells_the_order_of_methods_alone(tmp_path):
    runs = [*poisson("pinn", [2.0], scale="quick"), *poisson("mff", [0.5], scale="quick")]
    summary = summary_of(*runs)
    assert kind_of(summary, CATALOGUE) == Kind.OTHER_CONDITIONS
    budget, pointing, order, _ = told(summary, tmp_path)
    assert "have the budget of the scale quick, not the paper's" in budget
    assert "Of the 1 comparisons of two methods that the paper's claims rest on, 1 point its way" in pointing
    assert "0 of them are decided" in pointing
    assert order == (
        "In 1 of 1 pairs of methods, the one with the smaller error is the same as in the paper (sign test, if the"
        " pairs were independent: p = 0.5)."
    )


def test_a_method_beyond_the_paper_has_a_sentence(tmp_path):
    pinn = seeds_of([1e-3], experiment="heat-0.3", method="pinn")
    own = seeds_of([1e-6, 1e-5], experiment="heat-0.3", method="bfgs-tuned")
    assert (
        sum("Beyond the paper, bfgs-tuned on jax" in text for text in told(summary_of(*pinn, *own), tmp_path)) == 1
    )


def test_a_problem_of_ones_own_beside_the_papers_is_told_apart(tmp_path):
    papers = seeds_of([1e-3] * 3, experiment="heat-0.3", method="pinn")
    own = seeds_of([0.1], experiment="burgers", method="pinn")
    assert not [text for text in told(summary_of(*papers), tmp_path) if "burgers" in text.lower()]
    others, best = (text for text in told(summary_of(*papers, *own), tmp_path) if "urgers" in text)
    assert others == "Not of the paper, and so without a number of the authors: burgers."
    assert best.startswith(
        "Burgers' equation, nu = 0.01 / pi: the smallest median error, 1.00e-01, has pinn on jax"
    )


def test_a_page_without_the_authors_names_the_best_method(tmp_path):
    runs = [*seeds_of([0.1, None], experiment="burgers", method="pinn"), *seeds_of([0.01], experiment="burgers")]
    runs[-1] |= {"method": "mmpinn"}
    summary = summary_of(*runs)
    assert kind_of(summary, CATALOGUE) == Kind.OWN
    count, best, _ = told(summary, tmp_path)
    assert "2 methods on burgers, over 1 to 2 seeds: 3 runs, of which 1 did not finish" in count
    assert best == (
        "Burgers' equation, nu = 0.01 / pi: the smallest median error, 1.00e-02, has mmpinn on jax (numerics"
        " paper); the largest, infinite, for runs that did not finish, pinn on jax (numerics paper)."
    )
