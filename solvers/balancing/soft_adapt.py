"""SoftAdapt: terms that fall more slowly weigh more (Heydari, Thompson and Mehmood 2019, arXiv 1912.12355)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from solvers.balancing.base import TINY, Balancing, State, StepObservation

__all__ = ["SoftAdapt"]


@dataclass(frozen=True)
class SoftAdapt(Balancing):
    """L = sum_i lambda_i L_i with lambda = k softmax(``beta`` s), s from the terms at the last step and at the one
    before:

        ``slope: difference``    s_i = L_i(t) - L_i(t - 1)
        ``slope: normalized``    the same over sum_j |s_j|
        ``slope: ratio``         s_i = L_i(t) / L_i(t - 1)

    The first two are the paper's; the third is what libraries have, with ``beta`` 1, and the only one that does
    not change with the units of a term. With ``loss_weighted`` lambda_i is proportional to L_i exp(beta s_i).
    lambda is one until two steps are seen, and always sums to k.
    """

    beta: float = 0.1
    slope: Literal["difference", "normalized", "ratio"] = "difference"
    loss_weighted: bool = False

    changes_each_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta {self.beta} must be greater than 0")

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """The weights (k,), the terms at the last step (k,), and the steps seen (1,)."""
        return {"weights": np.ones(len(terms)), "previous": np.ones(len(terms)), "steps": np.zeros(1)}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The weighted sum."""
        return (state["weights"] * values).sum(), state["weights"]

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step."""
        slopes = self.beta * self._slopes(seen.values, state["previous"], xp)
        powers = xp.exp(slopes - xp.amax(slopes))
        if self.loss_weighted:
            powers = powers * seen.values
        weights = len(powers) * powers / (powers.sum() + TINY)
        weights = xp.where(state["steps"] > 0, weights, state["weights"])
        return {"weights": weights, "previous": seen.values, "steps": state["steps"] + 1}

    def _slopes(self, values: Any, previous: Any, xp: Any) -> Any:
        if self.slope == "ratio":
            return values / (previous + TINY)
        difference = values - previous
        if self.slope == "difference":
            return difference
        return difference / (xp.abs(difference).sum() + TINY)
