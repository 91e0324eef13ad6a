"""Optimizer stages: the same path in both backends, the right counts, the right reasons."""

import numpy as np
import pytest

from solvers import optimizers
from solvers.assembly import build_backend, initial_parameters
from solvers.backends import Evaluation
from solvers.monitor import Diverged, Monitor
from solvers.optimizers import Job, StopReason
from solvers.optimizers.adam import Adam
from solvers.optimizers.lbfgs import Lbfgs
from solvers.stopwatch import Stopwatch
from solvers.training import Level, train
from tests.conftest import BACKENDS, CATALOGUE, METHODS, coefficients_of, smoke_spec

CASE = ("heat-0.3", "mmpinn")
RNG = np.random.default_rng(0)


def job_for(
    backend: str, numerics: str = "strict", every: int = 1, case: tuple[str, str] = CASE
) -> tuple[Job, np.ndarray]:
    spec = smoke_spec(case, backend, numerics)
    problem = spec.build_problem()
    built = build_backend(spec, problem)
    monitor = Monitor(spec.terms, lambda theta: 0.0, every, 1e4, Stopwatch())
    monitor.begin_stage(0, 0, "test")
    coefficients = coefficients_of(built.balancing, built.sizes, spec.levels[0].exponents)
    return Job(built, coefficients, monitor), initial_parameters(spec, problem).astype(spec.dtype)


def objectives(job: Job) -> np.ndarray:
    return np.array([row["objective"] for row in job.monitor.rows])


def reference_adam(job: Job, theta: np.ndarray, adam: Adam) -> np.ndarray:
    """Kingma and Ba, algorithm 1, in NumPy."""
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    for t, rate in enumerate(adam.rates(), start=1):
        gradient = job.backend.evaluate(theta, job.coefficients).gradient
        first = adam.beta1 * first + (1 - adam.beta1) * gradient
        second = adam.beta2 * second + (1 - adam.beta2) * gradient**2
        corrected = np.sqrt(second / (1 - adam.beta2**t)) + adam.epsilon
        theta = theta - rate * first / (1 - adam.beta1**t) / corrected
    return theta


def test_adam_is_the_published_algorithm(backend_name):
    job, theta = job_for(backend_name, every=7)
    adam = Adam(iterations=25, learning_rate=3e-3, decay_rate=0.5, decay_steps=10)
    outcome = adam.minimise(job, theta)
    np.testing.assert_allclose(outcome.theta, reference_adam(job, theta, adam), rtol=1e-9, atol=1e-12)
    assert job.monitor.total.iterations == job.monitor.total.function_evaluations == 25
    assert [row["iteration"] for row in job.monitor.rows] == [0, 7, 14, 21]


def test_history_rows_hold_the_iterate_they_name(backend_name):
    """The row of iteration 7 has the terms at the parameters after 7 steps."""
    job, theta = job_for(backend_name, every=7)
    Adam(iterations=14).minimise(job, theta)
    other, _ = job_for(backend_name)
    after = Adam(iterations=7).minimise(other, theta).theta
    assert job.monitor.rows[1]["objective"] == pytest.approx(
        other.backend.evaluate(after, other.coefficients).objective, rel=1e-12
    )


@pytest.mark.parametrize("optimizer", [Adam(iterations=50), Lbfgs(iterations=50, evaluations=500, ftol=0, gtol=0)])
def test_backends_take_the_same_path_in_float64(optimizer):
    paths = []
    for name in BACKENDS:
        job, theta = job_for(name)
        optimizer.minimise(job, theta)
        paths.append(objectives(job))
    assert len(paths[0]) == len(paths[1]) >= 50
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-6)


@pytest.mark.parametrize("implementation", ["scipy", "native"])
@pytest.mark.parametrize("numerics", ["paper", "strict"])
def test_lbfgs_lowers_the_objective_within_its_budget(backend_name, implementation, numerics):
    job, theta = job_for(backend_name, numerics, every=15)
    lbfgs = Lbfgs(iterations=40, evaluations=400, implementation=implementation)
    outcome = lbfgs.minimise(job, theta)
    assert outcome.reason is StopReason.ITERATION_LIMIT
    assert job.monitor.total.iterations == 40
    assert job.monitor.total.function_evaluations >= 40
    assert objectives(job)[-1] < 0.9 * objectives(job)[0]
    assert outcome.theta.dtype == theta.dtype


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"iterations": 5, "evaluations": 100}, StopReason.ITERATION_LIMIT),
        ({"iterations": 100, "evaluations": 5}, StopReason.EVALUATION_LIMIT),
        ({"iterations": 100, "evaluations": 100, "gtol": 1e9}, StopReason.GRADIENT),
        ({"iterations": 100, "evaluations": 100, "ftol": 0.5}, StopReason.NO_DECREASE),
    ],
)
def test_lbfgs_says_why_it_stopped(settings, reason):
    job, theta = job_for("jax")
    outcome = Lbfgs(**settings).minimise(job, theta)
    assert outcome.reason is reason
    assert reason.explanation


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"iterations": 100, "evaluations": 10}, StopReason.EVALUATION_LIMIT),
        ({"iterations": 100, "evaluations": 1000, "gtol": 1e9}, StopReason.GRADIENT),
        ({"iterations": 100, "evaluations": 1000, "ftol": 1e3}, StopReason.NO_DECREASE),
    ],
)
def test_native_lbfgs_says_why_it_stopped(backend_name, settings, reason):
    job, theta = job_for(backend_name, every=5)
    assert Lbfgs(implementation="native", **settings).minimise(job, theta).reason is reason


def test_scipys_counts_are_ours(monkeypatch):
    import solvers.optimizers.lbfgs as module

    results = []
    original = module.minimize
    monkeypatch.setattr(module, "minimize", lambda *a, **k: results.append(original(*a, **k)) or results[-1])
    job, theta = job_for("jax")
    Lbfgs(iterations=30, evaluations=300).minimise(job, theta)
    assert results[0].nit == job.monitor.total.iterations
    assert results[0].nfev == job.monitor.total.function_evaluations
    assert results[0].njev == job.monitor.total.gradient_evaluations


def test_divergence_is_found_and_named(backend_name):
    job, theta = job_for(backend_name, "paper", every=5)
    with pytest.raises(Diverged, match=r"term (initial|boundary|residual) is .* at iteration 1: "):
        Adam(iterations=20, learning_rate=1e6).minimise(job, theta)


def test_a_term_may_grow_while_the_objective_falls():
    """Under a power a raw term may rise by orders of magnitude: that is no divergence."""
    job, _ = job_for("jax")
    ones = np.ones(3)
    for objective, residual in ((10.0, 1e3), (9.0, 1e12), (8.0, 1e18)):
        job.monitor.check(Evaluation(np.array([1.0, 1.0, residual]), objective, ones, ones, ones))
    with pytest.raises(Diverged, match=r"term residual is 1e\+18 .* objective 200000 exceeds 100000"):
        job.monitor.check(Evaluation(np.array([1.0, 1.0, 1e18]), 2e5, ones, ones, ones))


def test_not_a_number_is_divergence(backend_name):
    job, theta = job_for(backend_name)
    theta[0] = np.nan
    for optimizer in (Adam(iterations=3), Lbfgs(iterations=3, evaluations=9)):
        with pytest.raises(Diverged, match="nan"):
            optimizer.minimise(job, theta)


def test_training_ends_normally_when_a_stage_diverges():
    job, theta = job_for("jax", "paper")
    levels = [
        Level({"residual": 3.0}, [("adam", Adam(iterations=20, learning_rate=1e6)), ("adam", Adam(iterations=5))])
    ]
    training = train(job.backend, levels, theta, job.monitor, RNG)
    assert training.status == "diverged"
    assert [stage.reason for stage in training.stages] == [StopReason.DIVERGED]
    np.testing.assert_array_equal(training.theta, theta)


def test_best_is_sought_anew_at_each_level():
    job, theta = job_for("jax")
    monitor = job.monitor
    levels = [Level({"residual": 3.0}, [("adam", Adam(iterations=4))]), Level({}, [("adam", Adam(iterations=4))])]
    train(job.backend, levels, theta, monitor, RNG)
    second = [row for row in monitor.rows if row["level"] == 1]
    best = min(second, key=lambda row: row["objective"])
    assert (monitor.best.iteration, monitor.best.objective) == (best["iteration"], best["objective"])


def test_monitoring_is_not_training_time():
    job, theta = job_for("jax")
    clock = job.monitor.stopwatch

    def slow(theta: np.ndarray) -> float:
        import time

        time.sleep(0.05)
        return 0.0

    job.monitor.error = slow
    with clock.phase("training"):
        Lbfgs(iterations=4, evaluations=40).minimise(job, theta)
    assert clock.wall["monitoring"] >= 0.2
    assert job.monitor.rows[-1]["seconds"] <= clock.wall["training"]


def test_every_optimizer_is_used_by_a_method():
    specs = [CATALOGUE.resolve(*method, "jax", scale="smoke") for method in METHODS]
    assert {stage["optimizer"] for spec in specs for level in spec.levels for stage in level.stages} == set(
        optimizers.names()
    )
