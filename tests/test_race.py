"""A race between starts, and the fresh points that judge it."""

import json

import numpy as np
import pytest

from solvers.configuration.strict_yaml import ConfigurationError
from solvers.model.networks.base import places
from solvers.optimizers import StopReason
from solvers.optimizers.bfgs import Bfgs
from solvers.optimizers.linear_start import LinearStart
from solvers.optimizers.race import Race
from solvers.points.fresh import fresh_residual_ratio, fresh_terms
from solvers.training.levels import Stage
from solvers.training.loss import StageObjective
from solvers.training.objective import TRANSFORMS
from tests.conftest import CATALOGUE
from tests.trial import Kept, Trial, assert_same, continued, trial_of

FACTORS = [1.0, 0.25, 3.0]
EACH = 6
WEIGHTS = {"supervised": 100.0}


def trial(
    backend: str, case=("heat-0.3", "pinn"), kept: Kept | None = None, frequencies="[1.0, 2.0]", points=200
) -> Trial:
    network = f"network={{name: sines, width: 6, depth: 2, frequencies: {frequencies}}}"
    return trial_of(backend, case=case, kept=kept, overrides=[network, f"points.residual.count={points}"])


def race(iterations: int = 30, **settings) -> Race:
    given = {"evaluations": 1000, "factors": FACTORS, "iterations_each": EACH, "weights": WEIGHTS}
    return Race(iterations, **(given | settings))


def logarithmic(optimizer) -> Stage:
    return Stage("test", optimizer, TRANSFORMS["log"])


def alone(backend: str, factor: float, iterations: int) -> Trial:
    """One start without a race."""
    own = trial(backend)
    model = own.backend.model
    own.theta = own.theta.copy()
    own.theta[places(model.shapes, model.network.frequency_arrays(2))] *= factor
    own.train(LinearStart(weights=WEIGHTS), logarithmic(Bfgs(iterations, 1000)))
    return own


def fresh_loss(own: Trial, theta: np.ndarray) -> float:
    return float(fresh_terms(own.backend, theta, 4096).sum())


def test_it_is_bfgs_from_the_best_of_the_starts(backend_name):
    """To the last bit: each start as if it were alone, and the winner's curvature is not lost."""
    own = trial(backend_name)
    (stage,) = own.train(logarithmic(race())).stages
    raced = [alone(backend_name, factor, EACH) for factor in FACTORS]
    losses = [fresh_loss(own, each.training.theta) for each in raced]
    won = int(np.argmin(losses))
    assert len(set(losses)) == 3 and f"factor {FACTORS[won]:g} has won" in stage.message
    assert f"{losses[1]:.4g} of 0.25" in stage.message
    whole = alone(backend_name, FACTORS[won], 30 - 2 * EACH)
    np.testing.assert_array_equal(own.training.theta, whole.training.theta)


def test_everything_is_counted_and_shown(backend_name):
    own = trial(backend_name)
    (stage,) = own.train(logarithmic(race())).stages
    raced = [alone(backend_name, factor, EACH).training.stages for factor in FACTORS]
    assert (stage.iterations, stage.reason) == (30, StopReason.ITERATION_LIMIT)
    assert own.iterations == [*range(31), 30]
    # As many as alone: the evaluation with which a stage of its own begins is that of the fresh points here.
    alone_made = sum(made.function_evaluations for stages in raced for made in stages)
    rows = {row["iteration"]: row for row in own.monitor.rows}
    assert rows[3 * EACH]["evaluation"] == alone_made
    for i, factor in enumerate(FACTORS[:-1]):
        assert rows[(i + 1) * EACH]["objective"] == alone(backend_name, factor, EACH).objectives[-1]


def test_a_killed_race_goes_on_to_the_last_bit(backend_name):
    """In the turn of each start, at its end, and after the race."""
    counts = [1, EACH - 1, EACH, EACH + 1, 3 * EACH - 1, 3 * EACH, 3 * EACH + 1, 29]
    pairs = continued(
        lambda kept: trial(backend_name, kept=kept), lambda own: own.train(logarithmic(race())), counts
    )
    for whole, again in pairs:
        assert_same(whole, again)


def test_evaluations_that_run_out_end_the_race_with_the_best(backend_name):
    own = trial(backend_name)
    (stage,) = own.train(logarithmic(race(evaluations=32))).stages
    assert stage.reason == StopReason.EVALUATION_LIMIT and 32 <= stage.function_evaluations < 40
    assert "has won" in stage.message and "nan of 3" in stage.message
    assert stage.iterations < 3 * EACH


def test_a_start_that_is_not_finite_is_out():
    own = trial("jax")
    (stage,) = own.train(logarithmic(race(factors=[1e200, 1.0]))).stages
    assert stage.reason == StopReason.ITERATION_LIMIT
    assert "factor 1 has won: fresh losses inf of 1e+200" in stage.message
    assert np.isfinite(own.objectives).all()


def test_of_equal_starts_the_first_wins(monkeypatch):
    monkeypatch.setattr("solvers.optimizers.race.fresh_terms", lambda backend, theta, count: np.full(3, np.nan))
    (stage,) = trial("jax").train(logarithmic(race())).stages
    assert "factor 1 has won" in stage.message


def test_starts_differ_by_the_rule_of_the_run():
    """Judged by the balanced loss: here a sum of powers."""
    own = trial("jax", ("heat-0.3", "mmpinn"))
    (stage,) = own.train(race(iterations=EACH + 1, factors=[0.5])).stages
    objective = StageObjective(own.loss, own.start)
    values = np.array([2.0, 3.0, 8.0])
    assert objective.loss_of(values) == pytest.approx(5 + 8 ** (1 / 3))
    assert stage.iterations == EACH + 1


@pytest.mark.parametrize(
    ("stage", "network", "key", "words"),
    [
        ({"factors": []}, {}, "factors", "at least one"),
        ({"factors": [1, 1]}, {}, "factors", "different"),
        ({"factors": [1, -1]}, {}, "factors", "greater than 0"),
        ({"iterations": 400}, {}, "iterations", "more than the 400"),
        ({"iterations_each": 0}, {}, "iterations_each", "at least 1"),
        ({"fresh_points": 0}, {}, "fresh_points", "at least 1"),
        ({"cut": 0}, {}, "cut", "between 0 and 1"),
        ({"weights": {"boundry": 3}}, {}, "weights.boundry", "allowed: supervised, initial"),
        ({}, {"frequencies": None}, "optimizer", "with frequencies of its first layer"),
    ],
)
def test_impossible_settings_are_named(stage, network, key, words):
    given = {"optimizer": "race", "iterations": 500, "evaluations": 900} | stage
    chosen = {"name": "sines", "width": 6, "depth": 2, "frequencies": [1, 2]} | network
    overrides = [f"network={json.dumps(chosen)}", f"levels={json.dumps([{'stages': [given]}])}"]
    with pytest.raises(ConfigurationError, match=words) as caught:
        CATALOGUE.resolve("heat-0.3", "pinn", "jax", "strict", "smoke", overrides=overrides)
    assert f"levels.0.stages.0.{key} " in str(caught.value)


def test_a_grouped_residual_cannot_be_judged():
    given = {"optimizer": "race", "iterations": 500, "evaluations": 900}
    network = {"name": "sines", "width": 6, "depth": 2, "frequencies": [1, 2]}
    overrides = [f"network={json.dumps(network)}", f"levels={json.dumps([{'stages': [given]}])}"]
    with pytest.raises(ConfigurationError, match="needs no grouping"):
        CATALOGUE.resolve("pulse", "mmpinn-grs", "jax", "strict", "smoke", overrides=overrides)
    own = trial_of("jax", case=("pulse", "mmpinn-grs"))
    with pytest.raises(ValueError, match="groups of fresh points"):
        fresh_terms(own.backend, own.theta, 100)


def test_fresh_terms_are_means_over_other_points_of_the_same_equations(backend_name):
    """Close to the terms over many of the run's own points, and the same whenever they are asked for."""
    own = trial_of(backend_name, overrides=["points.residual.count=5000", "points.boundary.count=500"])
    values, _ = own.backend.terms_and_gradients(own.theta)
    found = fresh_terms(own.backend, own.theta, 8192)
    np.testing.assert_allclose(found, values, rtol=0.05)
    assert (found != values).all()
    np.testing.assert_array_equal(found, fresh_terms(own.backend, own.theta, 8192))


@pytest.mark.parametrize("case", [("heat-0.15", "hard-constraint"), ("poisson-2-50", "mmpinn-mff")])
def test_fresh_terms_of_a_hard_constraint_and_of_faces_that_are_points(case):
    own = trial_of("jax", case=case)
    found = fresh_terms(own.backend, own.theta, 4096)
    assert len(found) == len(own.spec.terms) and (found > 0).all()
    if "boundary" in own.spec.terms:
        values, _ = own.backend.terms_and_gradients(own.theta)
        assert found[0] == pytest.approx(values[0], rel=1e-12)


@pytest.mark.parametrize(
    "case", [("heat-0.3", "pinn"), ("helmholtz-1-8", "hard-constraint"), ("poisson-2-50", "mmpinn-mff")]
)
def test_the_residual_ratio_is_that_of_the_terms(case):
    """It is computed in NumPy, they by a backend."""
    own = trial_of("jax", case=case)
    terms = own.backend.terms_and_gradients(own.theta)[0]
    ratio = fresh_terms(own.backend, own.theta, 4096)[-1] / terms[-1]
    assert fresh_residual_ratio(own.backend, own.theta, 4096) == pytest.approx(ratio, rel=1e-10)


@pytest.mark.parametrize("method", ["mmpinn", "mmpinn-grs"])
def test_the_residual_ratio_of_an_untrained_network_is_near_one(method):
    """Also where its points are in groups."""
    own = trial_of("jax", case=("pulse", method), overrides=["points.residual.count=5000"])
    assert fresh_residual_ratio(own.backend, own.theta, 8192) == pytest.approx(1, rel=0.5)


def test_the_residual_ratio_tells_of_an_overfit():
    """A network of high frequencies, fitted to few points."""
    own = trial("jax", frequencies="[40.0, 40.0]", points=30)
    own.train(LinearStart(), logarithmic(Bfgs(60, 1000)))
    assert fresh_residual_ratio(own.backend, own.training.theta, 4096) > 5
    assert 0.5 < fresh_residual_ratio(own.backend, own.theta, 4096) < 2


@pytest.mark.parametrize(("factors", "matrices"), [([1.0], 1), ([1.0, 0.5], 2), ([1.0, 0.5, 0.25, 2.0], 3)])
def test_it_asks_for_the_matrices_that_it_keeps(factors, matrices):
    assert race(factors=factors).bytes_for(100, 0) == matrices * 8 * 100**2
