"""Points drawn uniformly and independently."""

from dataclasses import dataclass

import numpy as np

from solvers.points.samplers.base import Sampler

__all__ = ["Uniform"]


@dataclass(frozen=True)
class Uniform(Sampler):
    """``count`` independent points, uniform on the box."""

    def draw(self, lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """The points, coordinate by coordinate of each point."""
        return lower + (upper - lower) * rng.random((count, len(lower)))
