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
    """``count`` groups, from the points with the smallest residuals to those with the largest."""

    count: int = 3

    @property
    def groups(self) -> tuple[str, ...]:
        """q1, q2, ..."""
        return tuple(f"q{i + 1}" for i in range(self.count))

    def split(self, points: np.ndarray, problem: Problem, residual: Field) -> Mapping[str, np.ndarray]:
        """The points of each group."""
        parts = np.array_split(np.argsort(residual(points), kind="stable"), self.count)
        return {name: points[part] for name, part in zip(self.groups, parts, strict=True)}
