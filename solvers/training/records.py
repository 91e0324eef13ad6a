"""What is left of training: the stages that were run, where a run was taken up again, and its state on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np

__all__ = ["FAILURES", "CheckpointStore", "RestartRecord", "Snapshot", "StageRecord", "Status", "Training"]

Status = Literal["finished", "diverged", "time-limit", "out-of-memory", "killed"]
"""How a run ends. Each failure is the name of the stop reason that ends the run with it."""
FAILURES: tuple[str, ...] = get_args(Status)[1:]


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
    """How a run ended (a :data:`Status`); its last iterate (P,), if it came to one; the stages that were run."""

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


class CheckpointStore(Protocol):
    """Where snapshots are kept: :class:`solvers.runs.checkpoint.Checkpoints`."""

    def load(self) -> Snapshot | None:
        """The one to go on from, if there is one."""

    def due(self) -> bool:
        """Whether it is time for the next one."""

    def save(self, snapshot: Snapshot) -> None:
        """Keep it in the place of the last."""

    def note(self, iteration: int, planned: int, seconds: float) -> None:
        """Say how far the run is."""
