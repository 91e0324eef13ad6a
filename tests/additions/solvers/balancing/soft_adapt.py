"""SoftAdapt (Heydari, Thompson and Mehmood 2019): terms that fall more slowly weigh more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing, State, StepObservation

__all__ = ["SoftAdapt"]


@dataclass(frozen=True)
class SoftAdapt(Balancing):
    """L = sum_i lambda_i L_i with lambda = k softmax(beta (L_i(t) - L_i(t-1))) from the two steps before."""

    beta: float = 0.1
    changes_each_step: ClassVar[bool] = True

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """Equal weights, and no step seen."""
        return {"weights": np.ones(len(terms)), "previous": np.zeros(len(terms)), "steps": np.zeros(1)}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The weighted sum."""
        return (state["weights"] * values).sum(), state["weights"]

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step."""
        change = self.beta * (seen.values - state["previous"])
        powers = xp.exp(change - xp.amax(change))
        weights = xp.where(state["steps"] > 0, len(powers) * powers / powers.sum(), state["weights"])
        return {"weights": weights, "previous": seen.values, "steps": state["steps"] + 1}
