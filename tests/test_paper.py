"""The experiments against the table of the authors' results: every row has its method, every number is theirs."""

import csv

import pytest

from tests.conftest import CATALOGUE, METHODS, PAPER_METHODS, ROOT

with (ROOT / "config/paper/authors_results.csv").open() as stream:
    ROWS = {(row["experiment"], row["method"]): row for row in csv.DictReader(stream)}

NOT_IN_THE_PAPER = {
    ("heat-0.11", "pinn"),
    ("pulse", "mmpinn-grs-disjoint"),
    ("helmholtz-1-8", "mff-concatenation"),
    ("helmholtz-1-8", "lra-ifnn-10"),
}


def test_every_row_has_its_method_and_every_method_its_row():
    assert set(PAPER_METHODS) - NOT_IN_THE_PAPER == set(ROWS)


def number(text: str) -> float | None:
    return float(text) if text else None


@pytest.mark.parametrize("row", sorted(set(METHODS) & set(ROWS)), ids="-".join)
def test_the_authors_numbers_are_theirs(row: tuple[str, str]):
    expected, ours = ROWS[row], CATALOGUE.experiment(row[0]).methods[row[1]].authors
    assert ours.rel_l2 == number(expected["rel_l2"])
    assert ours.mean_absolute == number(expected["mae"])
    assert ours.maximum == number(expected["max_error"])
    assert ours.adam_steps == int(expected["adam_steps"])
    assert ours.seed == int(expected["seed"])
    assert ours.source == expected["source"]
    for name in ("lbfgs_iterations", "lbfgs_evaluations"):
        assert (getattr(ours, name) or []) == [int(n) for n in expected[name].split(";") if n]


@pytest.mark.parametrize("row", sorted(set(METHODS) & set(ROWS)), ids="-".join)
def test_the_papers_scale_has_the_authors_settings(row: tuple[str, str]):
    """Precision, grid, Adam steps and one L-BFGS stage for each level they report."""
    expected = ROWS[row]
    spec = CATALOGUE.resolve(*row, "jax", "paper", "paper")
    assert spec.precision == expected["precision"]
    assert spec.evaluation.grid == [int(n) for n in expected["grid"].split("x")]
    stages = [stage for level in spec.levels for stage in level.stages]
    assert stages[0]["optimizer"] == "adam" and stages[0]["iterations"] == int(expected["adam_steps"])
    assert all(stage["optimizer"] == "lbfgs" for stage in stages[1:])
    if reported := expected["lbfgs_iterations"]:
        assert len(stages) - 1 == len(reported.split(";"))


@pytest.mark.parametrize("scale", ["quick", "paper"])
def test_adam_of_sa_pinn_alone_has_the_epsilon_of_keras(scale: str):
    epsilons = {
        row: {
            stage.get("epsilon")
            for level in CATALOGUE.resolve(*row, "jax", "paper", scale).levels
            for stage in level.stages
            if stage["optimizer"] == "adam"
        }
        for row in PAPER_METHODS
    }
    assert {row for row, found in epsilons.items() if found == {1e-7}} == {
        row for row in ROWS if row[1] == "sa-pinn"
    }
    assert {value for found in epsilons.values() for value in found} == {1e-7, 1e-8}


def test_methods_not_in_the_paper_claim_no_number():
    for experiment, method in NOT_IN_THE_PAPER | (set(METHODS) - set(PAPER_METHODS)):
        assert CATALOGUE.experiment(experiment).methods[method].authors.rel_l2 is None
