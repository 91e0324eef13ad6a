"""What an optimizer must give, and why a stage can stop.

There are three kinds, and one loop for all of them (:mod:`solvers.training.loop`), which counts, records, checks,
updates balancing and points, keeps checkpoints and the time limit:

* :class:`FirstOrder`: a pure function over an array namespace, run many steps at a time inside the backend;
* :class:`Iterative`: a step in NumPy that asks for objective and gradient as often as it likes;
* :class:`Foreign`: a library that keeps its own loop and reports each iterate.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import numpy as np

from solvers.backends._lbfgs import TracedObjective
from solvers.backends.base import Array, Backend, Tree
from solvers.model.networks.base import Network

__all__ = [
    "Budget",
    "Evaluation",
    "FirstOrder",
    "Foreign",
    "Iterative",
    "Memory",
    "Objective",
    "Optimizer",
    "Outcome",
    "Report",
    "Step",
    "StopReason",
    "Transformation",
]


class StopReason(StrEnum):
    """Why a stage stopped."""

    ITERATION_LIMIT = "iteration-limit"
    EVALUATION_LIMIT = "evaluation-limit"
    GRADIENT = "gradient"
    NO_DECREASE = "no-decrease"
    LINE_SEARCH = "line-search"
    BALANCING = "balancing"
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
    StopReason.BALANCING: "the balancing rule asked for the next stage",
    StopReason.DIVERGED: "a term or gradient was not finite, or the sum of the terms grew beyond the limit",
    StopReason.TIME_LIMIT: "the run's time limit was reached",
    StopReason.OUT_OF_MEMORY: "there was not enough memory",
    StopReason.KILLED: "the run's process was killed again and again",
}

Memory = Mapping[str, np.ndarray]
"""What an optimizer needs to go on exactly where it was, in NumPy, or in what NumPy makes arrays of."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, in NumPy: the k term values, the balanced ``loss``, its weights (k,), its gradient (P,) and
    the Euclidean norms (k,) of the gradients of the terms, all in the precision of the run.

    A term with pointwise multipliers stands here without them; its weight is the ratio of the weighted term to
    it, and its norm is that of the weighted term's gradient divided by this weight.
    """

    values: np.ndarray
    loss: float
    weights: np.ndarray
    gradient: np.ndarray
    gradient_norms: np.ndarray


class Objective(TracedObjective, Protocol):
    """The level's loss under the stage's transform, as a function of the parameters: fixed for the stage.

    Every call is counted as an evaluation, but one at the parameters called last.
    """

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Objective and gradient (P,), float64, at ``theta`` (P,)."""

    def seen(self, theta: np.ndarray) -> Evaluation:
        """The terms behind the objective at ``theta``; never counted, for it is asked for the record alone."""

    def loss_of(self, values: np.ndarray) -> float:
        """The balanced loss of term values (k,), before any transform."""

    @property
    def evaluations(self) -> int:
        """Evaluations that the stage has made."""

    def count(self, evaluations: int) -> None:
        """Count evaluations that were made inside compiled code."""


class Optimizer(ABC):
    """One optimizer with its settings. A subclass is a frozen dataclass with an ``iterations`` budget."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    iterations: int
    takes_minibatches: ClassVar[bool] = False
    """Whether every step can take points of its own."""
    needs_fixed_objective: ClassVar[bool] = True
    """Whether weights and points must stay for the stage, as a line search or a memory of gradients wants it."""

    def check(self, network: Network, dimension: int, terms: Sequence[str]) -> None:  # noqa: B027 - most fit all
        """Raises :class:`solvers.plugins.KeyProblem` if a setting does not fit the run's network, of so many
        coordinates, or the names of its loss terms. Asked before anything is trained."""

    def bytes_for(self, parameters: int, points: int) -> int:
        """What its matrices need with so many parameters and residuals; vectors do not count."""
        return 0


class Transformation(Protocol):
    """How a first-order optimizer moves the parameters, in arrays of the backend."""

    def init(self, theta: Array) -> Tree:
        """Its memory at the start, from ``theta`` (P,)."""

    def update(self, theta: Array, direction: Array, memory: Tree, inputs: Tree) -> tuple[Array, Tree]:
        """Parameters and memory after a step against ``direction``, with the step's row of the schedule."""

    def export(self, memory: Tree) -> dict[str, np.ndarray]:
        """The memory in NumPy."""

    def restore(self, theta: Array, kept: Memory) -> Tree:
        """The memory that was exported."""


class FirstOrder(Optimizer):
    """Takes one evaluation and makes one step, over and over, inside the backend.

    A subclass states :meth:`init` and :meth:`update` over the namespace, or the :meth:`transformation` of the
    framework's own library.
    """

    takes_minibatches: ClassVar[bool] = True
    needs_fixed_objective: ClassVar[bool] = False
    by_term: ClassVar[bool] = False
    """Whether ``direction`` is the k weighted gradients (k, P) instead of their sum."""

    @property
    def key(self) -> Hashable:
        """What compiled steps depend on beside their arguments: by default all settings."""
        return repr(self)

    def schedule(self) -> Tree:
        """What differs from step to step, such as the learning rate: arrays with ``iterations`` rows."""
        return np.arange(self.iterations)

    def init(self, theta: Array, xp: Any) -> dict[str, Array]:
        """The memory at the start."""
        return {}

    def update(
        self, theta: Array, direction: Array, memory: dict[str, Array], inputs: Tree, xp: Any
    ) -> tuple[Array, dict[str, Array]]:
        """Parameters (P,) and memory after a step."""
        raise TypeError(f"{type(self).__name__} must state update or transformation")

    def transformation(self, backend: Backend) -> Transformation:
        """How parameters move: by default as :meth:`init` and :meth:`update` say."""
        return _OverNamespace(self, backend)


@dataclass(frozen=True)
class _OverNamespace:
    """A transformation by two functions over the array namespace."""

    optimizer: FirstOrder
    backend: Backend

    def init(self, theta: Array) -> Tree:
        return self.optimizer.init(theta, self.backend.xp)

    def update(self, theta: Array, direction: Array, memory: Tree, inputs: Tree) -> tuple[Array, Tree]:
        return self.optimizer.update(theta, direction, memory, inputs, self.backend.xp)

    def export(self, memory: Tree) -> dict[str, np.ndarray]:
        return self.backend.numpy(memory)

    def restore(self, theta: Array, kept: Memory) -> Tree:
        return self.backend.array(dict(kept))


@dataclass(frozen=True)
class Step:
    """Where an iteration led: parameters (P,), the optimizer's memory, and why it stops, if it does."""

    theta: np.ndarray
    memory: Memory
    stop: StopReason | None = None
    message: str = ""


class Iterative(Optimizer):
    """Makes its iterations one by one in NumPy. Its memory is all it needs, so that a killed run goes on
    exactly."""

    @abstractmethod
    def init(self, objective: Objective, theta: np.ndarray) -> Memory:
        """The memory at the start, from ``theta`` (P,) in float64."""

    @abstractmethod
    def step(self, objective: Objective, theta: np.ndarray, memory: Memory) -> Step:
        """One iteration from ``theta`` (P,). With a ``stop`` no iteration is counted unless ``theta`` has
        changed."""


Report = Callable[[np.ndarray, int], None]
"""``report(theta, iterations)``: the iterate ``theta`` was reached by so many iterations since the last report."""


@dataclass(frozen=True)
class Budget:
    """Iterations and evaluations of a stage: all that it may make, those spent, or those left."""

    iterations: int = 0
    evaluations: int = 0


@dataclass(frozen=True)
class Outcome:
    """Where a stage ended: parameters (P,), the reason, and the optimizer's own words."""

    theta: np.ndarray
    reason: StopReason
    message: str


class Foreign(Optimizer):
    """A library's optimizer with a loop of its own. Taken up again after a kill it starts with an empty memory."""

    @abstractmethod
    def minimise(
        self, objective: Objective, theta: np.ndarray, report: Report, every: int, spent: Budget
    ) -> Outcome:
        """Minimise from ``theta`` (P,), reporting each iterate, at least one every ``every`` iterations; ``spent``
        is what the stage had made before it was interrupted."""
