"""Multi-level training: levels in order, and in each level its optimizer stages; taken up where it was killed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from solvers.backends.base import Backend
from solvers.monitor import Diverged, History, Monitor
from solvers.optimizers.base import Job, Memory, Midway, Optimizer, Outcome, StopReason
from solvers.sampling import Minibatches
from solvers.stopwatch import Stopwatch

__all__ = ["Keeper", "Level", "RestartRecord", "Snapshot", "StageRecord", "Training", "abandoned", "train"]

ENDS = {
    StopReason.DIVERGED: "diverged",
    StopReason.TIME_LIMIT: "time-limit",
    StopReason.OUT_OF_MEMORY: "out-of-memory",
}
"""The stop reasons that end the run, and the status they give it."""


@dataclass(frozen=True)
class Level:
    """One level: the exponents of the balancing rule, and the optimizer stages (name, optimizer)."""

    exponents: Mapping[str, float]
    stages: Sequence[tuple[str, Optimizer]]


@dataclass(frozen=True)
class StageRecord:
    """One optimizer stage: its counts, training seconds, and why it stopped."""

    level: int
    optimizer: str
    iterations: int
    function_evaluations: int
    gradient_evaluations: int
    seconds: float
    reason: str
    explanation: str
    message: str


@dataclass(frozen=True)
class RestartRecord:
    """Where the run was taken up again after its process ended; not ``exact``: with an empty optimizer memory."""

    iteration: int
    stage: int
    optimizer: str
    exact: bool


@dataclass(frozen=True)
class Training:
    """How a run ended, ``finished`` or what cut it short; its last iterate (P,), if it came to one; the stages
    that were run."""

    status: str
    reason: str
    theta: np.ndarray | None = None
    stages: Sequence[StageRecord] = ()
    restarts: Sequence[RestartRecord] = ()


@dataclass(frozen=True)
class Snapshot:
    """The state of a run: ``data`` for JSON, and arrays."""

    data: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


class Keeper(Protocol):
    """Where snapshots are kept: :class:`solvers.checkpoint.Checkpoints`."""

    def load(self) -> Snapshot | None:
        """The one to go on from, if there is one."""

    def due(self) -> bool:
        """Whether it is time for the next one."""

    def save(self, snapshot: Snapshot) -> None:
        """Keep it in the place of the last."""

    def note(self, iteration: int, planned: int, seconds: float) -> None:
        """Say how far the run is."""


class _OutOfTime(Exception):
    """The run's time limit was reached."""


@dataclass
class _Course:
    """Training under way: everything that a checkpoint must hold, and what it is made with."""

    backend: Backend
    levels: Sequence[Level]
    monitor: Monitor
    rng: np.random.Generator
    minibatches: Minibatches | None
    checkpoints: Keeper | None
    time_limit: float | None
    theta: np.ndarray
    coefficients: np.ndarray = field(default_factory=lambda: np.empty(0))
    results: list[StageRecord] = field(default_factory=list)
    restarts: list[RestartRecord] = field(default_factory=list)
    started: float = 0.0

    def __post_init__(self):
        self.stages = [
            (i, name, optimizer) for i, level in enumerate(self.levels) for name, optimizer in level.stages
        ]
        self.planned = sum(optimizer.iterations for _, _, optimizer in self.stages)

    def run(self) -> Training:
        """All stages that are left."""
        midway = self._take_up()
        for level, name, optimizer in self.stages[len(self.results) :]:
            outcome = self._stage(level, name, optimizer, midway)
            midway = None
            if outcome.reason in ENDS:
                return self._ended(ENDS[outcome.reason], outcome.message)
        with self.monitor.stopwatch.phase("monitoring"):
            self.monitor.record_now(self.theta, self.backend.evaluate(self.theta, self.coefficients))
        return self._ended("finished", self.results[-1].explanation)

    def _ended(self, status: str, reason: str) -> Training:
        return Training(status, reason, self.theta, self.results, self.restarts)

    def _stage(self, level: int, name: str, optimizer: Optimizer, midway: Midway | None) -> Outcome:
        stopwatch = self.monitor.stopwatch
        if midway is None:
            if not self.results or self.results[-1].level != level:
                rule, exponents = self.backend.balancing, self.levels[level].exponents
                self.coefficients = rule.coefficients(self.backend.sizes, exponents, self.rng)
            self.monitor.begin_stage(level, len(self.results), name)
            self.started = stopwatch.seconds("training")
        job = Job(self.backend, self.coefficients, self.monitor, self.minibatches)
        job.reached = lambda theta, memory: self._reached(job, theta, memory)
        with stopwatch.phase("training"):
            outcome = self._minimise(optimizer, job, midway)
        self.theta, self.coefficients = outcome.theta, job.coefficients
        seconds = stopwatch.seconds("training") - self.started
        self.results.append(_stage_record(self.monitor, seconds, outcome.reason, outcome.message))
        if outcome.reason not in ENDS:
            self._save(self.theta, None)
        return outcome

    def _minimise(self, optimizer: Optimizer, job: Job, midway: Midway | None) -> Outcome:
        """The stage's outcome. One that diverges, or has no memory left, keeps the parameters it started from."""
        try:
            return optimizer.minimise(job, self.theta, midway)
        except Diverged as problem:
            return Outcome(self.theta, StopReason.DIVERGED, str(problem))
        except _OutOfTime as problem:
            return Outcome(self.theta, StopReason.TIME_LIMIT, str(problem))
        except Exception as problem:
            if not self.backend.out_of_memory(problem):
                raise
            return Outcome(self.theta, StopReason.OUT_OF_MEMORY, str(problem).splitlines()[0])

    def _reached(self, job: Job, theta: np.ndarray, memory: Callable[[], Memory]) -> None:
        """An iterate to go on from: keep it if it is time, and end the run if its time is up."""
        seconds = self.monitor.stopwatch.total()
        over = self.time_limit is not None and seconds > self.time_limit
        if self.checkpoints:
            self.checkpoints.note(self.monitor.total.iterations, self.planned, seconds)
            if over or self.checkpoints.due():
                self.coefficients = job.coefficients
                self._save(theta, memory())
        if over:
            self.theta = theta.astype(self.backend.dtype)
            raise _OutOfTime(f"{self.time_limit:g} s are over at iteration {self.monitor.total.iterations}")

    def _save(self, theta: np.ndarray, memory: Memory | None) -> None:
        """A checkpoint: inside a stage with the optimizer's ``memory``, or behind one."""
        if not self.checkpoints:
            return
        with self.monitor.stopwatch.phase("checkpoints"):
            data, arrays = self.monitor.state()
            inside = None if memory is None else sorted(memory)
            generators = [self.rng, *(self.minibatches.generators if self.minibatches else [])]
            state = {
                "monitor": data,
                "inside": inside,
                "results": [asdict(result) for result in self.results],
                "restarts": [asdict(restart) for restart in self.restarts],
                "generators": [generator.bit_generator.state for generator in generators],
                "started": self.started,
                "clock": self.monitor.stopwatch.state(),
            }
            kept = {"theta": theta, "coefficients": self.coefficients}
            kept |= {f"monitor.{name}": array for name, array in arrays.items()}
            kept |= {f"memory.{name}": array for name, array in (memory or {}).items()}
            self.checkpoints.save(Snapshot(state, {n: np.array(a, order="C") for n, a in kept.items()}))

    def _take_up(self) -> Midway | None:
        """Go on from the checkpoint, if there is one; where in a stage that is."""
        snapshot = self.checkpoints.load() if self.checkpoints else None
        if snapshot is None:
            return None
        data, arrays = snapshot.data, snapshot.arrays
        self.results, self.restarts = _restore(snapshot, self.monitor, self.monitor.stopwatch)
        self.started = data["started"]
        for generator, state in zip(
            [self.rng, *(self.minibatches.generators if self.minibatches else [])], data["generators"], strict=True
        ):
            generator.bit_generator.state = state
        self.theta, self.coefficients = arrays["theta"], arrays["coefficients"]
        exact = data["inside"] is None or bool(data["inside"])
        place = len(self.results) - (data["inside"] is None)
        self.restarts.append(RestartRecord(self.monitor.total.iterations, place, self.stages[place][1], exact))
        if data["inside"] is None:
            return None
        counts = self.monitor.stage
        return Midway(counts.iterations, counts.function_evaluations, _under("memory.", arrays))


def train(
    backend: Backend,
    levels: Sequence[Level],
    theta: np.ndarray,
    monitor: Monitor,
    rng: np.random.Generator,
    minibatches: Minibatches | None = None,
    checkpoints: Keeper | None = None,
    time_limit: float | None = None,
) -> Training:
    """Train from ``theta`` (P,) through all levels, ending early only if the run diverges, if memory is short or
    after ``time_limit`` seconds of the run. ``rng`` is for balancing rules that start at random.

    A stage that merely cannot go on (a line search without a decrease) hands over to the next one, as the
    authors' code does. A stage that diverges keeps the parameters it started from.

    With ``checkpoints``, training that was interrupted goes on: exactly, but for L-BFGS inside a stage, which
    starts anew from the iterate that was kept.
    """
    return _Course(backend, levels, monitor, rng, minibatches, checkpoints, time_limit, theta).run()


def abandoned(
    snapshot: Snapshot | None, history: History, stopwatch: Stopwatch, cause: StopReason, reason: str
) -> Training:
    """How a run ends that cannot go on from ``snapshot``, its last checkpoint if there is one: what that holds is
    what was made. ``history`` and ``stopwatch`` take it over. Restarts since then are not in it."""
    if snapshot is None:
        return Training(str(cause), reason)
    stages, restarts = _restore(snapshot, history, stopwatch)
    if snapshot.data["inside"] is not None:
        seconds = stopwatch.seconds("training") - snapshot.data["started"]
        stages.append(_stage_record(history, seconds, cause, reason))
    return Training(str(cause), reason, snapshot.arrays["theta"], stages, restarts)


def _restore(
    snapshot: Snapshot, history: History, stopwatch: Stopwatch
) -> tuple[list[StageRecord], list[RestartRecord]]:
    """Take over what a run has seen and its time so far; its stages and its restarts."""
    data = snapshot.data
    history.restore(data["monitor"], _under("monitor.", snapshot.arrays))
    stopwatch.add(data["clock"])
    stages = [StageRecord(**each) for each in data["results"]]
    return stages, [RestartRecord(**each) for each in data["restarts"]]


def _stage_record(history: History, seconds: float, reason: StopReason, message: str) -> StageRecord:
    """The stage that ``history`` is in, at its end."""
    return StageRecord(
        level=history.place["level"],
        optimizer=history.place["optimizer"],
        **asdict(history.stage),
        seconds=seconds,
        reason=str(reason),
        explanation=reason.explanation,
        message=message,
    )


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
