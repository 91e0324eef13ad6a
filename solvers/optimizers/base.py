"""What an optimizer stage must give, and why a stage can stop."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np

from solvers.backends.base import Backend
from solvers.monitor import Monitor
from solvers.sampling import Minibatches

__all__ = ["Job", "Memory", "Midway", "Optimizer", "Outcome", "StopReason"]


class StopReason(StrEnum):
    """Why a stage stopped."""

    ITERATION_LIMIT = "iteration-limit"
    EVALUATION_LIMIT = "evaluation-limit"
    GRADIENT = "gradient"
    NO_DECREASE = "no-decrease"
    LINE_SEARCH = "line-search"
    DIVERGED = "diverged"
    TIME_LIMIT = "time-limit"
    OUT_OF_MEMORY = "out-of-memory"
    KILLED = "killed"

    @property
    def explanation(self) -> str:
        """The reason in words."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    StopReason.ITERATION_LIMIT: "all iterations asked for were made",
    StopReason.EVALUATION_LIMIT: "all evaluations allowed were made",
    StopReason.GRADIENT: "the largest gradient entry fell below gtol",
    StopReason.NO_DECREASE: "the objective's relative decrease fell to ftol: a stall of the rounded objective"
    " in float32, not convergence",
    StopReason.LINE_SEARCH: "the line search found no lower objective",
    StopReason.DIVERGED: "a term or gradient was not finite, or the sum of the terms grew beyond the limit",
    StopReason.TIME_LIMIT: "the run's time limit was reached",
    StopReason.OUT_OF_MEMORY: "there was not enough memory",
    StopReason.KILLED: "the run's process was killed again and again",
}


Memory = Mapping[str, np.ndarray]


def _go_on(theta: np.ndarray, memory: Callable[[], Memory]) -> None:
    """Nothing is kept."""


@dataclass
class Job:
    """What the stages of a level work on: a backend, the balancing coefficients, which some rules change on the
    way, the run's monitor, and fresh points for each Adam step if the run wants them.

    An optimizer calls ``reached`` with each iterate from which it could go on, and a function that gives the
    arrays it would need for that; an optimizer that would start anew there gives none.
    """

    backend: Backend
    coefficients: np.ndarray
    monitor: Monitor
    minibatches: Minibatches | None = None
    reached: Callable[[np.ndarray, Callable[[], Memory]], None] = _go_on


@dataclass(frozen=True)
class Midway:
    """Where a stage is taken up again: what it had made, and the optimizer's memory (see :class:`Job`)."""

    iterations: int
    evaluations: int
    memory: Memory


@dataclass(frozen=True)
class Outcome:
    """Where a stage ended: parameters (P,), the reason, and the optimizer's own words."""

    theta: np.ndarray
    reason: StopReason
    message: str


class Optimizer(ABC):
    """One optimizer stage. A subclass is a dataclass of its settings with an ``iterations`` budget."""

    iterations: int
    takes_minibatches: ClassVar[bool] = False
    """Whether the stage can take fresh points at every step."""

    @abstractmethod
    def minimise(self, job: Job, theta: np.ndarray, midway: Midway | None = None) -> Outcome:
        """Minimise the level's objective from ``theta`` (P,), telling the monitor every iteration; ``midway``
        takes up a stage that was interrupted there.

        Raises :class:`solvers.monitor.Diverged`.
        """
