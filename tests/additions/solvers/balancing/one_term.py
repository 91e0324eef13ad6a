"""Each step follows one term alone, drawn by lot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import State
from solvers.balancing.sum import Sum

__all__ = ["OneTerm"]


@dataclass(frozen=True)
class OneTerm(Sum):
    """d = k g_i, i uniform on 1..k at every step: in the mean the gradient of the sum of the k terms."""

    own_direction: ClassVar[bool] = True

    def chance(self, steps: int, terms: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        """One of the k terms for each step, (steps, k): k where it is drawn, else 0."""
        return {"drawn": terms * np.eye(terms)[rng.integers(terms, size=steps)]}

    def direction(self, gradients: Any, weights: Any, state: State, chance: Any, xp: Any) -> Any:
        """The gradient (P,) of the term that is drawn."""
        return (weights * chance["drawn"]) @ gradients
