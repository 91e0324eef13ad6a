"""Polynomials, or waves, along one coordinate: what a spectral solver expands an unknown function in.

A coordinate with k conditions on its ends has a polynomial of degree m + k - 1. It is known by n = m + k numbers:
the data of the k conditions, and the values of its k-th derivative at the m Gauss-Legendre nodes, where the
equation is asked for (orthogonal collocation, de Boor and Swartz 1973, SIAM J. Numer. Anal. 10, 582). Lower
derivatives are integrals of these, so that the matrices stay bounded where those of repeated differentiation grow
like m^(2k) (Greengard 1991, SIAM J. Numer. Anal. 28, 1071). A periodic coordinate has m waves, known by m values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.polynomial import legendre

__all__ = ["Basis", "End", "Polynomials", "Waves"]

SINGULAR = 1e8
"""Condition number of the conditions, as equations for a polynomial of degree k - 1, that stands for infinity."""


@dataclass(frozen=True)
class End:
    """A condition on one end of a coordinate: sum_d weights[d] (d/dx)^d u = data, at the upper or the lower
    end."""

    weights: tuple[float, ...]
    upper: bool


class Basis(Protocol):
    """Functions along one coordinate, each known by n numbers: those of its ends, then those at the nodes."""

    @property
    def ends(self) -> tuple[End, ...]:
        """The k conditions."""

    @property
    def nodes(self) -> np.ndarray:
        """Where the equation is asked for, (m,)."""

    @property
    def synthesis(self) -> np.ndarray:
        """From the numbers to the coefficients, (n, n)."""

    def values(self, order: int) -> np.ndarray:
        """From the numbers to the derivative of ``order`` at the nodes, (m, n)."""

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        """What the coefficients belong to, at points (N,): (N, n)."""


@dataclass(frozen=True)
class Polynomials:
    """Legendre polynomials from ``lower`` to ``upper`` with one condition or more; ``size`` is the number m of
    nodes.

    Raises ``ValueError`` if the conditions do not determine a polynomial of degree k - 1.
    """

    lower: float
    upper: float
    size: int
    ends: tuple[End, ...]

    @property
    def _length(self) -> int:
        return self.size + len(self.ends)

    @property
    def _scale(self) -> float:
        return 2 / (self.upper - self.lower)

    @cached_property
    def _gauss(self) -> tuple[np.ndarray, np.ndarray]:
        return legendre.leggauss(self.size)

    @property
    def nodes(self) -> np.ndarray:
        """Gauss-Legendre nodes."""
        return self.lower + (self._gauss[0] + 1) / self._scale

    @cached_property
    def _integrals(self) -> list[np.ndarray]:
        """Coefficients (n, m) of the derivatives of order 0, ..., k, by the coordinate on [-1, 1], of the
        functions whose k-th derivative is 1 at one node and 0 at the others, and that vanish k times at -1."""
        nodes, weights = self._gauss
        degree = np.arange(self.size)[:, None]
        analysis = (degree + 0.5) * legendre.legvander(nodes, self.size - 1).T * weights
        found = [np.eye(self._length, self.size) @ analysis]
        for _ in self.ends:
            found.insert(0, legendre.legint(found[0][:-1], lbnd=-1))
        return found

    def _at_end(self, end: End, derivatives: Sequence[np.ndarray]) -> np.ndarray:
        """The condition on functions whose derivatives of order 0, 1, ... have these coefficients (n, columns)."""
        signs = np.ones(self._length) if end.upper else (-1.0) ** np.arange(self._length)
        weights = [weight * self._scale**order for order, weight in enumerate(end.weights)]
        return np.sum([w * (signs @ d) for w, d in zip(weights, derivatives, strict=False)], axis=0)

    @cached_property
    def _duals(self) -> np.ndarray:
        """Coefficients (n, k) of the polynomials of degree k - 1 with 1 for one condition and 0 for the others."""
        low = np.eye(self._length, len(self.ends))
        derivatives = [_derivative(low, order) for order in range(len(self.ends))]
        rows = np.array([self._at_end(end, derivatives) for end in self.ends])
        if np.linalg.cond(rows) > SINGULAR:
            raise ValueError("the conditions on the ends of a coordinate do not determine a solution")
        return low @ np.linalg.inv(rows)

    def _functions(self, order: int) -> np.ndarray:
        """From the numbers to the coefficients of the derivative of ``order``, by the coordinate on [-1, 1]."""
        duals = _derivative(self._duals, order)
        at_ends = np.array([self._at_end(end, self._integrals) for end in self.ends])
        inside = (self._integrals[order] - duals @ at_ends) / self._scale ** len(self.ends)
        return np.hstack([duals, inside])

    @cached_property
    def synthesis(self) -> np.ndarray:
        """Coefficients of Legendre polynomials."""
        return self._functions(0)

    def values(self, order: int) -> np.ndarray:
        """For orders up to the k-th; ``ValueError`` for others."""
        if order > len(self.ends):
            raise ValueError(f"a derivative of order {order} along a coordinate with {len(self.ends)} conditions")
        return self._scale**order * (legendre.legvander(self._gauss[0], self._length - 1) @ self._functions(order))

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        """Legendre polynomials."""
        return legendre.legvander(self._scale * (points - self.lower) - 1, self._length - 1)


def _derivative(coefficients: np.ndarray, order: int) -> np.ndarray:
    """The Legendre coefficients (n, columns) of a derivative, as many."""
    found = np.zeros_like(coefficients)
    if order < len(coefficients):
        found[: len(coefficients) - order] = legendre.legder(coefficients, order, axis=0)
    return found


@dataclass(frozen=True)
class Waves:
    """exp(i k x) with k = 0, 1, -1, 2, -2, ... along a periodic coordinate; ``size`` is odd."""

    lower: float
    upper: float
    size: int
    ends: tuple[End, ...] = ()

    @property
    def nodes(self) -> np.ndarray:
        """Equidistant, without the upper end."""
        return np.linspace(self.lower, self.upper, self.size, endpoint=False)

    @cached_property
    def _numbers(self) -> np.ndarray:
        count = np.arange(1, self.size // 2 + 1)
        signed = np.concatenate([[0], np.stack([count, -count], axis=1).ravel()])
        return 2 * np.pi / (self.upper - self.lower) * signed

    @cached_property
    def synthesis(self) -> np.ndarray:
        """The discrete Fourier transform: of real values, complex coefficients."""
        return self.evaluate(self.nodes).conj().T / self.size

    def symbol(self, order: int) -> np.ndarray:
        """What the derivative of ``order`` multiplies each coefficient by, (m,)."""
        return (1j * self._numbers) ** order

    def values(self, order: int) -> np.ndarray:
        """Real."""
        return ((self.evaluate(self.nodes) * self.symbol(order)) @ self.synthesis).real

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        """exp(i k x)."""
        return np.exp(1j * np.outer(points - self.lower, self._numbers))
