"""The Gauss-Newton matrix and the rows of an objective, whatever its balancing and its transform.

The loss L is taken for a sum of weighted squares r'Wr with the weights d L / d term of the iterate. A weighted
sum is just that; of other rules, such as powers of the terms, the curvature of the rule itself is left out. A term
with pointwise multipliers counts with their mean effect.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, lapack

from solvers.optimizers.base import Objective

__all__ = ["WeightedRows", "factor", "gauss_newton_inverse", "loss_gradient", "solve", "weighted_rows"]


@dataclass(frozen=True)
class WeightedRows:
    """Jacobian (N, P) and residuals (N,) times the roots of their points' shares and of their terms' weights, in
    float64: L = r'r, and J'r is half its gradient."""

    jacobian: np.ndarray
    residuals: np.ndarray

    def gram(self) -> np.ndarray:
        """J'J (P, P), of which the upper triangle counts."""
        return _upper_product(self.jacobian.T)

    def kernel(self) -> np.ndarray:
        """J J' (N, N), of which the upper triangle counts."""
        return _upper_product(self.jacobian)


def _upper_product(matrix: np.ndarray) -> np.ndarray:
    """The upper triangle of M M'. BLAS is given what is ordered by columns, so that nothing is copied."""
    if matrix.flags.f_contiguous:
        return blas.dsyrk(1.0, matrix, lower=1).T
    return blas.dsyrk(1.0, matrix.T, trans=1, lower=1).T


def weighted_rows(objective: Objective, theta: np.ndarray) -> WeightedRows:
    """Those of all terms at ``theta`` (P,), in 8 N P bytes; counted as one evaluation, though they take several
    times as long."""
    weights, backend = _term_weights(objective, theta), objective.backend
    jacobian = np.empty((sum(backend.sizes.values()), backend.parameters))
    residuals, done = np.empty(len(jacobian)), 0
    for part in backend.rows(theta.astype(backend.dtype)):
        place = slice(done, done + len(part.residuals))
        roots = np.sqrt(part.shares * weights[part.term])
        np.multiply(roots[:, None], part.jacobian, out=jacobian[place])
        residuals[place] = roots * part.residuals
        done = place.stop
    objective.count(1)
    return WeightedRows(jacobian, residuals)


def loss_gradient(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """The gradient (P,) of the loss L, before the transform, in float64."""
    return objective.seen(theta).gradient.astype(float)


def gauss_newton_inverse(objective: Objective, theta: np.ndarray, damping: float) -> np.ndarray | None:
    """(2 phi'(L) (J'WJ + damping m I))^-1 (P, P) at ``theta`` (P,) for an objective phi(L), with the largest
    diagonal entry m of J'WJ: the upper triangle; ``None`` if it is not positive definite. Counts as one
    evaluation."""
    _, ours = objective(theta)
    gradient, backend = loss_gradient(objective, theta), objective.backend
    slope = float(ours @ gradient) / float(gradient @ gradient)
    matrix, _ = backend.normal_equations(theta.astype(backend.dtype), _term_weights(objective, theta))
    objective.count(1)
    factored = factor(matrix, damping * matrix.diagonal().max())
    if factored is None:
        return None
    inverse, failed = lapack.dpotri(factored, lower=1, overwrite_c=1)
    if failed:
        return None
    inverse *= 1 / (2 * slope)
    return inverse.T


def factor(matrix: np.ndarray, shift: float) -> np.ndarray | None:
    """The Cholesky factor of ``matrix`` + ``shift`` I for :func:`solve`, in the memory of ``matrix``, of which the
    upper triangle counts; ``None`` if it is not positive definite."""
    matrix[np.diag_indices_from(matrix)] += shift
    # LAPACK sees the transpose, which is ordered by columns, so that nothing is copied.
    found, failed = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1, clean=0)
    return None if failed else found


def solve(factored: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """The solution for a right-hand side."""
    return lapack.dpotrs(factored, vector, lower=1)[0]


def _term_weights(objective: Objective, theta: np.ndarray) -> dict[str, float]:
    """d L / d term at ``theta`` (P,), by the names of the terms."""
    weights = objective.seen(theta).weights
    return dict(zip(objective.backend.names, map(float, weights), strict=True))
