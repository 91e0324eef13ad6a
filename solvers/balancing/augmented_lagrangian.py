"""Augmented Lagrangian with adaptive penalties, PECANN-CAPU (Hu, Basir and Senocak 2026)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing, State, StepObservation, is_residual

__all__ = ["AugmentedLagrangian"]

SMALL = 1e-16
"""Added to the mean square of a constraint before its root is divided by, as published."""


@dataclass(frozen=True)
class AugmentedLagrangian(Balancing):
    """A = J + sum_i lambda_i c_i + 1/2 sum_i mu_i c_i^2 with J the residual terms and a multiplier and a penalty
    for each supervised term c_i = L_i, all one at first. After each step

        v_i <- ``decay`` v_i + (1 - ``decay``) c_i^2,

    and, where A has not fallen below ``progress`` times its last value, lambda_i <- lambda_i + mu_i c_i and
    mu_i <- max(mu_i, ``penalty`` / sqrt(v_i)).
    """

    penalty: float = 1.0
    decay: float = 0.99
    progress: float = 0.999

    changes_each_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise ValueError(f"penalty {self.penalty} must be greater than 0")
        for name in ("decay", "progress"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must lie in (0, 1)")

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """Vectors (k,), of the residual terms without meaning: ``constraint`` is one for the others,
        ``multiplier`` lambda, ``penalty`` mu, ``square`` v; ``last`` (1,) is A at the last step."""
        ones = np.ones(len(terms))
        constraint = np.array([float(not is_residual(term)) for term in terms])
        own = {"constraint": constraint, "multiplier": ones, "penalty": ones, "square": np.zeros(len(terms))}
        return own | {"last": np.full(1, np.inf)}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """A, and the weights: one for a residual, lambda_i + mu_i c_i for a constraint."""
        constraint = state["constraint"]
        squared = 0.5 * constraint * state["penalty"] * values * values
        multiplier = constraint * state["multiplier"] + (1 - constraint)
        weights = multiplier + constraint * state["penalty"] * values
        return (multiplier * values + squared).sum(), weights

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """Multipliers and penalties of the next step."""
        values, multiplier, penalty = seen.values, state["multiplier"], state["penalty"]
        square = self.decay * state["square"] + (1 - self.decay) * values * values
        now, _ = self.combine(values, state, xp)
        due = now >= self.progress * state["last"]
        least = self.penalty / xp.sqrt(square + SMALL)
        raised = xp.where(least > penalty, least, penalty)
        return {
            "constraint": state["constraint"],
            "multiplier": xp.where(due, multiplier + penalty * values, multiplier),
            "penalty": xp.where(due, raised, penalty),
            "square": square,
            "last": now * xp.ones_like(state["last"]),
        }
