"""Multi-level training: levels in order, and in each level its optimizer stages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from solvers.backends.base import Backend
from solvers.monitor import Diverged, Monitor
from solvers.optimizers.base import Job, Optimizer, Outcome, StopReason
from solvers.sampling import Minibatches

__all__ = ["Level", "StageResult", "Training", "train"]


@dataclass(frozen=True)
class Level:
    """One level: the exponents of the balancing rule, and the optimizer stages (name, optimizer)."""

    exponents: Mapping[str, float]
    stages: Sequence[tuple[str, Optimizer]]


@dataclass(frozen=True)
class StageResult:
    """What one stage cost and why it stopped."""

    level: int
    optimizer: str
    iterations: int
    function_evaluations: int
    gradient_evaluations: int
    seconds: float
    reason: StopReason
    message: str


@dataclass(frozen=True)
class Training:
    """The last iterate (P,) and the stages that were run; ``diverged`` is the reason if it did."""

    theta: np.ndarray
    stages: tuple[StageResult, ...]
    diverged: str | None


def train(
    backend: Backend,
    levels: Sequence[Level],
    theta: np.ndarray,
    monitor: Monitor,
    rng: np.random.Generator,
    minibatches: Minibatches | None = None,
) -> Training:
    """Train from ``theta`` (P,) through all levels, ending early only if the run diverges. ``rng`` is for
    balancing rules that start at random.

    A stage that merely cannot go on (a line search without a decrease) hands over to the next one, as the
    authors' code does. A stage that diverges keeps the parameters it started from.
    """
    results: list[StageResult] = []
    for number, level in enumerate(levels):
        coefficients = backend.balancing.coefficients(backend.sizes, level.exponents, rng)
        job = Job(backend, coefficients, monitor, minibatches)
        for name, optimizer in level.stages:
            monitor.begin_stage(number, len(results), name)
            started = monitor.stopwatch.seconds("training")
            with monitor.stopwatch.phase("training"):
                outcome = _run_stage(optimizer, job, theta)
            theta = outcome.theta
            seconds = monitor.stopwatch.seconds("training") - started
            results.append(_result(number, name, monitor, seconds, outcome))
            if outcome.reason is StopReason.DIVERGED:
                return Training(theta, tuple(results), outcome.message)
    with monitor.stopwatch.phase("monitoring"):
        monitor.record_now(theta, backend.evaluate(theta, job.coefficients))
    return Training(theta, tuple(results), None)


def _run_stage(optimizer: Optimizer, job: Job, theta: np.ndarray) -> Outcome:
    try:
        return optimizer.minimise(job, theta)
    except Diverged as problem:
        return Outcome(theta, StopReason.DIVERGED, str(problem))


def _result(level: int, name: str, monitor: Monitor, seconds: float, outcome: Outcome) -> StageResult:
    counts = monitor.stage
    return StageResult(
        level,
        name,
        counts.iterations,
        counts.function_evaluations,
        counts.gradient_evaluations,
        seconds,
        outcome.reason,
        outcome.message,
    )
