"""SPRING: natural-gradient steps that remember the last one (Goldshlager, Abrahamsen and Lin 2024)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from solvers.optimizers._gauss_newton import WeightedRows, factor, solve, weighted_rows
from solvers.optimizers.base import Iterative, Memory, Objective, Step, StopReason

__all__ = ["Spring"]


@dataclass(frozen=True)
class Spring(Iterative):
    """With L = r'r and its Jacobian J, from phi = 0:

        phi <- mu phi + J'(J J' + lambda I)^-1 (-r - mu J phi),

    where mu is ``momentum`` and lambda ``damping``. With mu = 0 this is the energy natural gradient by Woodbury's
    formula (Guzmán-Cordero et al. 2025). The smaller of the two equal forms is solved: N by N, or with
    (J'J + lambda I)^-1 J' P by P.

    ``length: grid`` goes to the lowest objective among theta + 2^-j phi, j = 0, ..., ``trials`` - 1 (Müller and
    Zeinhofer 2023), each an evaluation. It may be higher than that at theta, for the momentum may lead uphill; the
    shortest step is then next to none, and phi turns. ``length: bounded`` adds unseen, as SPRING does for sampled
    points, min(``learning_rate``, sqrt(``norm_constraint``) / |phi|) phi.

    r and J have the weights d L / d term of the iterate: exact for a weighted sum of the terms; a rule such as
    powers of the terms is followed as the sum with these weights.

    Stops at ``iterations`` or ``evaluations``, when the matrix cannot be inverted, or when every length leads to
    what is not finite or is lost in rounding. Rows count as one evaluation, though they take several times as
    long. For N points and P parameters they have 8 N P bytes, the matrix 8 times the square of the smaller number.
    All sums are float64, of rows in the stage's precision.
    """

    iterations: int
    evaluations: int
    damping: float = 1e-3
    momentum: float = 0.99
    length: Literal["grid", "bounded"] = "grid"
    trials: int = 31
    learning_rate: float = 1.0
    norm_constraint: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("iterations", "evaluations", "trials"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        for name in ("damping", "learning_rate", "norm_constraint"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} {getattr(self, name)} must be greater than 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum {self.momentum} must lie in [0, 1)")

    def bytes_for(self, parameters: int, points: int) -> int:
        """Rows and the matrix."""
        return 8 * (parameters * points + min(parameters, points) ** 2)

    def init(self, objective: Objective, theta: np.ndarray) -> Memory:
        """``phi`` (P,)."""
        objective(theta)
        return {"phi": np.zeros(len(theta))}

    def step(self, objective: Objective, theta: np.ndarray, memory: Memory) -> Step:
        """One step along phi."""
        objective(theta)
        phi = self._followed(weighted_rows(objective, theta), memory["phi"])
        if phi is None:
            return Step(theta, memory, StopReason.LINE_SEARCH, f"damping {self.damping:g} is too small to invert")
        kept = {"phi": phi}
        if self.length == "bounded":
            length = min(self.learning_rate, float(np.sqrt(self.norm_constraint) / np.linalg.norm(phi)))
            moved = _rounded(objective, theta + length * phi)
            objective(moved)  # the next step asks for it, and it must count
            return Step(moved, kept)
        found = [_rounded(objective, theta + 0.5**j * phi) for j in range(self.trials)]
        values = [objective(each)[0] for each in found]
        best = int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
        if not np.isfinite(values[best]) or np.array_equal(found[best], theta):
            return Step(theta, memory, StopReason.LINE_SEARCH, f"none of {self.trials} lengths leads anywhere")
        objective(found[best])  # no longer known: the next step asks for it, and it must count
        return Step(found[best], kept)

    def _followed(self, rows: WeightedRows, phi: np.ndarray) -> np.ndarray | None:
        """The next phi (P,)."""
        jacobian, before = rows.jacobian, self.momentum * phi
        wanted = -rows.residuals - jacobian @ before
        wide = jacobian.shape[0] < jacobian.shape[1]
        factored = factor(rows.kernel() if wide else rows.gram(), self.damping)
        if factored is None:
            return None
        if wide:
            return before + jacobian.T @ solve(factored, wanted)
        return before + solve(factored, jacobian.T @ wanted)


def _rounded(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """What the backend makes of ``theta`` (P,), in float64."""
    return theta.astype(objective.backend.dtype).astype(float)
