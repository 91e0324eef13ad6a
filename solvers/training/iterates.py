"""What every iterate goes through, whatever the optimizer: it is counted, recorded and checked; balancing and
points are updated where that is due; checkpoints and the time limit are kept."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from solvers.backends.base import Batches
from solvers.balancing.base import Signal
from solvers.optimizers.base import Evaluation, Foreign, Memory
from solvers.points.sampling import Minibatches, PointSets
from solvers.training.history import Monitor
from solvers.training.levels import Backends, Stage
from solvers.training.loss import Loss, StageObjective
from solvers.training.observation import CountedObservation
from solvers.training.records import CheckpointStore
from solvers.training.state import TrainingState

__all__ = ["Iterates", "OutOfTime"]


class OutOfTime(Exception):
    """The run's time limit was reached."""


@dataclass
class Iterates:
    """The iterates of a run: its state ``at`` the last that was kept, the ``loss`` of the stage it is in, and what
    records them. ``planned`` is the number of iterations of all stages; ``skip_level`` is whether the balancing
    rule has asked for the next level."""

    backends: Backends
    loss: Loss
    monitor: Monitor
    rng: np.random.Generator
    points: PointSets | None
    minibatches: Minibatches | None
    checkpoints: CheckpointStore | None
    time_limit: float | None
    planned: int
    at: TrainingState
    skip_level: bool = False

    def objective(self, stage: Stage, begins: bool) -> StageObjective:
        """The stage's objective; its first evaluation is a row of the history if the stage ``begins`` with it."""
        monitor = self.monitor

        def first(theta: np.ndarray, seen: Evaluation) -> None:
            if begins:
                monitor.record_now(theta, seen)
                monitor.check(seen)

        not_finite = monitor.check if isinstance(stage.optimizer, Foreign) else lambda seen: None

        def count(evaluations: int) -> None:
            monitor.count(evaluations=evaluations)

        objective = StageObjective(self.loss, self.at.balancing, stage.transform, count, first, not_finite)
        objective.evaluations = monitor.stage.function_evaluations
        return objective

    def record(self, theta: np.ndarray, objective: StageObjective) -> None:
        """A row for the iterate that a stage begins with; it is no iteration."""
        seen = objective.seen(theta)
        self.monitor.record_now(theta, seen)
        self.monitor.check(seen)

    def accepted(self, theta: np.ndarray, iterations: int, objective: StageObjective) -> None:
        """Count, check and, if it is time, record an iterate of an optimizer that works in NumPy."""
        monitor = self.monitor
        monitor.count(iterations=iterations)
        seen = objective.seen(theta)
        monitor.check(seen)
        if monitor.total.iterations % monitor.every == 0:
            monitor.record_now(theta, seen)

    def updates_after(self, iteration: int) -> bool:
        """Whether the balancing is updated after so many iterations of the stage."""
        every = self.loss.balancing.every
        return every is not None and (iteration - 1) % every == 0

    def update(self, theta: np.ndarray, iteration: int, batches: Batches | None) -> Signal | None:
        """Let the balancing rule look at the terms, on the points of the last step."""
        seen = self._observation(theta, iteration, batches)
        self.at.balancing, signal = self.loss.balancing.update(self.at.balancing, seen)
        self.skip_level = signal is Signal.END_LEVEL
        return signal

    def between_stages(self) -> None:
        """Let the balancing rule look at the terms where a stage has ended and another of its level follows."""
        rule, seen = self.loss.balancing, self._observation(self.at.theta, self.monitor.stage.iterations)
        self.at.balancing, signal = rule.between_stages(self.at.balancing, seen)
        self.skip_level = signal is Signal.END_LEVEL
        if rule.changes_between_stages:
            self.monitor.best = None  # the next stage's objective is another function

    def _observation(
        self, theta: np.ndarray, iteration: int, batches: Batches | None = None
    ) -> CountedObservation:
        count = lambda evaluations: self.monitor.count(evaluations=evaluations)  # noqa: E731
        return CountedObservation(self.loss.backend, theta, iteration, batches, count)

    def refresh_at(self, theta: np.ndarray, step: int) -> None:
        """:meth:`refresh` of what is due after so many iterations of the stage."""
        self.refresh(theta, lambda every: step % every == 0)

    def refresh(self, theta: np.ndarray, due: Callable[[int], bool]) -> None:
        """Let the samplers that are due choose their points anew, by the residual of the network as it is."""
        if self.points is None or not any(map(due, self.points.periods)):
            return
        backend = self.loss.backend
        self.points.refresh(due, lambda equation, points: np.abs(backend.residuals_at(theta, equation, points)))
        self.backends.replace_points(self.points.terms())
        self.monitor.best, self.at.refreshed = None, self.monitor.total.iterations

    def reached(self, theta: np.ndarray, memory: Callable[[], Memory], exact: bool = True) -> None:
        """An iterate to go on from: keep it if it is time, and end the run if its time is up."""
        seconds = self.monitor.stopwatch.total()
        over = self.time_limit is not None and seconds > self.time_limit
        if self.checkpoints:
            self.checkpoints.note(self.monitor.total.iterations, self.planned, seconds)
            if over or self.checkpoints.due():
                self.save(theta, memory(), exact)
        if over:
            self.at.theta = theta.astype(self.loss.backend.dtype)
            raise OutOfTime(f"{self.time_limit:g} s are over at iteration {self.monitor.total.iterations}")

    @property
    def generators(self) -> list[np.random.Generator]:
        """All that the run draws from."""
        chosen = self.points.generators if self.points else []
        return [self.rng, *chosen, *(self.minibatches.generators if self.minibatches else [])]

    def save(self, theta: np.ndarray, memory: Memory | None, exact: bool) -> None:
        """A checkpoint: inside a stage with the optimizer's ``memory``, or behind one."""
        if self.checkpoints:
            with self.monitor.stopwatch.phase("checkpoints"):
                kept = self.at.snapshot(self.monitor, self.generators, self.points, theta, memory, exact)
                self.checkpoints.save(kept)
