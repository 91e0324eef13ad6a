"""Nodes of a uniform grid."""

from dataclasses import dataclass

import numpy as np

from solvers.points.grids import uniform_grid
from solvers.points.samplers.base import Sampler

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid(Sampler):
    """All nodes of a uniform grid with ``count`` nodes along each free coordinate, ends included."""

    def size(self, free: int) -> int:
        """The product of the nodes along each coordinate."""
        return self.count**free

    def draw(self, lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """The nodes; nothing is drawn."""
        return uniform_grid(lower, upper, [count] * len(lower))
