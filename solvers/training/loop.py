"""Multi-level training: levels in order, and in each level its optimizer stages; taken up where it was killed.

This is the one loop, whatever the optimizer. What every iterate goes through is in
:mod:`solvers.training.iterates`, how the three kinds of optimizers are driven in :mod:`solvers.training.drivers`;
optimizers only move the parameters.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from solvers.optimizers.base import Outcome, StopReason
from solvers.points.sampling import Minibatches, PointSets
from solvers.training.drivers import minimise
from solvers.training.history import Diverged, Monitor
from solvers.training.iterates import Iterates, OutOfTime
from solvers.training.levels import Backends, Level, Stage
from solvers.training.loss import Loss
from solvers.training.records import FAILURES, CheckpointStore, RestartRecord, Training
from solvers.training.state import Interrupted, TrainingState, stage_record, unusable

__all__ = ["train"]

log = logging.getLogger(__name__)

ENDS = frozenset(map(StopReason, FAILURES))
"""The stop reasons that end the run; its status is then their name."""


@dataclass
class _Loop:
    """Training under way: its levels, each stage with the number of its level, and its iterates."""

    levels: Sequence[Level]
    stages: Sequence[tuple[int, Stage]]
    iterates: Iterates

    @property
    def at(self) -> TrainingState:
        """The run's state."""
        return self.iterates.at

    def run(self) -> Training:
        """All stages that are left."""
        interrupted = self._take_up()
        while self.at.next_stage < len(self.stages):
            outcome = self._stage(interrupted)
            interrupted = None
            if outcome.reason in ENDS:
                return self._ended(str(outcome.reason), outcome.message)
        # The last stage that ran, in whose precision the parameters are; a rule may have skipped others behind it.
        monitor = self.iterates.monitor
        loss = self._loss_of(*self.stages[monitor.place["stage"]])
        with monitor.stopwatch.phase("monitoring"):
            monitor.record_now(self.at.theta, loss.evaluate(self.at.theta, self.at.balancing))
        return self._ended("finished", self.at.results[-1].explanation)

    def _ended(self, status: str, reason: str) -> Training:
        return Training(status, reason, self.at.theta, self.at.results, self.at.restarts)

    def _loss_of(self, level: int, stage: Stage) -> Loss:
        """The loss of a stage, in its precision; from now on that of the iterates."""
        backend = self.iterates.backends.of(stage.precision)
        self.iterates.loss = Loss(backend, self.levels[level].balancing)
        return self.iterates.loss

    def _stage(self, interrupted: Interrupted | None) -> Outcome:
        level, stage = self.stages[self.at.next_stage]
        dtype, monitor = self._loss_of(level, stage).backend.dtype, self.iterates.monitor
        self.at.theta = self.at.theta.astype(dtype)
        if interrupted is None:
            self._begin(level, stage)
        self.iterates.skip_level = False
        with monitor.stopwatch.phase("training"):
            outcome = self._minimise(stage, interrupted)
            self.at.theta = outcome.theta.astype(dtype)
            self.at.next_stage += 1
            if outcome.reason not in ENDS and not self.iterates.skip_level and self._another_of(level):
                self.iterates.between_stages()
        seconds = monitor.stopwatch.seconds("training") - self.at.started
        self.at.results.append(stage_record(monitor, seconds, outcome.reason, outcome.message))
        while self.iterates.skip_level and self._another_of(level):
            self.at.next_stage += 1
        if outcome.reason not in ENDS:
            self.iterates.save(self.at.theta, None, exact=True)
        return outcome

    def _another_of(self, level: int) -> bool:
        """Whether the next stage is one of this level."""
        return self.at.next_stage < len(self.stages) and self.stages[self.at.next_stage][0] == level

    def _begin(self, level: int, stage: Stage) -> None:
        """A new level begins with a new state of its balancing; a stage that needs its points to stay has them
        chosen anew before it, if that is due."""
        run, monitor = self.iterates, self.iterates.monitor
        if monitor.place.get("level") != level:
            self.at.balancing = run.loss.initial_state(run.rng)
        fixed = stage.optimizer.needs_fixed_objective
        comparable = (fixed or run.loss.balancing.fixed) and run.minibatches is None
        monitor.begin_stage(level, self.at.next_stage, stage.name, comparable)
        self.at.started = monitor.stopwatch.seconds("training")
        if fixed and run.points:
            made = monitor.total.iterations - self.at.refreshed
            run.refresh(self.at.theta, lambda every: made >= every)

    def _minimise(self, stage: Stage, interrupted: Interrupted | None) -> Outcome:
        """The stage's outcome. One that diverges, or has no memory left, keeps the parameters it started from."""
        try:
            return minimise(self.iterates, stage, interrupted)
        except Diverged as problem:
            return Outcome(self.at.theta, StopReason.DIVERGED, str(problem))
        except OutOfTime as problem:
            return Outcome(self.at.theta, StopReason.TIME_LIMIT, str(problem))
        except Exception as problem:
            if not self.iterates.loss.backend.out_of_memory(problem):
                raise
            return Outcome(self.at.theta, StopReason.OUT_OF_MEMORY, str(problem).splitlines()[0])

    def _take_up(self) -> Interrupted | None:
        """Go on from the checkpoint, if there is one; where in a stage that is."""
        run, monitor = self.iterates, self.iterates.monitor
        snapshot = run.checkpoints.load() if run.checkpoints else None
        if snapshot is None:
            return None
        problem = unusable(snapshot, monitor, self.at.theta, run.generators, run.points, len(self.stages))
        if problem:
            log.warning("the checkpoint cannot be gone on from, so that training starts anew: %s", problem)
            return None
        interrupted = self.at.restore(snapshot, monitor, run.generators, run.points)
        if run.points and run.points.periods:
            run.backends.replace_points(run.points.terms())
        place = self.at.next_stage - (interrupted is None)
        name, made = self.stages[place][1].name, monitor.total.iterations
        self.at.restarts.append(RestartRecord(made, place, name, snapshot.data["exact"]))
        return interrupted


def train(
    backends: Backends,
    levels: Sequence[Level],
    theta: np.ndarray,
    monitor: Monitor,
    rng: np.random.Generator,
    points: PointSets | None = None,
    minibatches: Minibatches | None = None,
    checkpoints: CheckpointStore | None = None,
    time_limit: float | None = None,
) -> Training:
    """Train from ``theta`` (P,) through all levels, ending early only if the run diverges, if memory is short or
    after ``time_limit`` seconds of the run. ``rng`` is for balancing rules with chance; ``points`` are those of
    the backends, for samplers that choose anew on the way.

    A stage that merely cannot go on (a line search without a decrease) hands over to the next one, as the
    authors' code does. A stage that diverges keeps the parameters it started from.

    With ``checkpoints``, training that was interrupted goes on: exactly, but inside a stage of an optimizer that
    has a loop of its own, such as SciPy's L-BFGS, which starts anew from the iterate that was kept."""
    stages = [(i, stage) for i, level in enumerate(levels) for stage in level.stages]
    planned = sum(stage.optimizer.iterations for _, stage in stages)
    loss, at = Loss(backends.own, levels[0].balancing), TrainingState(theta)
    given = backends, loss, monitor, rng, points, minibatches, checkpoints, time_limit, planned, at
    return _Loop(levels, stages, Iterates(*given)).run()
