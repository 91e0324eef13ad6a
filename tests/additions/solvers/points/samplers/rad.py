"""Residual-based adaptive distribution, RAD (Wu et al. 2023)."""

from dataclasses import dataclass

import numpy as np

from solvers.points.samplers.base import Field
from solvers.points.samplers.uniform import Uniform

__all__ = ["Rad"]


@dataclass(frozen=True)
class Rad(Uniform):
    """Uniform at first; every ``every`` iterations all points anew out of ``candidates`` uniform ones, with
    probability proportional to |r|^power / mean |r|^power + offset, none twice."""

    every: int = 1000
    candidates: int = 10_000
    power: float = 1.0
    offset: float = 1.0

    @property
    def refresh_every(self) -> int | None:
        """``every``."""
        return self.every

    def refresh(
        self, points: np.ndarray, lower: np.ndarray, upper: np.ndarray, residual: Field, rng: np.random.Generator
    ) -> np.ndarray:
        """The new points."""
        found = self.draw(lower, upper, max(self.candidates, len(points)), rng)
        size = residual(found) ** self.power
        chance = size / size.mean() + self.offset
        return found[rng.choice(len(found), len(points), replace=False, p=chance / chance.sum())]
