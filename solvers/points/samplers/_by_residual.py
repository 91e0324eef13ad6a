"""Points drawn with a probability that follows the residual, for adaptive samplers."""

import numpy as np

from solvers.points.samplers.base import Field

__all__ = ["chosen_by_residual"]

LEAST = 1e-30
"""Of the largest probability: with a residual of zero a point is chosen only once there is no other left."""


def chosen_by_residual(
    candidates: np.ndarray, count: int, residual: Field, power: float, offset: float, rng: np.random.Generator
) -> np.ndarray:
    """``count`` of the ``candidates`` (M, d), none twice, with a probability in proportion to

        |r|^power / mean |r|^power + offset

    (Wu, Zhu, Tan, Kartha and Lu 2023). Where r is not finite, as of a network that has diverged, it
    counts as zero; where it is zero everywhere all are equally probable.
    """
    size = np.nan_to_num(residual(candidates).astype(float), nan=0.0, posinf=0.0, neginf=0.0)
    relative = (size / (size.max() or 1.0)) ** power
    density = relative / (relative.mean() or 1.0) + offset
    density = np.maximum(density, LEAST * (density.max() or 1.0))
    return candidates[rng.choice(len(candidates), count, replace=False, p=density / density.sum())]
