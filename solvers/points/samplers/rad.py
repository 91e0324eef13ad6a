"""Residual-based adaptive distribution, RAD (Wu, Zhu, Tan, Kartha and Lu 2023, arXiv 2207.10289)."""

from dataclasses import dataclass

import numpy as np

from solvers.points.samplers._by_residual import chosen_by_residual
from solvers.points.samplers.base import Field
from solvers.points.samplers.uniform import Uniform

__all__ = ["Rad"]


@dataclass(frozen=True)
class Rad(Uniform):
    """Uniform at first; every ``every`` iterations of a first-order optimizer, and before a stage of another one
    if so many have been made, all ``count`` points anew out of ``candidates`` uniform ones, none twice, with a
    probability in proportion to |r|^``power`` / mean |r|^``power`` + ``offset``.

    ``power``, ``offset`` and ``candidates`` are the paper's. A residual of one size
    everywhere leaves the points uniform.
    """

    every: int = 1000
    candidates: int = 100_000
    power: float = 1.0
    offset: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("every", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if not (self.power >= 0 and self.offset >= 0):
            raise ValueError(f"power {self.power} and offset {self.offset} must not be negative")

    @property
    def refresh_every(self) -> int | None:
        """``every``."""
        return self.every

    def refresh(
        self, points: np.ndarray, lower: np.ndarray, upper: np.ndarray, residual: Field, rng: np.random.Generator
    ) -> np.ndarray:
        """The new points (N, d), out of at least N candidates."""
        candidates = self.draw(lower, upper, max(self.candidates, len(points)), rng)
        return chosen_by_residual(candidates, len(points), residual, self.power, self.offset, rng)
