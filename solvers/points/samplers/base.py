"""What a sampler must give: points at the start, and new ones later if it wants."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

__all__ = ["Field", "Sampler"]

Field = Callable[[np.ndarray], np.ndarray]
"""A function of points (N, d) with values (N,), such as the absolute residual of the equation."""


@dataclass(frozen=True)
class Sampler(ABC):
    """Draws the points of one equation on the box that its free coordinates span.

    A subclass is a dataclass of its settings. ``count`` is the number of points; a sampler on a grid may take it
    for the number of nodes along each coordinate (:meth:`size`).
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    count: int

    each_step: ClassVar[bool] = False
    """Whether every step of a first-order optimizer takes points of its own (mini-batches)."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count {self.count} must be at least 1")

    @property
    def refresh_every(self) -> int | None:
        """Iterations between two calls of :meth:`refresh`; ``None``: never."""
        return None

    def size(self, free: int) -> int:
        """Number of points on a face with so many free coordinates."""
        return self.count

    @abstractmethod
    def draw(self, lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Points (N, d) between the corners ``lower`` and ``upper`` (d,); N follows from ``count``."""

    def refresh(
        self, points: np.ndarray, lower: np.ndarray, upper: np.ndarray, residual: Field, rng: np.random.Generator
    ) -> np.ndarray:
        """New points (N, d), as many as the old ones; ``residual`` gives |operator(u) - target| of the network as
        it is now at any points of the face. By default the old points."""
        return points
