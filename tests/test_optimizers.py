"""Optimizer stages: the same path in both backends, the right counts, the right reasons."""

import re

import numpy as np
import pytest

from solvers import optimizers
from solvers.backends.base import Backend
from solvers.optimizers import StopReason
from solvers.optimizers.adam import Adam
from solvers.optimizers.base import Evaluation
from solvers.optimizers.lbfgs import Lbfgs
from solvers.training.history import Diverged
from solvers.training.levels import Level, Stage
from solvers.training.loss import StageObjective
from tests.conftest import BACKENDS, METHODS, ROOT, smoke_spec
from tests.trial import Trial, trial_of

pytestmark = pytest.mark.usefixtures("compiled_as_in_production")


def reference_adam(trial: Trial, adam: Adam) -> np.ndarray:
    """Kingma and Ba, algorithm 1, in NumPy."""
    theta = trial.theta
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    for t, rate in enumerate(adam.schedule(), start=1):
        gradient = trial.evaluate(theta).gradient
        first = adam.beta1 * first + (1 - adam.beta1) * gradient
        second = adam.beta2 * second + (1 - adam.beta2) * gradient**2
        corrected = np.sqrt(second / (1 - adam.beta2**t)) + adam.epsilon
        theta = theta - rate * first / (1 - adam.beta1**t) / corrected
    return theta


def test_adam_is_the_published_algorithm(backend_name):
    trial = trial_of(backend_name, every=7)
    adam = Adam(iterations=25, learning_rate=3e-3, decay_rate=0.5, decay_steps=10)
    training = trial.train(adam)
    np.testing.assert_allclose(training.theta, reference_adam(trial, adam), rtol=1e-9, atol=1e-12)
    assert trial.monitor.total.iterations == trial.monitor.total.function_evaluations == 25
    assert trial.iterations == [0, 7, 14, 21, 25]


def test_history_rows_hold_the_iterate_they_name(backend_name):
    """The row of iteration 7 has the terms at the parameters after 7 steps."""
    trial = trial_of(backend_name, every=7)
    trial.train(Adam(iterations=14))
    after = trial_of(backend_name).train(Adam(iterations=7)).theta
    row, seen = trial.monitor.rows[1], trial.evaluate(after)
    assert row["iteration"] == row["evaluation"] - 1 == 7
    assert row["objective"] == pytest.approx(seen.loss, rel=1e-12)
    assert row["rel_l2"] == pytest.approx(trial.monitor.error(after), rel=1e-12)
    for kind, values in (("term", seen.values), ("weight", seen.weights), ("gradient_norm", seen.gradient_norms)):
        own = [row[f"{kind}.{term}"] for term in trial.spec.terms]
        np.testing.assert_allclose(own, values, rtol=1e-9)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([Adam(10), Adam(7)], [0, 5, 10, 15, 17]),
        ([Adam(7), Adam(10)], [0, 5, 7, 10, 15, 17]),
        ([Adam(7), Lbfgs(10, 100, ftol=0, gtol=0)], [0, 5, 7, 10, 15, 17]),
        ([Lbfgs(10, 100, ftol=0, gtol=0), Adam(7)], [0, 5, 10, 10, 15, 17]),
    ],
    ids=["adam-10-adam-7", "adam-7-adam-10", "adam-7-lbfgs-10", "lbfgs-10-adam-7"],
)
def test_rows_stand_where_a_stage_starts_at_round_totals_and_at_the_end(backend_name, stages, expected):
    """Whatever the optimizers are, their iterations count together; L-BFGS gives a row of its last one."""
    trial = trial_of(backend_name, every=5)
    training = trial.train(*stages)
    assert trial.iterations == expected
    stage = [row["stage"] for row in trial.monitor.rows]
    starts = [i for i, row in enumerate(trial.monitor.rows) if i == 0 or row["stage"] != stage[i - 1]]
    assert [trial.iterations[i] for i in starts] == [0, stages[0].iterations]
    last = trial.monitor.rows[-1]
    assert last["objective"] == pytest.approx(trial.evaluate(training.theta).loss, rel=1e-12)


@pytest.mark.parametrize("optimizer", [Adam(iterations=50), Lbfgs(iterations=50, evaluations=500, ftol=0, gtol=0)])
def test_backends_take_the_same_path_in_float64(optimizer):
    paths = []
    for name in BACKENDS:
        trial = trial_of(name)
        trial.train(optimizer)
        paths.append(trial.objectives)
    assert len(paths[0]) == len(paths[1]) >= 50
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-6)


@pytest.mark.parametrize("implementation", ["scipy", "native"])
@pytest.mark.parametrize("numerics", ["paper", "strict"])
def test_lbfgs_lowers_the_objective_within_its_budget(backend_name, implementation, numerics):
    trial = trial_of(backend_name, numerics, every=15)
    training = trial.train(Lbfgs(iterations=40, evaluations=400, implementation=implementation))
    assert training.stages[0].reason == StopReason.ITERATION_LIMIT
    assert trial.monitor.total.iterations == training.stages[0].iterations == 40
    assert trial.monitor.total.function_evaluations >= 40
    assert trial.objectives[-1] < 0.9 * trial.objectives[0]
    assert training.theta.dtype == trial.theta.dtype == trial.spec.dtype


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
    (stage,) = trial_of("jax").train(Lbfgs(**settings)).stages
    assert stage.reason == reason
    assert stage.explanation == reason.explanation != ""


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"iterations": 100, "evaluations": 10}, StopReason.EVALUATION_LIMIT),
        ({"iterations": 100, "evaluations": 1000, "gtol": 1e9}, StopReason.GRADIENT),
        ({"iterations": 100, "evaluations": 1000, "ftol": 1e3}, StopReason.NO_DECREASE),
    ],
)
def test_native_lbfgs_says_why_it_stopped(backend_name, settings, reason):
    (stage,) = trial_of(backend_name, every=5).train(Lbfgs(implementation="native", **settings)).stages
    assert stage.reason == reason


def test_scipys_counts_are_ours(monkeypatch):
    import solvers.optimizers.lbfgs as module

    results = []
    original = module.minimize
    monkeypatch.setattr(module, "minimize", lambda *a, **k: results.append(original(*a, **k)) or results[-1])
    trial = trial_of("jax")
    trial.train(Lbfgs(iterations=30, evaluations=300))
    assert results[0].nit == trial.monitor.total.iterations
    assert results[0].nfev == trial.monitor.total.function_evaluations
    assert results[0].njev == trial.monitor.total.gradient_evaluations


def test_nothing_is_evaluated_twice_in_a_row(backend_name, monkeypatch):
    """What SciPy asked for is not computed again for the record; what the record asks for is not counted."""
    trial = trial_of(backend_name)
    objective = StageObjective(trial.loss, trial.start)
    calls, call = [], type(trial.backend).call
    monkeypatch.setattr(
        type(trial.backend), "call", lambda self, key, *rest: calls.append(key) or call(self, key, *rest)
    )
    value, gradient = objective(trial.theta)
    assert objective(trial.theta)[0] == value and objective.seen(trial.theta).loss == value
    assert (len(calls), objective.evaluations) == (1, 1)
    objective.seen(trial.theta + 1e-3)
    assert (len(calls), objective.evaluations) == (2, 1)
    objective(trial.theta + 1e-3)
    assert (len(calls), objective.evaluations) == (2, 1)
    objective(trial.theta)
    assert (len(calls), objective.evaluations) == (3, 2)
    assert gradient.dtype == np.float64


def test_divergence_is_found_and_named(backend_name):
    trial = trial_of(backend_name, "paper", every=5)
    training = trial.train(Adam(iterations=20, learning_rate=1e6))
    assert training.status == "diverged"
    message = r"term (initial|boundary|residual) is .* at iteration 1: "
    with pytest.raises(Diverged, match=message):
        raise Diverged(training.reason)


def test_a_term_may_grow_while_the_objective_falls():
    """Under a power a raw term may rise by orders of magnitude: that is no divergence."""
    monitor = trial_of("jax").monitor
    ones = np.ones(3)
    for objective, residual in ((10.0, 1e3), (9.0, 1e12), (8.0, 1e18)):
        monitor.check(Evaluation(np.array([1.0, 1.0, residual]), objective, ones, ones, ones))
    with pytest.raises(Diverged, match=r"term residual is 1e\+18 .* objective 200000 exceeds 100000"):
        monitor.check(Evaluation(np.array([1.0, 1.0, 1e18]), 2e5, ones, ones, ones))


@pytest.mark.parametrize("first", [-10.0, 0.5, 10.0])
def test_the_limit_stands_above_the_first_loss_whatever_its_sign(first):
    """A rule with logarithms has losses below zero: that is no divergence, but a rise beyond the limit is."""
    monitor = trial_of("jax").monitor
    ones, limit = np.ones(3), first + (1e4 - 1) * abs(first)
    for loss in (first, first - 5, first + 1, 0.999 * limit):
        monitor.check(Evaluation(ones, loss, ones, ones, ones))
    with pytest.raises(Diverged, match=r"exceeds"):
        monitor.check(Evaluation(ones, 1.001 * limit, ones, ones, ones))


def test_not_a_number_is_divergence(backend_name):
    for optimizer in (Adam(iterations=3), Lbfgs(iterations=3, evaluations=9)):
        trial = trial_of(backend_name)
        trial.theta[0] = np.nan
        training = trial.train(optimizer)
        assert training.status == "diverged" and "nan" in training.reason
        assert [stage.reason for stage in training.stages] == ["diverged"]


def test_training_ends_normally_when_a_stage_diverges():
    trial = trial_of("jax", "paper")
    training = trial.train(Adam(iterations=20, learning_rate=1e6), Adam(iterations=5))
    assert training.status == "diverged"
    assert [stage.reason for stage in training.stages] == [StopReason.DIVERGED]
    np.testing.assert_array_equal(training.theta, trial.theta)


def test_best_is_sought_anew_at_each_level():
    trial = trial_of("jax")
    monitor = trial.monitor
    trial.through([Level(level.balancing, [Stage("adam", Adam(4))]) for level in trial.spec.build_levels()[:2]])
    second = [row for row in monitor.rows if row["level"] == 1]
    best = min(second, key=lambda row: row["objective"])
    assert (monitor.best.iteration, monitor.best.objective) == (best["iteration"], best["objective"])
    assert best["objective"] > min(row["objective"] for row in monitor.rows if row["level"] == 0)


def test_monitoring_is_not_training_time():
    trial = trial_of("jax")
    clock = trial.monitor.stopwatch

    def slow(theta: np.ndarray) -> float:
        import time

        time.sleep(0.05)
        return 0.0

    trial.monitor.error = slow
    training = trial.train(Lbfgs(iterations=4, evaluations=40))
    assert clock.wall["monitoring"] >= 0.2
    assert trial.monitor.rows[-1]["seconds"] <= clock.wall["training"]
    assert training.stages[0].seconds <= clock.wall["training"]


def test_every_optimizer_is_used_by_a_method_or_a_study():
    specs = [smoke_spec(method, "jax", "paper") for method in METHODS]
    used = {stage["optimizer"] for spec in specs for level in spec.levels for stage in level.stages}
    studies = "".join(path.read_text() for path in (ROOT / "config/studies").glob("*.yaml"))
    assert used | set(re.findall(r"(?:{|- )optimizer: ([\w-]+)", studies)) == set(optimizers.names())


def test_backends_know_no_optimizer():
    """Each reaches those of its framework through its library alone."""
    assert not [name for name in dir(Backend) if "adam" in name or "lbfgs" in name]
