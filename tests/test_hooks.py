"""What a rule and an optimizer may hook into: chance, points, observations, memory; on both backends."""

import numpy as np
import pytest

from solvers.balancing import Balancing
from solvers.balancing.sum import Sum
from solvers.optimizers.adam import Adam
from solvers.optimizers.base import FirstOrder
from solvers.optimizers.lbfgs import Lbfgs
from tests.conftest import BACKENDS
from tests.plugins import SEEN, Attentive, ByTerm, Curious, HeavyBall, Noisy
from tests.trial import Trial, assert_same, continued, trial_of

CASE = ("heat-0.3", "pinn")
HOOKS = {
    "chance": (Noisy(), Adam(14)),
    "points": (Attentive(), Adam(14)),
    "momentum": (Sum(), HeavyBall(14)),
    "by term": (Sum(), ByTerm(14)),
    "points and momentum": (Attentive(), HeavyBall(14)),
}


def trial(backend: str, rule: Balancing, every: int = 4, **options) -> Trial:
    return trial_of(backend, every=every, case=CASE, rule=rule, **options)


@pytest.fixture(params=HOOKS)
def hooks(request: pytest.FixtureRequest) -> tuple[Balancing, FirstOrder]:
    return HOOKS[request.param]


def test_backends_take_the_same_path(hooks):
    rule, optimizer = hooks
    found = []
    for name in BACKENDS:
        made = trial(name, rule, every=1)
        made.train(optimizer)
        found.append((made.objectives, made.balancing))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-8)
    assert len(np.unique(found[0][0])) == 15
    for name, array in found[0][1].items():
        np.testing.assert_allclose(array, found[1][1][name], rtol=1e-7, atol=1e-12)


def test_a_kill_changes_nothing(backend_name, hooks):
    """Also chance is drawn as if nothing had happened."""
    rule, optimizer = hooks
    make = lambda kept: trial(backend_name, rule, kept=kept)  # noqa: E731
    for whole, again in continued(make, lambda made: made.train(optimizer, Adam(5))):
        assert_same(whole, again)


def test_rows_of_the_history_do_not_change_the_path(backend_name, hooks):
    """Blocks of other lengths, the same steps: chance, states and memories know none of them."""
    rule, optimizer = hooks
    ends = [trial(backend_name, rule, every=every).train(optimizer).theta for every in (1, 5, 100)]
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], rtol=1e-12, atol=1e-15)


def test_chance_is_drawn_with_numpy_step_by_step(backend_name):
    made = trial(backend_name, Noisy())
    ours = made.train(HeavyBall(6, rate=1e-5, momentum=0.0)).theta
    theta, rng = made.theta, np.random.default_rng(0)
    for _ in range(6):
        _, gradients = made.backend.terms_and_gradients(theta)
        theta = theta - 1e-5 * rng.uniform(0, 2, len(gradients)) @ gradients
    np.testing.assert_allclose(ours, theta, rtol=1e-9, atol=1e-13)


def test_momentum_over_the_namespace_is_that_of_numpy(backend_name):
    made = trial(backend_name, Sum())
    ours = made.train(HeavyBall(9)).theta
    theta, velocity = made.theta, np.zeros_like(made.theta)
    for _ in range(9):
        velocity = 0.9 * velocity - 1e-6 * made.evaluate(theta).gradient
        theta = theta + velocity
    np.testing.assert_allclose(ours, theta, rtol=1e-9, atol=1e-13)


def test_an_optimizer_by_term_sees_each_weighted_gradient_and_its_schedule(backend_name):
    made = trial(backend_name, Sum())
    ours = made.train(ByTerm(5)).theta
    theta = made.theta
    for step in range(1, 6):
        _, gradients = made.backend.terms_and_gradients(theta)
        theta = theta - 1e-3 / step * (gradients / np.linalg.norm(gradients, axis=1)[:, None]).sum(axis=0)
    np.testing.assert_allclose(ours, theta, rtol=1e-9, atol=1e-13)


def test_a_rule_by_point_sees_the_residuals_of_every_step(backend_name):
    """Its multipliers weigh the points, follow the residuals at the parameters before the step, and stay for
    L-BFGS, whose objective has them."""
    made = trial(backend_name, Attentive())
    optimizer = HeavyBall(6, rate=1e-5, momentum=0.0)
    made.train(optimizer, Lbfgs(4, 100, ftol=0, gtol=0))
    theta, own = made.theta, np.ones(made.backend.sizes["residual"])
    for _ in range(6):
        state = {"multiplier.residual": own}
        seen, size = made.evaluate(theta, state), np.abs(made.backend.residuals(theta)["residual"])
        theta, own = theta - 1e-5 * seen.gradient, 0.9 * own + 0.1 * size / size.max()
    np.testing.assert_allclose(made.balancing["multiplier.residual"], own, rtol=1e-8)
    row, seen = made.monitor.rows[-1], made.evaluate(made.training.theta, made.balancing)
    assert row["objective"] == pytest.approx(seen.loss, rel=1e-12)
    raw, _ = made.backend.terms_and_gradients(made.training.theta)
    residuals = made.backend.residuals(made.training.theta)["residual"]
    assert row["term.residual"] == pytest.approx(raw[-1], rel=1e-12)
    assert raw[:-1].sum() + ((own * residuals) ** 2).mean() == pytest.approx(seen.loss, rel=1e-8)
    assert row["weight.residual"] * raw[-1] == pytest.approx(((own * residuals) ** 2).mean(), rel=1e-8)


def test_an_observation_is_computed_once_when_asked_for_and_counted(backend_name):
    """After steps 0, 3 and 6: values and gradients together, residuals, row norms: three evaluations a time."""
    SEEN.clear()
    made = trial(backend_name, Curious(), every=100)
    made.train(HeavyBall(7))
    assert made.monitor.total.function_evaluations == 7 + 3 * 3
    assert [(iteration, terms) for iteration, terms, _ in SEEN] == [(n, made.backend.names) for n in (1, 4, 7)]
    backend, theta = made.backend, made.training.theta
    values, gradients = backend.terms_and_gradients(theta)
    seen = SEEN[-1][2]
    np.testing.assert_allclose(seen["values"], values, rtol=1e-12)
    np.testing.assert_allclose(seen["gradients"], gradients, rtol=1e-12)
    np.testing.assert_allclose(seen["gram"], gradients @ gradients.T, rtol=1e-9)
    norms, residuals = backend.row_norms(theta), backend.residuals(theta)
    for term in backend.names:
        np.testing.assert_allclose(seen[f"residuals.{term}"], residuals[term], rtol=1e-12)
        np.testing.assert_allclose(seen[f"norms.{term}"], norms[term], rtol=1e-12)
    before = trial(backend_name, Curious(), every=100).train(HeavyBall(4)).theta
    np.testing.assert_allclose(SEEN[1][2]["values"], backend.terms_and_gradients(before)[0], rtol=1e-12)
