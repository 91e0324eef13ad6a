"""What a backend answers: for these parameters and points, what is each term, its gradient, each residual?

A backend evaluates, differentiates and compiles. It knows no balancing rule and no optimizer: those are functions
over its array namespace that it is given to run, and its framework's own optimizers stand in its ``library``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from problems.base import Equation
from solvers.model.jets import layout_for
from solvers.model.networks.base import parameter_count
from solvers.model.terms import CollocationPoints, Constraint, Model, Term, build_terms, chunked
from solvers.stopwatch import Stopwatch

__all__ = ["Array", "Backend", "Batches", "Rows", "TermValues", "Tree", "parts_of"]

Array = Any
"""An array of the backend's own namespace."""
Tree = Any
"""Arrays in nested tuples, lists and mappings."""
Batches = list[list[dict[str, np.ndarray]]]
FEATURES_AT_MOST = 2**28
"""Bytes of the terms' features that are kept; more are computed anew in every sweep."""
VALUES_AT_ONCE = 3
"""Points without derivatives swept in the place of one with them: they carry a third of the arrays or less."""
SUMS = np.dtype("float64")
"""The precision in which squares and gradients are summed over the points, whatever that of the network. A loss
of 3e6 has in float32 a unit of 0.25, more than any step of a line search gains; whether one stalls there depends
on the order of the sum."""
ROWS_AT_ONCE = 2**21
"""Numbers of the Jacobian that are made at a time: rows times parameters. At 921 parameters parts of 2,000 rows
are the fastest in both frameworks, by a fifth; so many numbers are those."""


@dataclass(frozen=True)
class TermValues:
    """The k terms at some parameters, in arrays of the backend: with the multipliers of their points ``values``
    (k,) and ``gradients`` (k, P), without them ``raw`` (k,); by name the ``residuals`` (n,) of the terms asked
    for and the ``shares`` (n,) of their points, so that a raw term is sum_i share_i residual_i^2."""

    values: Array
    gradients: Array
    raw: Array
    residuals: Mapping[str, Array]
    shares: Mapping[str, Array]


@dataclass(frozen=True)
class Rows:
    """A part of the Jacobian, in NumPy: residuals r (n,), shares w (n,) and rows dr/dtheta (n, P) of some points
    of the term called ``term``, in the order of its points."""

    term: str
    residuals: np.ndarray
    shares: np.ndarray
    jacobian: np.ndarray


class Backend(ABC):
    """Terms and gradients of one model in one precision, summed over the points in float64.

    Parameters cross as flat NumPy vectors (P,) of ``dtype``. Mini-batches are the arrays of
    :class:`solvers.points.sampling.Minibatches`; without them the terms' own points count.
    """

    chunk_size: int
    """Points with derivatives in one sweep on a CPU, where a chunk should stay in the cache. One number for each
    framework: from 2,000 to 4,000 points (JAX: 250 to 1,000) the time changes by a tenth at most, whatever the
    network and its width (50 to 300), as ``benchmarks/test_evaluation.py`` shows."""

    xp: ClassVar[ModuleType]
    """The array namespace: ``jax.numpy`` or ``torch``. What rules and optimizers may use of it is what NumPy, JAX
    and torch share, such as ``abs``, ``amax``, ``exp``, ``sqrt``, ``where``, ``stack``, ``zeros_like``,
    ``sum``."""

    def __init__(
        self,
        model: Model,
        terms: tuple[Term, ...],
        dtype: str,
        stopwatch: Stopwatch | None = None,
        chunk_size: int | None = None,
    ):
        self.model, self.terms = model, terms
        self.dtype = np.dtype(dtype)
        self.parameters = parameter_count(model.shapes)
        self.stopwatch = stopwatch or Stopwatch()
        self.chunk_size = chunk_size or type(self).chunk_size

    @property
    @abstractmethod
    def on_cpu(self) -> bool:
        """Whether points are swept in chunks; on a GPU all points are one chunk."""

    @property
    @abstractmethod
    def library(self) -> ModuleType:
        """The framework's own optimizers: ``adam`` and ``lbfgs``; imported when they are asked for."""

    def cut(
        self, constraint: Constraint, arrays: Mapping[str, np.ndarray], axis: int = 0
    ) -> dict[str, np.ndarray]:
        """Arrays of a constraint's points, which are along ``axis``, in chunks as :func:`chunked` makes them."""
        size = self.chunk_size if constraint.layout else VALUES_AT_ONCE * self.chunk_size
        return chunked(arrays, size if self.on_cpu else None, axis)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of points of each term."""
        return {term.name: term.size for term in self.terms}

    @property
    def names(self) -> list[str]:
        """Names of the terms."""
        return [term.name for term in self.terms]

    @cached_property
    def multiplier_places(self) -> dict[tuple[int, int], tuple[str, slice]]:
        """For each (term, constraint): the term's name, and where its points stand among those of the term."""
        places = {}
        for i, term in enumerate(self.terms):
            start = 0
            for j, constraint in enumerate(term.constraints):
                places[i, j] = term.name, slice(start, start + len(constraint.points))
                start += len(constraint.points)
        return places

    def replace_points(self, terms: tuple[Term, ...]) -> None:
        """Go on with other points of the same terms."""
        self.terms = terms
        self.__dict__.pop("multiplier_places", None)
        self.load_points()

    @abstractmethod
    def load_points(self) -> None:
        """Bring the points of ``terms`` to the device."""

    # Inside compiled code.

    @abstractmethod
    def terms_at(
        self, points: Tree, theta: Array, multipliers: Mapping[str, Array], residuals: Sequence[str] = ()
    ) -> TermValues:
        """The terms at ``theta`` (P,) over ``points``, a handle that :meth:`call` and :meth:`scan` give to what
        they run. ``multipliers`` (n,) by term multiply residuals point by point: the term is sum_i share_i
        (multiplier_i r_i)^2. ``residuals`` names the terms whose residuals are wanted."""

    @abstractmethod
    def norms(self, gradients: Array) -> Array:
        """Euclidean norms (k,) of rows (k, P), also of those whose squares leave the precision."""

    # Running what is written over the namespace.

    @abstractmethod
    def call(self, key: Hashable, function: Callable[..., Tree], *arguments: Tree) -> Tree:
        """``function(points, *arguments)`` compiled, with the terms' own points; arguments are arrays of NumPy or
        of the backend. ``key`` names the function: equal keys, equal functions."""

    @abstractmethod
    def scan(
        self,
        key: Hashable,
        step: Callable[[Tree, Tree, Tree], tuple[Tree, Tree]],
        carry: Tree,
        inputs: Tree,
        batches: Batches | None = None,
    ) -> tuple[Tree, Tree]:
        """``carry, seen = step(points, carry, input)`` for each row of the ``inputs`` (NumPy arrays with the
        steps along the first axis), compiled as one program where the framework can; the last carry, and all that
        was seen in NumPy arrays, step by step. ``batches`` give each step points of its own."""

    @abstractmethod
    def array(self, tree: Tree, dtype: np.dtype | None = None) -> Tree:
        """NumPy arrays as the backend's, those of floats in its precision or in ``dtype``."""

    @abstractmethod
    def numpy(self, tree: Tree) -> Tree:
        """The backend's arrays as NumPy's, copied."""

    # Answers in NumPy.

    def terms_and_gradients(
        self, theta: np.ndarray, batches: Batches | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Term values (k,) and their gradients (k, P), without multipliers; of the first of the ``batches``."""

        def first(points: Tree, carry: Array, _: Tree) -> tuple[Array, Tree]:
            found = self.terms_at(points, carry, {})
            return carry, (found.values, found.gradients)

        if batches is not None:
            _, seen = self.scan("first terms", first, self.array(theta), (np.zeros(1),), batches)
            return seen[0][0], seen[1][0]
        found = self.call("terms", lambda points, theta: first(points, theta, None)[1], self.array(theta))
        return self.numpy(found)

    def residuals(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """The residuals (n,) of every term at its points."""
        names = tuple(self.names)

        def all_residuals(points: Tree, theta: Array) -> Mapping[str, Array]:
            return self.terms_at(points, theta, {}, names).residuals

        return self.numpy(self.call("residuals", all_residuals, self.array(theta)))

    def residuals_at(self, theta: np.ndarray, equation: Equation, points: np.ndarray) -> np.ndarray:
        """operator(u) - target (N,) of an equation at any ``points`` (N, d) of its face."""
        (term,) = build_terms([CollocationPoints(equation.term, equation, points)])
        return self.constraint_residuals(theta, term.constraints[0])

    @abstractmethod
    def constraint_residuals(self, theta: np.ndarray, constraint: Constraint) -> np.ndarray:
        """Residuals (N,) at the points of a constraint that need not be one of the terms'."""

    @abstractmethod
    def rows(self, theta: np.ndarray, terms: Sequence[str] | None = None) -> Iterator[Rows]:
        """The Jacobian of all residuals, or of those of the ``terms`` named, a part at a time."""

    def row_norms(self, theta: np.ndarray, terms: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """|dr_i/dtheta|^2 (n,) of every point of each term: the diagonal of its neural tangent kernel."""
        found: dict[str, list[np.ndarray]] = {}
        for part in self.rows(theta, terms):
            found.setdefault(part.term, []).append(np.einsum("ij,ij->i", part.jacobian, part.jacobian))
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def normal_equations(
        self, theta: np.ndarray, weights: Mapping[str, float] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """J'WJ (P, P) and J'Wr (P,) in float64, where W holds each point's share times its term's weight (one if
        not given): half the gradient of the weighted sum of the terms, and the Gauss-Newton part of half its
        Hessian."""
        matrix, vector = np.zeros((self.parameters, self.parameters)), np.zeros(self.parameters)
        for part in self.rows(theta):
            scaled = np.sqrt(part.shares * (1.0 if weights is None else weights[part.term]))
            jacobian = scaled[:, None] * part.jacobian
            matrix += jacobian.T @ jacobian
            vector += jacobian.T @ (scaled * part.residuals)
        return matrix, vector

    def fields(self, theta: np.ndarray, points: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """u (``""``) and derivatives of it such as ``x`` or ``xt``, (N,) each, at ``points`` (N, d)."""
        problem = self.terms[-1].constraints[0].equation.problem
        layout = layout_for(problem.coordinates, names)
        found = self.jets(theta, points, layout)
        return {name: found[name] for name in names}

    @abstractmethod
    def jets(self, theta: np.ndarray, points: np.ndarray, layout: Any) -> dict[str, np.ndarray]:
        """The value of u and its channels (N,) by name at ``points`` (N, d)."""

    @abstractmethod
    def predict(self, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
        """u at ``points`` (N, d): (N,)."""

    @classmethod  # noqa: B027 - most frameworks always have a device
    def check_device(cls) -> None:
        """``ValueError`` if the framework has no device to compute on; asked before anything is built."""

    @classmethod
    def out_of_memory(cls, error: Exception) -> bool:
        """Whether an error says that memory is short."""
        return isinstance(error, MemoryError)

    @property
    @abstractmethod
    def description(self) -> dict[str, str]:
        """For the run's record: versions, the ``device``, and the precision of float32 ``matrix_products``."""


def parts_of(arrays: Mapping[str, np.ndarray], size: int) -> Iterator[dict[str, np.ndarray]]:
    """Parts of at most ``size`` points, all of one length, the last filled up with its last point."""
    count = len(arrays["points"])
    length = min(size, count)
    for start in range(0, count, length):
        own = {name: array[start : start + length] for name, array in arrays.items()}
        missing = length - len(own["points"])
        yield {n: np.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1), mode="edge") for n, a in own.items()}
