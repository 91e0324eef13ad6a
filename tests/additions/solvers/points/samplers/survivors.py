"""Points with a large residual stay, the others are drawn anew (retain, resample, release: Daw et al. 2023)."""

from dataclasses import dataclass

import numpy as np

from solvers.points.samplers.base import Field
from solvers.points.samplers.uniform import Uniform

__all__ = ["Survivors"]


@dataclass(frozen=True)
class Survivors(Uniform):
    """Uniform at first; every ``every`` iterations points with |r| at most mean |r| give way to uniform ones."""

    every: int = 1000

    @property
    def refresh_every(self) -> int | None:
        """``every``."""
        return self.every

    def refresh(
        self, points: np.ndarray, lower: np.ndarray, upper: np.ndarray, residual: Field, rng: np.random.Generator
    ) -> np.ndarray:
        """Those that stay, then the new ones."""
        size = residual(points)
        staying = points[size > size.mean()]
        return np.concatenate([staying, self.draw(lower, upper, len(points) - len(staying), rng)])
