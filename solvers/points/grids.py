"""Uniform grids."""

from collections.abc import Sequence

import numpy as np

__all__ = ["uniform_grid"]


def uniform_grid(lower: np.ndarray, upper: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """All nodes of a uniform grid, ends included: (prod(counts), d), last coordinate fastest; one for d = 0."""
    if not counts:
        return np.empty((1, 0))
    axes = [np.linspace(lo, hi, n) for lo, hi, n in zip(lower, upper, counts, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
