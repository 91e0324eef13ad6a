"""Latin hypercube sample (McKay, Beckman and Conover 1979)."""

from dataclasses import dataclass

import numpy as np

from solvers.points.samplers.base import Sampler

__all__ = ["LatinHypercube"]


@dataclass(frozen=True)
class LatinHypercube(Sampler):
    """``count`` points, one in each of ``count`` equal slices of every coordinate."""

    def draw(self, lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """SciPy's sample, scaled to the box."""
        from scipy.stats import qmc  # half a second to import: only for runs that draw such points

        return lower + (upper - lower) * qmc.LatinHypercube(len(lower), rng=rng).random(count)
