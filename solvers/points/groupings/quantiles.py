"""Groups of equal size by the residual of the untrained network."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from problems.base import Problem
from solvers.points.groupings.base import Grouping
from solvers.points.samplers.base import Field

__all__ = ["Quantiles"]


@dataclass(frozen=True)
class Quantiles(Grouping):
    """``count`` groups of equally many points, to within one: ``q1`` has those with the smallest residuals,
    ``q<count>`` those with the largest. They are no boxes, and share the points that are drawn for the domain."""

    count: int = 3

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count {self.count} must be at least 1")

    @property
    def groups(self) -> tuple[str, ...]:
        """q1, q2, ..."""
        return tuple(f"q{i + 1}" for i in range(self.count))

    def split(self, points: np.ndarray, problem: Problem, residual: Field) -> Mapping[str, np.ndarray]:
        """The points of each group."""
        parts = np.array_split(np.argsort(residual(points), kind="stable"), self.count)
        return {name: points[part] for name, part in zip(self.groups, parts, strict=True)}
