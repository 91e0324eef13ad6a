"""Levenberg-Marquardt: damped Gauss-Newton steps on all residuals (Levenberg 1944, Marquardt 1963)."""

from dataclasses import dataclass

import numpy as np

from solvers.optimizers._gauss_newton import WeightedRows, factor, loss_gradient, solve, weighted_rows
from solvers.optimizers.base import Iterative, Memory, Objective, Step, StopReason

__all__ = ["LevenbergMarquardt"]

LARGEST = 1e10
"""A damping beyond which no step is looked for."""


@dataclass(frozen=True)
class LevenbergMarquardt(Iterative):
    """Steps v = -(J'J + lambda m I)^-1 J'r, where L = r'r and m is the largest diagonal entry of J'J.

    lambda starts at ``damping``. A step is made if it lowers the objective, and then lambda becomes ``shrink``
    times as large, but not smaller than ``least_damping``; else ``grow`` times as large, and the next is tried.
    The identity damps, not the diagonal of J'J, as Marquardt has it: from a random start that lets parameters that
    hardly act run away into saturation. Each solution is refined once by its own residual, for J'J has the square
    of the condition of J (corrected semi-normal equations, Björck 1987).

    r and J have the weights d L / d term of the iterate: exact for a weighted sum of the terms. For other rules,
    such as powers, each step is that of the sum with these weights, and is judged by the rule itself.

    Stops at ``iterations`` or ``evaluations``, when the largest gradient entry is <= ``gtol``, or when no lambda
    up to 1e10 helps. Rows count as one evaluation, though they take several times as long. For N points and P
    parameters they have 8 N P bytes, the matrices 16 P^2. All sums are float64, of rows in the stage's precision.
    """

    iterations: int
    evaluations: int
    damping: float = 1e-2
    least_damping: float = 1e-15
    shrink: float = 1 / 3
    grow: float = 4.0
    gtol: float = 0.0

    def __post_init__(self) -> None:
        for name in ("iterations", "evaluations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if not 0 < self.least_damping <= self.damping <= LARGEST:
            raise ValueError(
                f"damping {self.damping} must lie between least_damping {self.least_damping} > 0 and {LARGEST:g}"
            )
        if not 0 < self.shrink <= 1 < self.grow:
            raise ValueError(f"shrink {self.shrink} must lie in (0, 1] and grow {self.grow} be greater than 1")
        if not self.gtol >= 0:
            raise ValueError(f"gtol {self.gtol} must not be negative")

    def bytes_for(self, parameters: int, points: int) -> int:
        """Rows, J'J and its factor."""
        return 8 * parameters * (points + 2 * parameters)

    def init(self, objective: Objective, theta: np.ndarray) -> Memory:
        """The ``damping`` lambda."""
        objective(theta)
        return {"damping": np.array(self.damping)}

    def step(self, objective: Objective, theta: np.ndarray, memory: Memory) -> Step:
        """The first step that lowers the objective, with ever more damping."""
        value, gradient = objective(theta)
        if np.abs(gradient).max() <= self.gtol:
            return Step(theta, memory, StopReason.GRADIENT, f"the largest gradient entry is <= {self.gtol:g}")
        half = loss_gradient(objective, theta) / 2
        rows = weighted_rows(objective, theta)
        gram, damping = rows.gram(), float(memory["damping"])
        largest = float(gram.diagonal().max())
        while damping <= LARGEST:
            if objective.evaluations >= self.evaluations:
                return Step(theta, memory, StopReason.EVALUATION_LIMIT, "no evaluation left for another step")
            moved = _moved(objective, theta, rows, gram, half, damping * largest)
            if moved is not None and objective(moved)[0] < value:
                kept = max(damping * self.shrink, self.least_damping)
                return Step(moved, {"damping": np.array(kept)})
            damping *= self.grow
        return Step(theta, memory, StopReason.LINE_SEARCH, f"no lower objective with damping up to {LARGEST:g}")


def _moved(
    objective: Objective, theta: np.ndarray, rows: WeightedRows, gram: np.ndarray, half: np.ndarray, shift: float
) -> np.ndarray | None:
    """``theta`` (P,) after the step with J'J + shift I, in the precision of the backend; ``None`` if that is not
    positive definite, or too near to it. ``half`` (P,) is half the gradient of the loss."""
    factored = factor(gram.copy(), shift)
    if factored is None:
        return None
    step = -solve(factored, half)
    step -= solve(factored, half + rows.jacobian.T @ (rows.jacobian @ step) + shift * step)
    moved = (theta + step).astype(objective.backend.dtype).astype(float)
    return moved if np.isfinite(moved).all() and not np.array_equal(moved, theta) else None
