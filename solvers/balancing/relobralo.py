"""Relative loss balancing with random look-back, ReLoBRaLo (Bischof and Kraus 2021, arXiv 2110.09813)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing, State, StepObservation

__all__ = ["Relobralo"]

TINY_LOSS = 1e-12
"""Added to the loss that another is divided by, as published."""


@dataclass(frozen=True)
class Relobralo(Balancing):
    """L = sum_i lambda_i L_i, where terms that have fallen less than the others weigh more: with

        b(t, s)_i = k softmax_i(L_i(t) / (``temperature`` L_i(s))),
        lambda(t) = alpha (rho lambda(t - 1) + (1 - rho) b(t, 0)) + (1 - alpha) b(t, t - 1),

    and rho one with the probability ``look_back``, else zero, drawn for each step. lambda is one at the first
    step, and b(1, 0) after it. The weights always sum to k.
    """

    alpha: float = 0.999
    look_back: float = 0.999
    temperature: float = 1.0

    changes_each_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("alpha", "look_back"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must lie in [0, 1]")
        if not self.temperature > 0:
            raise ValueError(f"temperature {self.temperature} must be greater than 0")

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """The weights (k,), the terms at the first and at the last step (k,), and the steps seen (1,)."""
        ones = np.ones(len(terms))
        return {"weights": ones, "first": ones, "previous": ones, "steps": np.zeros(1)}

    def chance(self, steps: int, terms: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        """rho of each step (steps, 1)."""
        return {"rho": (rng.random((steps, 1)) < self.look_back).astype(float)}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The weighted sum."""
        return (state["weights"] * values).sum(), state["weights"]

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step."""
        values, steps, rho = seen.values, state["steps"], chance["rho"]
        first = xp.where(steps == 0, values, state["first"])
        since = self._softmax(values, state["previous"], xp)
        kept = rho * state["weights"] + (1 - rho) * self._softmax(values, first, xp)
        later = self.alpha * kept + (1 - self.alpha) * since
        weights = xp.where(steps == 0, state["weights"], xp.where(steps == 1, since, later))
        return {"weights": weights, "first": first, "previous": values, "steps": steps + 1}

    def _softmax(self, values: Any, earlier: Any, xp: Any) -> Any:
        ratios = values / (self.temperature * earlier + TINY_LOSS)
        powers = xp.exp(ratios - xp.amax(ratios))
        return len(powers) * powers / powers.sum()
