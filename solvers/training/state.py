"""The state of training under way: all that a checkpoint must hold to go on from it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from solvers.balancing.base import State
from solvers.optimizers.base import Memory, StopReason
from solvers.points.sampling import PointSets
from solvers.stopwatch import Stopwatch
from solvers.training.history import History, Monitor
from solvers.training.records import RestartRecord, Snapshot, StageRecord, Training

__all__ = ["Interrupted", "TrainingState", "abandoned", "stage_record", "unusable"]

WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What it raises to take over something else than a snapshot."""


@dataclass(frozen=True)
class Interrupted:
    """Where a stage is taken up again: what it had made, and the optimizer's memory."""

    iterations: int
    evaluations: int
    memory: Memory


@dataclass
class TrainingState:
    """The parameters ``theta`` (P,), the state of the balancing, the stages that were run and the one that comes
    next, the seconds of training at which it began, and the iteration at which points were last chosen anew."""

    theta: np.ndarray
    balancing: State = field(default_factory=dict)
    results: list[StageRecord] = field(default_factory=list)
    restarts: list[RestartRecord] = field(default_factory=list)
    next_stage: int = 0
    started: float = 0.0
    refreshed: int = 0

    def snapshot(
        self,
        monitor: Monitor,
        generators: Sequence[np.random.Generator],
        points: PointSets | None,
        theta: np.ndarray,
        memory: Memory | None,
        exact: bool,
    ) -> Snapshot:
        """The state at ``theta`` (P,): inside a stage with the optimizer's ``memory``, or behind one; ``exact`` if
        going on from it is the same as not having stopped."""
        data, own = monitor.state()
        kept = {
            "monitor": data,
            "inside": memory is not None,
            "exact": exact,
            "next_stage": self.next_stage,
            "refreshed": self.refreshed,
            "results": [asdict(result) for result in self.results],
            "restarts": [asdict(restart) for restart in self.restarts],
            "generators": [generator.bit_generator.state for generator in generators],
            "started": self.started,
            "clock": monitor.stopwatch.state(),
        }
        parts = {"monitor": own, "memory": memory or {}, "balancing": self.balancing}
        parts["points"] = points.state() if points else {}
        arrays = {f"{part}.{name}": array for part, held in parts.items() for name, array in held.items()}
        arrays = {name: np.array(array, order="C") for name, array in (arrays | {"theta": theta}).items()}
        return Snapshot(kept, arrays)

    def restore(
        self,
        snapshot: Snapshot,
        monitor: Monitor,
        generators: Sequence[np.random.Generator],
        points: PointSets | None,
    ) -> Interrupted | None:
        """Take over what :meth:`snapshot` gave; where inside a stage that is, if it is inside one."""
        data, arrays = snapshot.data, snapshot.arrays
        self.results, self.restarts = _restore(snapshot, monitor, monitor.stopwatch)
        self.started, self.next_stage, self.refreshed = data["started"], data["next_stage"], data["refreshed"]
        for generator, state in zip(generators, data["generators"], strict=True):
            generator.bit_generator.state = state
        self.theta, self.balancing = arrays["theta"], _under("balancing.", arrays)
        if points:
            points.restore(_under("points.", arrays))
        if not data["inside"]:
            return None
        counts = monitor.stage
        return Interrupted(counts.iterations, counts.function_evaluations, _under("memory.", arrays))


def abandoned(
    snapshot: Snapshot | None, history: History, stopwatch: Stopwatch, cause: StopReason, reason: str
) -> Training:
    """How a run ends that cannot go on from ``snapshot``, its last checkpoint if there is one: what that holds is
    what was made. ``history`` and ``stopwatch`` take it over. Restarts since then are not in it."""
    if snapshot is None or _misfit(snapshot, history):
        return Training(str(cause), reason)
    stages, restarts = _restore(snapshot, history, stopwatch)
    if snapshot.data["inside"]:
        seconds = stopwatch.seconds("training") - snapshot.data["started"]
        stages.append(stage_record(history, seconds, cause, reason))
    return Training(str(cause), reason, snapshot.arrays["theta"], stages, restarts)


def unusable(
    snapshot: Snapshot,
    history: History,
    theta: np.ndarray,
    generators: Sequence[np.random.Generator],
    points: PointSets | None,
    stages: int,
) -> str | None:
    """Why a run with parameters like ``theta`` (P,) and so many ``stages`` cannot go on from ``snapshot``;
    ``None`` if it can. Copies take it over first, so that what is wrong is found before the run has changed."""
    if problem := _misfit(snapshot, history):
        return problem
    data = snapshot.data
    if snapshot.arrays["theta"].shape != theta.shape:
        return f"theta has shape {snapshot.arrays['theta'].shape}, not {theta.shape}"
    try:
        if not 0 <= data["next_stage"] <= stages - bool(data["inside"]):
            return f"next_stage is {data['next_stage']} of {stages}"
        for generator, state in zip(copy.deepcopy(list(generators)), data["generators"], strict=True):
            generator.bit_generator.state = state
        chosen = {name: array.shape for name, array in (points.state() if points else {}).items()}
        if chosen != {name: array.shape for name, array in _under("points.", snapshot.arrays).items()}:
            return "other points were chosen"
        bool(data["exact"]), float(data["started"]), int(data["refreshed"])
    except WRONG as error:
        return f"{type(error).__name__}: {error}"
    return None


def _misfit(snapshot: Snapshot, history: History) -> str | None:
    """What is missing in ``snapshot`` for a history like this one and for the run's times and stages."""
    try:
        trial = History(history.terms)
        _restore(snapshot, trial, Stopwatch())
        if snapshot.arrays["theta"].ndim != 1:
            return "theta is no vector"
        if snapshot.data["inside"]:
            stage_record(trial, float(snapshot.data["started"]), StopReason.KILLED, "")
        if any(set(row) != set(trial.columns) for row in trial.rows):
            return "a row of the history has other columns"
    except WRONG as error:
        return f"{type(error).__name__}: {error}"
    return None


def stage_record(history: History, seconds: float, reason: StopReason, message: str) -> StageRecord:
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


def _restore(
    snapshot: Snapshot, history: History, stopwatch: Stopwatch
) -> tuple[list[StageRecord], list[RestartRecord]]:
    """Take over what a run has seen and its time so far; its stages and its restarts."""
    data = snapshot.data
    history.restore(data["monitor"], _under("monitor.", snapshot.arrays))
    stopwatch.add(data["clock"])
    stages = [StageRecord(**each) for each in data["results"]]
    return stages, [RestartRecord(**each) for each in data["restarts"]]


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
