"""The one question a backend answers: for these parameters, what is each term and its gradient?

Everything else follows: the objective of a balancing rule is a function of the term values, so its gradient is
``sum_i (d objective / d term_i) gradient_i``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import TINY, Balancing
from solvers.networks.base import parameter_count
from solvers.stopwatch import Stopwatch
from solvers.terms import Block, Model, Term, chunked

__all__ = ["AdamOptions", "Backend", "Batches", "Evaluation", "LbfgsOptions", "LbfgsStep", "Trace"]

Batches = list[list[dict[str, np.ndarray]]]
FEATURES_AT_MOST = 2**28
"""Bytes of the terms' features that are kept; more are computed anew in every sweep."""
VALUES_AT_ONCE = 3
"""Points without derivatives swept in the place of one with them: they carry a third of the arrays or less."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, in NumPy: the k term values, the objective, its weights (k,), its gradient (P,) and
    the Euclidean norms (k,) of the gradients of the terms, all in the precision of the run.

    A term with pointwise multipliers stands here without them; its weight is the ratio of the weighted term to
    it, and its norm is that of the weighted term's gradient divided by this weight.
    """

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
    needs no new compilation. Parameters cross as flat NumPy vectors (P,) of ``dtype``. Mini-batches are the
    arrays of :class:`solvers.sampling.Minibatches`; without them the terms' own points count.
    """

    chunk_size: ClassVar[int]
    """Points with derivatives in one sweep on a CPU, where a chunk should stay in the cache. One number for each
    framework: from 2,000 to 4,000 points (JAX: 250 to 1,000) the time changes by a tenth at most, whatever the
    network and its width (50 to 300), as ``benchmarks/test_evaluation.py`` shows."""

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
        self.parameters = parameter_count(model.shapes)
        self.stopwatch = stopwatch or Stopwatch()
        self.chunk_size = chunk_size or type(self).chunk_size

    @property
    @abstractmethod
    def on_cpu(self) -> bool:
        """Whether points are swept in chunks; on a GPU all points are one chunk."""

    def cut(self, block: Block, arrays: Mapping[str, np.ndarray], axis: int = 0) -> dict[str, np.ndarray]:
        """Arrays of a block's points, which are along ``axis``, in chunks as :func:`chunked` makes them."""
        size = self.chunk_size if block.layout else VALUES_AT_ONCE * self.chunk_size
        return chunked(arrays, size if self.on_cpu else None, axis)

    @abstractmethod
    def evaluate(self, theta: np.ndarray, coefficients: np.ndarray) -> Evaluation:
        """Terms, objective and gradient at ``theta``."""

    @property
    def sizes(self) -> dict[str, int]:
        """Number of points of each term."""
        return {term.name: term.size for term in self.terms}

    def joined(self, theta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """What Adam trains: the parameters (P,) and, behind them, the multipliers of a pointwise rule."""
        return np.concatenate([theta, coefficients]) if self.multipliers else theta

    def parted(self, trained: Any, coefficients: Any) -> tuple[Any, Any]:
        """Parameters and coefficients from what Adam trains; arrays of any namespace."""
        if not self.multipliers:
            return trained, coefficients
        return trained[: self.parameters], trained[self.parameters :]

    @cached_property
    def multipliers(self) -> dict[tuple[int, int], slice]:
        """Where in a pointwise rule's coefficients the multipliers of each (term, block) stand."""
        places, start = {}, 0
        for name in self.balancing.pointwise:
            i = [term.name for term in self.terms].index(name)
            for j, block in enumerate(self.terms[i].blocks):
                places[i, j] = slice(start, start + len(block.points))
                start += len(block.points)
        return places

    def weighed(self, values: Any, raw: Any, weights: Any, norms: Any) -> tuple[Any, Any, Any]:
        """Values, weights and norms to be recorded, (k,) each, as :class:`Evaluation` says."""
        if not self.multipliers:
            return values, weights, norms
        ratio = (values + TINY) / (raw + TINY)
        return raw, weights * ratio, norms / ratio

    @abstractmethod
    def terms_and_gradients(
        self, theta: np.ndarray, batch: Batches | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Term values (k,) and their gradients (k, P), without multipliers; of the first of the ``batch``."""

    @abstractmethod
    def predict(self, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
        """u at ``points`` (N, d): (N,)."""

    @abstractmethod
    def start_adam(
        self, trained: np.ndarray, options: AdamOptions, memory: Mapping[str, np.ndarray] | None = None
    ) -> Any:
        """The optimizer's state at its first step, or with the ``memory`` it had: opaque, to be handed to
        :meth:`adam_steps`."""

    @abstractmethod
    def adam_memory(self, state: Any) -> dict[str, np.ndarray]:
        """What Adam remembers beside what it trains: ``first`` and ``second`` moments, and its ``count``."""

    @classmethod
    def out_of_memory(cls, error: Exception) -> bool:
        """Whether an error says that memory is short."""
        return isinstance(error, MemoryError)

    @abstractmethod
    def adam_steps(
        self, state: Any, rates: np.ndarray, coefficients: np.ndarray, batches: Batches | None = None
    ) -> tuple[Any, Trace]:
        """As many steps as there are ``rates`` (n,), without leaving the framework."""

    @abstractmethod
    def adam_trained(self, state: Any) -> np.ndarray:
        """What an Adam state trains, as :meth:`joined`."""

    @abstractmethod
    def native_lbfgs(
        self, theta: np.ndarray, coefficients: np.ndarray, options: LbfgsOptions, block: int
    ) -> Iterator[LbfgsStep]:
        """The framework's own L-BFGS, ``block`` iterations at a time, until it stops or is no longer asked."""

    @property
    @abstractmethod
    def description(self) -> dict[str, str]:
        """For the run's record: versions, the ``device``, and the precision of float32 ``matrix_products``."""
