"""Residual-based attention (Anagnostopoulos et al. 2024): points whose residual stays large weigh more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing, State, StepObservation

__all__ = ["Rba"]


@dataclass(frozen=True)
class Rba(Balancing):
    """L = L_s + <(w_j r_j)^2>, w_j <- decay w_j + rate |r_j| / max |r|, from w = 0."""

    decay: float = 0.999
    rate: float = 1e-3
    changes_each_step: ClassVar[bool] = True

    @property
    def pointwise(self) -> tuple[str, ...]:
        """The residual."""
        return ("residual",)

    @property
    def wants_residuals(self) -> tuple[str, ...]:
        """The residual."""
        return ("residual",)

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """Zero at every point."""
        return {"multiplier.residual": np.zeros(terms["residual"])}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The sum of the weighted terms."""
        return values.sum(), values * 0 + 1

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step."""
        size = xp.abs(seen.residuals["residual"])
        weights = self.decay * state["multiplier.residual"] + self.rate * size / xp.amax(size)
        return {"multiplier.residual": weights}
