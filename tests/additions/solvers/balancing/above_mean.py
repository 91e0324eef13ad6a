"""Points weigh more the more often their residual was above the mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing, State, StepObservation

__all__ = ["AboveMean"]


@dataclass(frozen=True)
class AboveMean(Balancing):
    """L = L_s + <(w_j r_j)^2>, w_j <- w_j + ``rate`` if |r_j| > mean |r|, from w = 1."""

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
        """One at every point."""
        return {"multiplier.residual": np.ones(terms["residual"])}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The sum of the weighted terms."""
        return values.sum(), values * 0 + 1

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step."""
        size, weights = xp.abs(seen.residuals["residual"]), state["multiplier.residual"]
        return {"multiplier.residual": xp.where(size > size.mean(), weights + self.rate, weights)}
