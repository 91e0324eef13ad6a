"""Scrambled Sobol points (Sobol 1967; Owen 1998)."""

from dataclasses import dataclass

import numpy as np

from solvers.points.samplers.base import Sampler

__all__ = ["Sobol"]


@dataclass(frozen=True)
class Sobol(Sampler):
    """The first ``count`` points of a scrambled Sobol sequence; a power of two keeps its balance."""

    def draw(self, lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """SciPy's sequence up to the next power of two, cut after ``count`` points and scaled to the box."""
        from scipy.stats import qmc  # half a second to import: only for runs that draw such points

        sequence = qmc.Sobol(len(lower), rng=rng).random_base2(int(count - 1).bit_length())
        return lower + (upper - lower) * sequence[:count]
