"""Residual-based adaptive refinement with distribution, RAR-D (Wu et al. 2023, arXiv 2207.10289).

A run's points keep their number, so that its compiled programs and its checkpoints fit: places wait for what is
added.
"""

from dataclasses import dataclass

import numpy as np

from solvers.points.samplers._by_residual import chosen_by_residual
from solvers.points.samplers.base import Field
from solvers.points.samplers.uniform import Uniform

__all__ = ["RarD"]


@dataclass(frozen=True)
class RarD(Uniform):
    """``count`` / 2 uniform points at first; every ``every`` iterations of a first-order optimizer, and before a
    stage of another one if so many have been made, ``added`` more (``count`` / 200 by default) out of
    ``candidates`` uniform ones, with a probability in proportion to |r|^``power`` / mean |r|^``power`` +
    ``offset``, until there are ``count``. None is taken away.

    A place that waits for a point holds a copy of one of the first: the mean over all places is that over the
    first points at the start and that over all points at the end, as published. In between a point that still has
    its copy counts twice.
    """

    every: int = 1000
    candidates: int = 100_000
    power: float = 2.0
    offset: float = 0.0
    added: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("every", "candidates", "added"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} must be at least 1")
        if not (self.power >= 0 and self.offset >= 0):
            raise ValueError(f"power {self.power} and offset {self.offset} must not be negative")

    @property
    def refresh_every(self) -> int | None:
        """``every``."""
        return self.every

    def draw(self, lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Half of the points, rounded up, and as many of them again as places are left: (count, d)."""
        first = super().draw(lower, upper, count - count // 2, rng)
        return np.concatenate([first, first[: count // 2]])

    def refresh(
        self, points: np.ndarray, lower: np.ndarray, upper: np.ndarray, residual: Field, rng: np.random.Generator
    ) -> np.ndarray:
        """The points (N, d) with new ones in the next places that wait."""
        waiting = len(points) // 2
        copies = points[len(points) - waiting :]
        taken = int(np.any(copies != points[:waiting], axis=1).sum())
        new = min(self.added or max(1, len(points) // 200), waiting - taken)
        if new == 0:
            return points
        candidates = super().draw(lower, upper, max(self.candidates, new), rng)
        chosen = chosen_by_residual(candidates, new, residual, self.power, self.offset, rng)
        start = len(points) - waiting + taken
        return np.concatenate([points[:start], chosen, points[start + new :]])
