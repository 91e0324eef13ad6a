"""The output layer by least squares: the minimiser, its counts, and what it refuses."""

import json

import numpy as np
import pytest

from solvers import optimizers
from solvers.configuration.strict_yaml import ConfigurationError
from solvers.model import networks
from solvers.model.networks.base import places
from solvers.optimizers import StopReason
from solvers.optimizers.linear_start import LinearStart
from solvers.plugins import KeyProblem
from tests.conftest import BACKENDS, CATALOGUE
from tests.test_terms import small_network
from tests.trial import Kept, Trial, assert_same, continued, trial_of

NETWORK = "network={name: sines, width: 8, depth: 2, frequencies: {forcing: 0.5}}"
WEIGHTS = {"supervised": 100.0, "boundary": 30.0}
LAYER = 9


def trial(
    backend: str, case=("heat-0.3", "pinn"), kept: Kept | None = None, numerics="strict", network=NETWORK
) -> Trial:
    return trial_of(backend, numerics, case=case, kept=kept, overrides=[network])


def layer_of(own: Trial) -> np.ndarray:
    model = own.backend.model
    return places(model.shapes, model.network.output_layer(2))


def weighted(own: Trial, theta: np.ndarray) -> float:
    """100 L_i + 30 L_b + L_r."""
    return float(np.array([100, 30, 1]) @ own.backend.terms_and_gradients(theta)[0])


def test_the_minimiser_is_that_of_least_squares(backend_name):
    """Of the rows of the Jacobian, solved by LAPACK: another way to the same numbers."""
    own = trial(backend_name)
    found = own.train(LinearStart(weights=WEIGHTS)).theta
    layer, start = layer_of(own), own.theta.copy()
    start[layer] = 0
    factors = {"initial": 100, "boundary": 30, "residual": 1}
    rows, targets = [], []
    for part in own.backend.rows(start):
        scaled = np.sqrt(part.shares * factors[part.term])
        rows.append(scaled[:, None] * part.jacobian[:, layer])
        targets.append(-scaled * part.residuals)
    expected = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets))[0]
    changed = start.copy()
    changed[layer] = expected
    assert weighted(own, found) == pytest.approx(weighted(own, changed), rel=1e-9)
    np.testing.assert_allclose(found[layer], expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    others = np.setdiff1d(np.arange(len(start)), layer)
    np.testing.assert_array_equal(found[others], own.theta[others])


def test_no_other_layer_is_lower(backend_name):
    """The gradient along the layer vanishes, and steps along it lead up."""
    own = trial(backend_name)
    found = own.train(LinearStart(weights=WEIGHTS)).theta
    layer, rng = layer_of(own), np.random.default_rng(0)
    for _ in range(5):
        moved = found.copy()
        moved[layer] += 1e-3 * np.abs(found[layer]).max() * rng.standard_normal(LAYER)
        assert weighted(own, moved) > weighted(own, found)


def test_everything_is_counted_and_shown(backend_name):
    own = trial(backend_name)
    (stage,) = own.train(LinearStart(weights=WEIGHTS)).stages
    assert (stage.iterations, stage.function_evaluations, stage.gradient_evaluations) == (1, LAYER + 3, LAYER + 3)
    assert stage.reason == StopReason.ITERATION_LIMIT and "->" in stage.message
    assert own.iterations == [0, 1, 1] and own.objectives[-1] < own.objectives[0]


def test_weights_are_those_of_the_stage_whatever_the_rule():
    """Powers are no quadratic: they change what is shown, not what is found."""
    found = [
        trial("jax", ("heat-0.3", method)).train(LinearStart(weights=WEIGHTS)).theta
        for method in ("pinn", "mmpinn")
    ]
    np.testing.assert_array_equal(*found)
    other = trial("jax").train(LinearStart()).theta
    assert (other != found[0]).any()


def test_backends_find_the_same():
    found = [trial(name).train(LinearStart(weights=WEIGHTS)).theta for name in BACKENDS]
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5 * np.abs(found[0]).max())


def test_a_nonlinear_problem_gets_a_guess_that_is_no_worse(backend_name):
    own = trial(backend_name, ("klein-gordon-5", "pinn"))
    (stage,) = own.train(LinearStart()).stages
    assert own.objectives[-1] <= own.objectives[0]
    assert ("stays" in stage.message) == (stage.iterations == 0)


def test_a_worse_layer_is_not_taken(backend_name):
    """From the minimiser itself nothing is gained, and nothing is changed."""
    own = trial(backend_name)
    own.theta = own.train(LinearStart(weights=WEIGHTS, cut=1e-14)).theta
    again = trial(backend_name)
    again.theta = own.theta.copy()
    training = again.train(LinearStart(weights=WEIGHTS, cut=0.5))
    np.testing.assert_array_equal(training.theta, own.theta)
    assert "stays, for the minimiser's is" in training.stages[0].message
    assert training.stages[0].iterations == 0


def test_a_layer_that_is_not_finite_is_not_taken():
    own = trial(
        "jax", network="network={name: sines, width: 8, depth: 2, frequencies: [1.0, 1.0], scale: 1.0e+200}"
    )
    start = own.theta.copy()
    start[layer_of(own)] = 0
    own.theta = start.copy()
    training = own.train(LinearStart())
    np.testing.assert_array_equal(training.theta, start)
    assert training.status == "finished" and "stays" in training.stages[0].message


def test_a_killed_run_goes_on_to_the_last_bit(backend_name):
    stages = LinearStart(weights=WEIGHTS), optimizers.load("adam")(iterations=3)
    for whole, again in continued(lambda kept: trial(backend_name, kept=kept), lambda own: own.train(*stages)):
        assert_same(whole, again)


@pytest.mark.parametrize("name", networks.names())
def test_it_works_with_every_network(name):
    network = small_network(name, 2)
    LinearStart().check(network, 2, ["initial", "residual"])


class Rounded(networks.load("dense")):
    """Has no linear output."""

    def output_layer(self, dimension: int) -> list[str]:
        return []


def test_a_network_without_a_linear_output_is_refused():
    with pytest.raises(KeyProblem, match="linear output layer, which Rounded does not have") as caught:
        LinearStart().check(Rounded(4, 2), 2, ["residual"])
    assert (caught.value.key, caught.value.value) == ("optimizer", "linear-start")


@pytest.mark.parametrize(
    ("stage", "key", "words"),
    [
        ({"weights": {"boundry": 2}}, "weights.boundry", "allowed: supervised, initial, boundary, residual"),
        ({"weights": {"boundary": 0}}, "weights.boundary", "greater than 0"),
        ({"iterations": 2}, "iterations", "must be 1"),
        ({"cut": 1.5}, "cut", "between 0 and 1"),
    ],
)
def test_impossible_settings_are_named(stage, key, words):

    given = json.dumps([{"stages": [{"optimizer": "linear-start"} | stage]}])
    with pytest.raises(ConfigurationError, match=words) as caught:
        CATALOGUE.resolve("heat-0.3", "pinn", "jax", "strict", "smoke", overrides=[f"levels={given}"])
    assert f"levels.0.stages.0.{key} " in str(caught.value)
