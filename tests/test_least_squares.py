"""Levenberg-Marquardt and SPRING: their formulas with whole matrices, what they lower, kills, both backends."""

import numpy as np
import pytest

from solvers.balancing.sum import Sum
from solvers.optimizers import Iterative, StopReason
from solvers.optimizers._gauss_newton import weighted_rows
from solvers.optimizers.levenberg_marquardt import LevenbergMarquardt
from solvers.optimizers.spring import Spring
from solvers.training.levels import Stage
from solvers.training.objective import IDENTITY, LOGARITHM, TRANSFORMS
from tests.conftest import BACKENDS
from tests.test_bfgs import apart, followed, stage_objective
from tests.test_jacobian import joined
from tests.trial import Kept, Trial, assert_same, continued, trial_of

FEW = {
    "case": ("heat-0.3", "pinn"),
    "overrides": ["points.residual.count=40", "points.initial.count=10", "points.boundary.count=10"],
    "seed": 1000,
}
"""60 points and more than as many parameters."""


def dense(trial: Trial, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted rows and residuals, joined term by term."""
    weights = trial.evaluate(theta).weights
    parts = zip(joined(trial.backend, theta).values(), weights, strict=True)
    roots = [(np.sqrt(shares * weight), rows, found) for (found, shares, rows), weight in parts]
    rows = np.concatenate([root[:, None] * rows for root, rows, _ in roots])
    return rows, np.concatenate([root * found for root, _, found in roots])


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("rule", ["sum", "power"])
def test_weighted_rows_make_the_gradient_of_the_loss(backend_name, rule, transform):
    """Under powers with the weights of the iterate; and of a plain sum the loss itself."""
    trial = trial_of(backend_name, rule=Sum() if rule == "sum" else None)
    objective = stage_objective(trial, TRANSFORMS[transform])
    objective(trial.theta)
    found, seen = weighted_rows(objective, trial.theta), trial.evaluate(trial.theta)
    rows, _ = dense(trial, trial.theta)
    np.testing.assert_allclose(found.jacobian, rows, atol=1e-12 * np.abs(rows).max())
    np.testing.assert_allclose(2 * found.jacobian.T @ found.residuals, seen.gradient, atol=1e-9)
    np.testing.assert_allclose(np.triu(found.gram()), np.triu(rows.T @ rows), atol=1e-10 * (rows**2).sum())
    np.testing.assert_allclose(np.triu(found.kernel()), np.triu(rows @ rows.T), atol=1e-10 * (rows**2).sum())
    assert (found.residuals @ found.residuals == pytest.approx(seen.loss)) == (rule == "sum")
    assert objective.evaluations == 2


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_levenberg_marquardt_step_is_the_published_one(backend_name, transform):
    """The smallest damping of 0.01, 0.04, ... that lowers the loss, in units of the largest diagonal entry."""
    trial = trial_of(backend_name, **FEW)
    objective, optimizer = stage_objective(trial, TRANSFORMS[transform]), LevenbergMarquardt(9, 99)
    step = optimizer.step(objective, trial.theta, optimizer.init(objective, trial.theta))
    rows, residuals = dense(trial, trial.theta)
    gram, damping = rows.T @ rows, optimizer.damping
    while True:
        matrix = gram + damping * gram.diagonal().max() * np.eye(len(gram))
        moved = trial.theta - np.linalg.solve(matrix, rows.T @ residuals)
        if trial.evaluate(moved).loss < trial.evaluate(trial.theta).loss:
            break
        damping *= 4
    np.testing.assert_allclose(step.theta, moved, atol=1e-10)
    assert step.memory["damping"] == pytest.approx(damping / 3)


@pytest.mark.parametrize("length", ["grid", "bounded"])
@pytest.mark.parametrize("case", ["few points", "many points"])
def test_spring_steps_are_the_published_ones(backend_name, case, length):
    """Three of them, by the form that has the kernel of the points, whichever of the two is solved."""
    few = case == "few points"
    trial = trial_of(backend_name, **(FEW if few else {"case": ("heat-0.3", "pinn")}))
    optimizer = Spring(9, 999, damping=1e-2, momentum=0.9, length=length)
    objective, theta = stage_objective(trial), trial.theta
    memory, phi = optimizer.init(objective, theta), np.zeros_like(theta)
    for _ in range(3):
        step = optimizer.step(objective, theta, memory)
        rows, residuals = dense(trial, theta)
        assert (len(rows) < len(theta)) == few
        kernel = rows @ rows.T + 1e-2 * np.eye(len(rows))
        phi = 0.9 * phi + rows.T @ np.linalg.solve(kernel, -residuals - 0.9 * rows @ phi)
        if length == "grid":
            found = [theta + 0.5**j * phi for j in range(31)]
            moved = min(found, key=lambda each: trial.evaluate(each).loss)
        else:
            moved = theta + min(1.0, np.sqrt(1e-3) / np.linalg.norm(phi)) * phi
        np.testing.assert_allclose(step.memory["phi"], phi, atol=1e-8 * np.abs(phi).max())
        np.testing.assert_allclose(step.theta, moved, atol=1e-8)
        theta, memory, phi = step.theta, step.memory, step.memory["phi"]


OPTIMIZERS: dict[str, Iterative] = {
    "levenberg-marquardt": LevenbergMarquardt(8, 10**4),
    "spring-grid": Spring(8, 10**4),
    "spring-bounded": Spring(8, 10**4, length="bounded"),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_killed_and_taken_up_they_go_on_to_the_last_bit(backend_name, name):
    def make(kept: Kept) -> Trial:
        return trial_of(backend_name, kept=kept)

    stage = Stage(name, OPTIMIZERS[name], LOGARITHM)
    for whole, again in continued(make, lambda trial: trial.train(stage)):
        assert whole.training.stages[0].iterations == 8
        assert_same(whole, again)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_they_lower_the_loss_alike_in_both_backends(name):
    """The transform changes nothing but the numbers that are compared; every evaluation is counted."""
    paths = {}
    for backend in BACKENDS:
        trial = trial_of(backend, case=("heat-0.3", "pinn"))
        objective = stage_objective(trial)
        paths[backend], _ = followed(objective, trial.theta, OPTIMIZERS[name], 8)
        plain, _ = followed(stage_objective(trial, IDENTITY), trial.theta, OPTIMIZERS[name], 8)
        assert apart(paths[backend], plain).max() < 1e-9
        lower = 0.9 if name == "levenberg-marquardt" else 1.0
        assert trial.evaluate(plain[-1]).loss < lower * trial.evaluate(plain[0]).loss
        if name == "spring-grid":
            assert objective.evaluations == 1 + 8 * (1 + 31 + 1)
        elif name == "spring-bounded":
            assert objective.evaluations == 1 + 8 * 2
    assert len(paths["jax"]) == 9
    assert apart(paths["jax"], paths["torch"]).max() < 1e-9


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        (LevenbergMarquardt(100, 5), StopReason.EVALUATION_LIMIT),
        (LevenbergMarquardt(100, 99, gtol=1e9), StopReason.GRADIENT),
        (Spring(100, 40, trials=12), StopReason.EVALUATION_LIMIT),
        (Spring(100, 40, damping=1e-300), StopReason.LINE_SEARCH),
        (Spring(2, 400), StopReason.ITERATION_LIMIT),
    ],
)
def test_they_say_why_they_stopped(optimizer, reason):
    (stage,) = trial_of("torch", case=("heat-0.3", "pinn")).train(optimizer).stages
    assert stage.reason == reason


@pytest.mark.parametrize("optimizer", [LevenbergMarquardt(5, 999), Spring(5, 999)])
def test_trials_that_are_not_finite_are_passed_over(optimizer, monkeypatch):
    """Every first trial of a step has no number for an objective."""
    trial = trial_of("torch", case=("heat-0.3", "pinn"))
    objective, known = stage_objective(trial), []
    call = type(objective).__call__

    def broken(self, theta):
        value, gradient = call(self, theta)
        if any(np.array_equal(theta, each) for each in known):
            return value, gradient
        known.append(theta)
        return (np.nan, gradient) if len(known) % 3 == 2 else (value, gradient)

    monkeypatch.setattr(type(objective), "__call__", broken)
    path, _ = followed(objective, trial.theta, optimizer, 5)
    assert len(path) == 6 and trial.evaluate(path[-1]).loss < trial.evaluate(path[0]).loss


@pytest.mark.parametrize(
    ("kind", "settings", "part"),
    [
        (LevenbergMarquardt, {"iterations": 0}, "iterations 0 must be at least 1"),
        (LevenbergMarquardt, {"damping": 1e-20}, "must lie between least_damping"),
        (LevenbergMarquardt, {"shrink": 2.0}, "shrink 2.0"),
        (Spring, {"trials": 0}, "trials 0 must be at least 1"),
        (Spring, {"momentum": 1.0}, "momentum 1.0 must lie in"),
        (Spring, {"damping": 0.0}, "damping 0.0 must be greater than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind, settings, part):
    with pytest.raises(ValueError, match=part):
        kind(**({"iterations": 1, "evaluations": 1} | settings))
