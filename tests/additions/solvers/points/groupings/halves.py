"""Groups by the halves of a coordinate's interval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from problems.base import Problem
from solvers.points.groupings.base import Grouping
from solvers.points.samplers.base import Field

__all__ = ["Halves"]


@dataclass(frozen=True)
class Halves(Grouping):
    """The points below the middle of ``coordinate``, and the others."""

    coordinate: str

    @property
    def groups(self) -> tuple[str, ...]:
        """first, second."""
        return "first", "second"

    def split(self, points: np.ndarray, problem: Problem, residual: Field) -> Mapping[str, np.ndarray]:
        """The points of each half."""
        low, high = problem.domain[self.coordinate]
        first = points[:, problem.coordinates.index(self.coordinate)] < (low + high) / 2
        return {"first": points[first], "second": points[~first]}
