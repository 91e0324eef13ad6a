"""BFGS and its self-scaled variants: published counts, quadratics, Wolfe's conditions, restarts, both backends."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from solvers.configuration.spec import RunSpec
from solvers.configuration.strict_yaml import ConfigurationError
from solvers.optimizers import StopReason, _wolfe
from solvers.optimizers._gauss_newton import gauss_newton_inverse
from solvers.optimizers._inverse_hessian import OnDevice, OnHost, inverse_hessian, self_scaled
from solvers.optimizers.base import Step
from solvers.optimizers.bfgs import Bfgs
from solvers.runs import run as module
from solvers.training.levels import Stage
from solvers.training.loss import StageObjective
from solvers.training.objective import IDENTITY, LOGARITHM, TRANSFORMS, Transform
from tests.conftest import BACKENDS, CATALOGUE
from tests.test_jacobian import joined
from tests.trial import Trial, assert_same, continued, trial_of

UPDATES = ("bfgs", "ssbfgs", "ssbroyden")
SMALL = ("network.depth=3", "network.width=20")
NET = {"case": ("heat-0.3", "pinn"), "overrides": [*SMALL, "points.residual.count=500"], "seed": 1000}


@dataclass
class Plain:
    """A function of NumPy as an objective; nothing is evaluated twice in a row."""

    function: Callable[[np.ndarray], tuple[float, np.ndarray]]
    backend: Any = field(default_factory=lambda: SimpleNamespace(on_cpu=True, dtype=np.dtype("float64")))
    evaluations: int = 0
    last: Any = None

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        if self.last is None or not np.array_equal(theta, self.last[0]):
            self.evaluations += 1
            self.last = theta.copy(), self.function(theta)
        return self.last[1]


def followed(
    objective: Any, theta: np.ndarray, optimizer: Bfgs, most: int = 10**6
) -> tuple[list[np.ndarray], Step]:
    """The iterates, and the last step."""
    memory, path = optimizer.init(objective, theta), [theta]
    for _ in range(most):
        step = optimizer.step(objective, path[-1], memory)
        if not np.array_equal(step.theta, path[-1]):
            path.append(step.theta)
        if step.stop:
            break
        memory = step.memory
    return path, step


def quartic(x: np.ndarray) -> tuple[float, np.ndarray]:
    d = np.logspace(0, 6, 50)
    return float((d * x**2 / 2 + x**4 / 4).sum()), d * x + x**3


ROSENBROCK = (lambda x: (float(rosen(x)), rosen_der(x))), np.tile([-1.2, 1.0], 25), 1e-10
QUARTIC = quartic, np.ones(50), 1e-8
PUBLISHED = [
    ("bfgs", ROSENBROCK, 341, 0.03),
    ("ssbfgs", ROSENBROCK, 276, 0.05),
    ("ssbroyden", ROSENBROCK, 372, 0.11),
    ("bfgs", QUARTIC, 619, 0.01),
    ("ssbfgs", QUARTIC, 262, 0.04),
    ("ssbroyden", QUARTIC, 185, 0.03),
]
"""Numbers of iterations of a reference made from the formulas in NumPy, and by how much they move, as a share,
over twelve starts that differ by 1e-15."""


@pytest.mark.parametrize(("update", "case", "expected", "spread"), PUBLISHED)
def test_published_numbers_of_iterations(update, case, expected, spread):
    function, start, tolerance = case
    path, step = followed(Plain(function), start, Bfgs(2000, 10**5, update, gtol=tolerance))
    assert step.stop == StopReason.GRADIENT
    assert len(path) - 1 == pytest.approx(expected, rel=spread)
    assert np.abs(function(path[-1])[1]).max() <= tolerance


def dense_update(update: str, first: bool, matrix, s, y, gradient, length) -> np.ndarray:
    """The published formulas as they stand, with whole matrices."""
    hy, rho, n = matrix @ y, 1 / (y @ s), len(s)
    h, b = rho * (y @ hy), -length * rho * (s @ gradient)
    a = b * h - 1
    theta, tau = 0.0, 1.0
    if update == "ssbfgs":
        tau = min(1, 1 / b)
    if update == "ssbroyden":
        rm = min(1, h * (1 - np.sqrt(abs(a) / (1 + a))))
        theta = max((rm - 1) / a, min(1 / rm, (1 - b) / b))
        sigma = 1 + a * theta
        sn = abs(sigma) ** (1 / (1 - n))
        tau = min(min(1, 1 / b) * sn, sigma) if theta <= 0 else min(1, 1 / b) * min(sn, 1 / theta)
    if first:
        tau = h / (1 + a * theta)
    phi, v = (1 - theta) / (1 + a * theta), rho * s - hy / (y @ hy)
    inner = matrix - np.outer(hy, hy) / (y @ hy) + phi * (y @ hy) * np.outer(v, v)
    return inner / tau + rho * np.outer(s, s)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("update", UPDATES)
def test_the_matrix_is_that_of_the_formula_and_stays_in_its_memory(update, first, backend_name):
    """With BLAS on the host, and over the framework."""
    rng, n, length = np.random.default_rng(0), 30, 0.7
    root = rng.standard_normal((n, n))
    start = np.eye(n) if first else root @ root.T / n
    gradient = rng.standard_normal(n)
    s = -length * (start @ gradient)
    y = rng.standard_normal(n) * 0.1 + 0.8 * s
    expected = dense_update(update, first, start, s, y, gradient, length)
    backend = trial_of(backend_name).backend
    host, device = OnHost(start.copy()), OnDevice(backend.array(start), backend)
    for matrix in (host, device):
        h = matrix.times(y)
        change = self_scaled(update, first, -length * float(s @ gradient), float(y @ s), float(y @ h), n)
        after = matrix.changed(change, s, h)
        upper = np.triu(np.asarray(after.kept))
        np.testing.assert_allclose(upper, np.triu(expected), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(after.times(y), s, rtol=1e-8, atol=1e-12)  # the secant equation
        assert np.array_equal(after.identity().times(y), y)
    assert np.shares_memory(after.kept if isinstance(after, OnHost) else host.kept, host.array)


def test_a_quadratic_is_known_after_as_many_exact_steps_as_it_has_variables():
    rng, n = np.random.default_rng(1), 12
    root = rng.standard_normal((n, n))
    hessian, theta = root @ root.T / n + 0.1 * np.eye(n), rng.standard_normal(n)
    matrix = OnHost(np.eye(n))
    for k in range(n):
        gradient = hessian @ theta
        direction = -matrix.times(gradient)
        length = -(gradient @ direction) / (direction @ hessian @ direction)
        s = length * direction
        y, bent = hessian @ s, -length * float(s @ gradient)
        h = matrix.times(y)
        matrix = matrix.changed(self_scaled("bfgs", k == 0, bent, float(y @ s), float(y @ h), n), s, h)
        theta = theta + s
    found = np.triu(matrix.array) + np.triu(matrix.array, 1).T
    np.testing.assert_allclose(found, np.linalg.inv(hessian), rtol=1e-6, atol=1e-8)
    assert np.abs(theta).max() < 1e-10


def test_a_self_scaled_update_along_an_eigenvector_is_finite():
    change = self_scaled("ssbroyden", False, 2.0, 2.0, 2.0, 5)
    assert np.isfinite([change.scale, change.ss, change.sh, change.hh]).all()


def stage_objective(trial: Trial, transform: Transform = LOGARITHM) -> StageObjective:
    return StageObjective(trial.loss, trial.start, transform)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("update", UPDATES)
def test_accepted_steps_satisfy_the_strong_wolfe_conditions(update, transform):
    trial = trial_of("jax", **NET)
    objective, optimizer = stage_objective(trial, TRANSFORMS[transform]), Bfgs(60, 10**4, update)
    theta = trial.theta
    memory = optimizer.init(objective, theta)
    for _ in range(60):
        value, gradient = float(memory["value"]), np.array(memory["gradient"])
        step = optimizer.step(objective, theta, memory)
        move = step.theta - theta
        after, slope = stage_objective(trial, TRANSFORMS[transform])(step.theta)
        down = gradient @ move
        assert down < 0 and after <= value + _wolfe.DECREASE * down + 1e-13 * abs(value)
        assert abs(slope @ move) <= _wolfe.SLOPE * abs(down) * (1 + 1e-8)
        theta, memory = step.theta, step.memory
    # Nearly all first trials are taken, and none is evaluated twice.
    assert objective.evaluations < 1.4 * 60


def apart(one: list[np.ndarray], other: list[np.ndarray]) -> np.ndarray:
    """|a - b| / |a| of each iterate."""
    a, b = np.array(one), np.array(other)
    return np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)


def test_both_backends_take_the_same_hundred_steps(record_property):
    """To 1e-8. It is no more than rounding allows: BFGS makes of a start that differs by the last bit as much."""
    paths, optimizer = {}, Bfgs(100, 10**4)
    for name in BACKENDS:
        trial = trial_of(name, **NET)
        paths[name], _ = followed(stage_objective(trial), trial.theta, optimizer, 100)
    trial = trial_of("jax", **NET)
    signs = np.random.default_rng(0).choice([-1, 1], len(trial.theta))
    control, _ = followed(stage_objective(trial), trial.theta * (1 + 2.0**-52 * signs), optimizer, 100)
    found, bit = apart(paths["jax"], paths["torch"]), apart(paths["jax"], control)
    text = f"BFGS, iterates of torch against JAX after 50 and 100 steps: {found[50]:.1e}, {found[100]:.1e}"
    record_property("summary", f"{text}; of a start other by one bit: {bit[50]:.1e}, {bit[100]:.1e}")
    assert len(found) == 101
    assert found.max() < 1e-8 and found.max() < 10 * bit.max()


@pytest.mark.parametrize("update", UPDATES)
def test_a_gpus_matrix_leads_where_blas_leads(backend_name, update, monkeypatch):
    """The inverse Hessian as an array of the backend, as on a GPU, here on the CPU; also out of a checkpoint."""
    trial = trial_of(backend_name, **NET)
    optimizer = Bfgs(30, 10**4, update)
    host, _ = followed(stage_objective(trial), trial.theta, optimizer, 30)
    monkeypatch.setattr(type(trial.backend), "on_cpu", False)
    device, step = followed(stage_objective(trial), trial.theta, optimizer, 30)
    found = apart(host, device)
    assert found[:10].max() < 1e-12 and found.max() < 1e-8
    kept = step.memory["inverse_hessian"]
    assert isinstance(kept, OnDevice)
    again = inverse_hessian(np.array(kept, order="C"), trial.backend)
    assert isinstance(again, OnDevice) and np.array_equal(np.asarray(again.kept), np.asarray(kept))


STAGES = {
    "log": Stage("bfgs", Bfgs(12, 1000), LOGARITHM),
    "identity": Stage("bfgs", Bfgs(12, 1000, "ssbfgs"), IDENTITY),
    "gauss-newton": Stage("bfgs", Bfgs(12, 1000, "ssbroyden", "gauss-newton", restart_every=5), LOGARITHM),
    "float32": Stage("bfgs", Bfgs(12, 1000), LOGARITHM, "float32"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_killed_and_taken_up_it_goes_on_to_the_last_bit(backend_name, stage):
    for whole, again in continued(
        lambda kept: trial_of(backend_name, kept=kept), lambda t: t.train(STAGES[stage])
    ):
        assert whole.training.stages[0].iterations == 12
        assert_same(whole, again)


def test_the_inverse_hessian_is_never_copied():
    trial = trial_of("jax", **NET)
    objective, optimizer = stage_objective(trial), Bfgs(10, 1000, "ssbroyden")
    theta, memory = trial.theta, optimizer.init(objective, trial.theta)
    array = memory["inverse_hessian"]
    for _ in range(5):
        step = optimizer.step(objective, theta, memory)
        theta, memory = step.theta, step.memory
        assert memory["inverse_hessian"] is array


@pytest.mark.parametrize("hole", [np.nan, np.inf, "gradient"])
@pytest.mark.parametrize("radius", [1.0, 1e-6])
def test_a_search_gets_over_values_that_are_not_finite(hole, radius):
    """Outside a ball the objective, or its gradient, is no number; the first trial lies there, as far as 1e6 times
    its radius."""
    outside = []

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        if np.linalg.norm(x) > radius:
            outside.append(x)
            return (1.0, np.full(2, np.nan)) if hole == "gradient" else (float(hole), np.full(2, hole))
        y = x / radius
        return float(4 * (y[0] - 0.8) ** 2 + y[1] ** 4), np.array([8 * (y[0] - 0.8), 4 * y[1] ** 3]) / radius

    start = radius * np.array([0.0, 0.3])
    path, step = followed(Plain(function), start, Bfgs(200, 10**4, gtol=1e-8 / radius))
    assert step.stop == StopReason.GRADIENT and np.allclose(path[-1] / radius, [0.8, 0], atol=1e-2)
    assert outside


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"iterations": 5, "evaluations": 100}, StopReason.ITERATION_LIMIT),
        ({"iterations": 100, "evaluations": 5}, StopReason.EVALUATION_LIMIT),
        ({"iterations": 100, "evaluations": 100, "gtol": 1e9}, StopReason.GRADIENT),
        ({"iterations": 100, "evaluations": 1000, "ftol": 0.5}, StopReason.NO_DECREASE),
    ],
)
def test_it_says_why_it_stopped(settings, reason):
    (stage,) = trial_of("jax").train(Bfgs(**settings)).stages
    assert stage.reason == reason and stage.iterations <= settings["iterations"]


def test_it_stops_where_no_step_is_left():
    """At the bottom of a float64 loss neither search finds a step, and the identity does not either."""
    path, step = followed(Plain(lambda x: (1 + float(x @ x), 2 * x)), np.full(3, 1e-7), Bfgs(1000, 10**4, gtol=0))
    assert step.stop in (StopReason.LINE_SEARCH, StopReason.GRADIENT) and len(path) < 20


def test_a_direction_that_fails_is_followed_by_the_identity():
    objective, theta = Plain(lambda x: (float(x @ x), 2 * x)), np.ones(3)
    optimizer = Bfgs(10, 1000)
    memory = dict(optimizer.init(objective, theta)) | {"identity": np.array(False), "inverse_hessian": -np.eye(3)}
    step = optimizer.step(objective, theta, memory)
    assert step.stop is None and objective(step.theta)[0] < 3
    only = optimizer.step(objective, theta, dict(memory) | {"gradient": -2 * theta, "identity": np.array(True)})
    assert only.stop == StopReason.LINE_SEARCH and np.array_equal(only.theta, theta)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_gauss_newton_inverse_is_that_of_the_weighted_rows(backend_name, transform):
    """MMPINN's powers: the weights are those at the iterate; of phi(L) the Hessian is near 2 phi' J'WJ."""
    trial = trial_of(backend_name)
    objective = stage_objective(trial, TRANSFORMS[transform])
    upper = np.triu(gauss_newton_inverse(objective, trial.theta, 1e-3))
    found, seen, matrix = upper + np.triu(upper, 1).T, trial.evaluate(trial.theta), 0.0
    for (_, shares, rows), weight in zip(joined(trial.backend, trial.theta).values(), seen.weights, strict=True):
        matrix = matrix + weight * (rows.T * shares) @ rows
    matrix[np.diag_indices_from(matrix)] += 1e-3 * matrix.diagonal().max()
    slope = 1.0 if transform == "identity" else 1 / seen.loss
    np.testing.assert_allclose(found @ (2 * slope * matrix), np.eye(len(matrix)), atol=1e-7)
    assert objective.evaluations == 2  # the gradient and the rows


def test_where_a_direction_fails_the_gauss_newton_matrix_gives_the_next(backend_name):
    """Out of a memory that leads uphill; and after every so many steps out of one that does not."""
    trial = trial_of(backend_name, **NET)
    theta, parameters = trial.theta, len(trial.theta)
    for every, wrong in ((None, {"identity": np.array(False), "inverse_hessian": -np.eye(parameters)}), (1, {})):
        objective, optimizer = stage_objective(trial), Bfgs(10, 1000, restart="gauss-newton", restart_every=every)
        memory = dict(optimizer.init(objective, theta)) | wrong | {"steps": np.array(1)}
        step = optimizer.step(objective, theta, memory)
        gauss_newton = OnHost(gauss_newton_inverse(stage_objective(trial), theta, optimizer.damping))
        direction, move = -gauss_newton.times(memory["gradient"]), step.theta - theta
        assert move @ direction > (1 - 1e-6) * np.linalg.norm(move) * np.linalg.norm(direction)
        assert not step.memory["identity"] and step.memory["steps"] == 2


def with_stage(optimizer: str, *overrides: str) -> RunSpec:
    """A smoke run of one stage."""
    levels = (
        f"levels=[{{stages: [{{optimizer: {optimizer}, iterations: 3, evaluations: 9, precision: float64}}]}}]"
    )
    return CATALOGUE.resolve("heat-0.3", "pinn", "jax", scale="smoke", overrides=[levels, *overrides])


@pytest.mark.parametrize(
    ("optimizer", "setting", "problem"),
    [
        ("bfgs", "network.width=150", "needs 35 GiB with 68551 parameters and 350 points"),
        ("bfgs", "network.width=200", "at most 16 GiB are allowed"),
        ("levenberg-marquardt", "network.width=150", "needs 70.2 GiB with 68551 parameters"),
        ("spring", "points.residual.count=60000000", "needs 166 GiB with 371 parameters and 60000150 points"),
    ],
)
def test_matrices_that_no_machine_should_hold_are_refused_with_the_setting(optimizer, setting, problem):
    with pytest.raises(ConfigurationError) as error:
        with_stage(optimizer, "network.depth=4", setting)
    line = str(error.value)
    assert f'levels.0.stages.0.optimizer (value "{optimizer}")' in line and problem in line and "\n" not in line


@pytest.mark.parametrize("optimizer", ["bfgs", "levenberg-marquardt", "spring"])
def test_matrices_that_find_no_memory_are_refused_before_training(optimizer, monkeypatch, tmp_path):
    spec = with_stage(optimizer, "network.width=50", "network.depth=4")
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: SimpleNamespace(available=2**16, total=2**30))
    record = module.run(spec, tmp_path)
    assert (record.status, record.iterations, record.stages) == ("out-of-memory", 0, [])
    for part in (
        f"levels.0.stages.0.optimizer (value '{optimizer}')",
        "with 7851 parameters",
        "6.1e-05 GiB are free",
    ):
        assert part in record.reason
    if optimizer == "bfgs":
        assert "needs 0.459 GiB" in record.reason


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"iterations": 0}, "iterations 0 must be at least 1"),
        ({"restart_every": 0}, "restart_every 0 must be at least 1"),
        ({"damping": 0.0}, "damping 0.0 must be greater than 0"),
        ({"ftol": -1.0}, "must not be negative"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, part):
    with pytest.raises(ValueError, match=part):
        Bfgs(**({"iterations": 1, "evaluations": 1} | settings))
