"""PCGrad (Yu et al. 2020): each gradient without what is against the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import TINY, State
from solvers.balancing.sum import Sum

__all__ = ["Pcgrad"]


@dataclass(frozen=True)
class Pcgrad(Sum):
    """d = sum_i h_i: h_i is g_i less, for every other j in random order, its part along g_j if h_i . g_j < 0."""

    own_direction: ClassVar[bool] = True

    def chance(self, steps: int, terms: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        """For each step and term the others in random order, (steps, k, k - 1)."""
        others = np.array([[j for j in range(terms) if j != i] for i in range(terms)])
        return {"order": rng.permuted(np.broadcast_to(others, (steps, *others.shape)), axis=2)}

    def direction(self, gradients: Any, weights: Any, state: State, chance: Any, xp: Any) -> Any:
        """The sum of the projected gradients (P,)."""
        total = 0.0
        for i in range(len(gradients)):
            own = gradients[i]
            for n in range(len(gradients) - 1):
                other = gradients[chance["order"][i, n]]
                against = (own @ other).clip(max=0.0)
                own = own - against / (other @ other + TINY) * other
            total = total + own
        return total
