"""Conflict-free direction, ConFIG (Liu, Chu and Thuerey 2025, arXiv 2408.11104)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from solvers.balancing.base import TINY, State
from solvers.balancing.sum import Sum

__all__ = ["ConflictFree"]


@dataclass(frozen=True)
class ConflictFree(Sum):
    """d = (sum_i g_i . v) v with v the unit vector that has the same, positive cosine with every gradient g_i: the
    solution x of least norm of u_i . x = 1 for all i, u_i = g_i / |g_i|, made one long. The first-order optimizer
    follows d; a line search minimises the sum of the terms.
    """

    own_direction: ClassVar[bool] = True

    def direction(self, gradients: Any, weights: Any, state: State, chance: Any, xp: Any) -> Any:
        """d (P,). x is U' (U U')^+ 1, with the k unit gradients as the rows of U."""
        norms = xp.sqrt((gradients * gradients).sum(1))[:, None]
        units = gradients / (norms + TINY)
        x = xp.linalg.pinv(units @ units.T).sum(1) @ units
        unit = x / (xp.sqrt((x * x).sum()) + TINY)
        return (gradients @ unit).sum() * unit
