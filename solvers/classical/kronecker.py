"""Direct solution of a linear equation with constant coefficients on a product of bases.

With one matrix A_i (the derivatives along coordinate i) and one M_i (the functions themselves) for each
coordinate, the equation is (sum_i A_i x prod_(l != i) M_l + c prod_l M_l) C = R. Both matrices of a coordinate are
made triangular together by a Schur decomposition, after which the equation is solved from the last index to the
first (Bartels and Stewart 1972, Commun. ACM 15, 820, for any number of coordinates).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import schur, solve_triangular

from solvers.classical.bases import Basis, Waves

__all__ = ["Direct", "along", "direct"]


def along(array: np.ndarray, matrix: np.ndarray, axis: int) -> np.ndarray:
    """``matrix`` (p, q) applied to ``array`` along an ``axis`` of length q."""
    return np.moveaxis(np.tensordot(matrix, array, axes=(1, axis)), 0, axis)


@dataclass(frozen=True)
class _Factor:
    """One coordinate: triangular matrices for A and M, and the maps into and out of their basis."""

    a: np.ndarray
    m: np.ndarray
    into: np.ndarray
    out: np.ndarray


@dataclass(frozen=True)
class Direct:
    """The inverse of a linear operator with constant coefficients and no mixed derivative, all data of conditions
    zero."""

    factors: Sequence[_Factor]
    constant: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The numbers at the nodes (m_1, ..., m_d) that belong to these values of the operator there."""
        found = values.astype(complex)
        for axis, factor in enumerate(self.factors):
            found = along(found, factor.into, axis)
        found = _solve(self.factors, 1.0, self.constant, found)
        for axis, factor in enumerate(self.factors):
            found = along(found, factor.out, axis)
        return found.real


def direct(bases: Sequence[Basis], coefficients: Mapping[tuple[int, ...], float]) -> Direct:
    """The inverse of sum_a coefficients[a] D^a, with a = (orders along the coordinates), at most one not zero.

    Raises ``ValueError`` if it has no derivative along a coordinate, or is singular.
    """
    factors = []
    for axis, basis in enumerate(bases):
        own = {orders[axis]: value for orders, value in coefficients.items() if sum(orders) == orders[axis] > 0}
        if not any(own.values()):
            raise ValueError("the operator has no derivative along one of the coordinates")
        factors.append(_waves(basis, own) if isinstance(basis, Waves) else _polynomials(basis, own))
    return Direct(factors, coefficients.get((0,) * len(bases), 0.0))


def _waves(basis: Waves, own: Mapping[int, float]) -> _Factor:
    symbol = np.sum([value * basis.symbol(order) for order, value in own.items()], axis=0)
    return _Factor(np.diag(symbol), np.eye(basis.size), basis.synthesis, basis.evaluate(basis.nodes))


def _polynomials(basis: Basis, own: Mapping[int, float]) -> _Factor:
    k = len(basis.ends)
    a = np.sum([value * basis.values(order)[:, k:] for order, value in own.items()], axis=0)
    try:
        inverse = np.linalg.inv(a)
        triangular, vectors = schur(inverse @ basis.values(0)[:, k:], output="complex")
    except np.linalg.LinAlgError:
        raise ValueError("the derivatives along one of the coordinates are singular") from None
    return _Factor(np.eye(len(a)), triangular, vectors.conj().T @ inverse, vectors)


def _solve(factors: Sequence[_Factor], first: complex, second: complex, values: np.ndarray) -> np.ndarray:
    """X with first (sum_i A_i prod_(l != i) M_l) X + second (prod_l M_l) X = values, all A and M triangular."""
    *others, last = factors
    a, m = last.a, last.m
    if not others:
        return solve_triangular(first * a + second * m, values, check_finite=False)
    one, two = first * m, first * a + second * m
    found, sums, products = (np.zeros_like(values) for _ in range(3))
    for j in reversed(range(len(a))):
        right = values[..., j] - sums[..., j + 1 :] @ one[j, j + 1 :] - products[..., j + 1 :] @ two[j, j + 1 :]
        found[..., j] = _solve(others, one[j, j], two[j, j], right)
        sums[..., j], products[..., j] = _applied(others, found[..., j])
    return found


def _applied(factors: Sequence[_Factor], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sum_i A_i prod_(l != i) M_l) X and (prod_l M_l) X."""
    total, product = np.zeros_like(values), values
    for axis, factor in enumerate(factors):
        total = along(total, factor.m, axis) + along(product, factor.a, axis)
        product = along(product, factor.m, axis)
    return total, product
