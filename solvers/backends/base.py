"""The one question a backend answers: for these parameters, what is each term and its gradient?

Everything else follows: the objective of a balancing rule is a function of the term values, so its gradient is
``sum_i (d objective / d term_i) gradient_i``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing
from solvers.stopwatch import Stopwatch
from solvers.terms import Model, Term

__all__ = ["AdamOptions", "Backend", "Evaluation", "LbfgsOptions", "LbfgsStep", "Trace"]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, in NumPy: the k term values, the objective, its weights (k,), its gradient (P,) and
    the Euclidean norms (k,) of the gradients of the terms, all in the precision of the run."""

    values: np.ndarray
    objective: float
    weights: np.ndarray
    gradient: np.ndarray
    gradient_norms: np.ndarray


@dataclass(frozen=True)
class Trace:
    """What n steps saw, each at its parameters before the step: objective (n,), the rest (n, k)."""

    objective: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    gradient_norms: np.ndarray


@dataclass(frozen=True)
class AdamOptions:
    """Adam's constants (Kingma and Ba 2015); the rate is given step by step."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True)
class LbfgsOptions:
    """What a framework's own L-BFGS is given; tolerances as in SciPy, iterations counted by the caller."""

    history: int
    line_search_steps: int
    ftol: float
    gtol: float


@dataclass(frozen=True)
class LbfgsStep:
    """One block of iterations of a framework's own L-BFGS: where it is, what it cost, why it stopped if so."""

    theta: np.ndarray
    iterations: int
    evaluations: int
    stopped: str | None


class Backend(ABC):
    """Terms and gradients of one model in one precision.

    ``balancing`` is fixed for the backend's life; its ``coefficients`` come with each call, so that a level
    needs no new compilation. Parameters cross as flat NumPy vectors (P,) of ``dtype``.
    """

    chunk_size: ClassVar[int]
    """Points in one sweep on a CPU, where a chunk should stay in the cache; measured for each framework."""

    def __init__(
        self,
        model: Model,
        terms: tuple[Term, ...],
        balancing: Balancing,
        dtype: str,
        stopwatch: Stopwatch | None = None,
        chunk_size: int | None = None,
    ):
        self.model, self.terms, self.balancing = model, terms, balancing
        self.dtype = np.dtype(dtype)
        self.stopwatch = stopwatch or Stopwatch()
        self.chunk_size = chunk_size or type(self).chunk_size

    @abstractmethod
    def evaluate(self, theta: np.ndarray, coefficients: np.ndarray) -> Evaluation:
        """Terms, objective and gradient at ``theta``."""

    @abstractmethod
    def terms_and_gradients(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Term values (k,) and their gradients (k, P)."""

    @abstractmethod
    def predict(self, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
        """u at ``points`` (N, d): (N,)."""

    @abstractmethod
    def start_adam(self, theta: np.ndarray, options: AdamOptions) -> Any:
        """The optimizer's state at its first step: opaque, to be handed to :meth:`adam_steps`."""

    @abstractmethod
    def adam_steps(self, state: Any, rates: np.ndarray, coefficients: np.ndarray) -> tuple[Any, Trace]:
        """As many steps as there are ``rates`` (n,), without leaving the framework."""

    @abstractmethod
    def adam_theta(self, state: Any) -> np.ndarray:
        """The parameters (P,) of an Adam state."""

    @abstractmethod
    def native_lbfgs(
        self, theta: np.ndarray, coefficients: np.ndarray, options: LbfgsOptions, block: int
    ) -> Iterator[LbfgsStep]:
        """The framework's own L-BFGS, ``block`` iterations at a time, until it stops or is no longer asked."""

    @property
    @abstractmethod
    def description(self) -> dict[str, str]:
        """Version of the framework and the device, for the run's record."""
