"""PCGrad: each gradient without what is against the others (Yu et al. 2020, arXiv 2001.06782, algorithm 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import TINY, State
from solvers.balancing.sum import Sum

__all__ = ["Pcgrad"]


@dataclass(frozen=True)
class Pcgrad(Sum):
    """d = sum_i h_i. h_i is g_i, the gradient of lambda_i L_i, and then, for every other j in random order,

        h_i <- h_i - (h_i . g_j) / |g_j|^2 g_j    if h_i . g_j < 0.

    The first-order optimizer follows d; a line search minimises the sum of the terms. Where no two gradients are
    against each other d is the sum's gradient.
    """

    own_direction: ClassVar[bool] = True

    def chance(self, steps: int, terms: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        """For each step and term the others in random order, (steps, k, k - 1)."""
        others = np.array([[j for j in range(terms) if j != i] for i in range(terms)], dtype=int)
        return {"order": rng.permuted(np.broadcast_to(others, (steps, *others.shape)), axis=2)}

    def direction(self, gradients: Any, weights: Any, state: State, chance: Any, xp: Any) -> Any:
        """d (P,)."""
        given = weights[:, None] * gradients
        total = xp.zeros_like(given[0])
        for i in range(len(given)):
            own = given[i]
            for n in range(len(given) - 1):
                other = given[chance["order"][i, n]]
                against = (own @ other).clip(max=0.0)
                own = own - against / (other @ other + TINY) * other
            total = total + own
        return total
