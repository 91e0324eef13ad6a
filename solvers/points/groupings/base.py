"""What a grouping must give: names of its groups, and the points of each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from problems.base import Problem
from solvers.points.samplers.base import Field

__all__ = ["Grouping"]


class Grouping(ABC):
    """Splits the residual's points into groups, each a loss term ``residual.<group>`` of its own (the grouping
    regularisation strategy, GRS, of arXiv 2308.06672). A subclass is a dataclass of its settings."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @property
    @abstractmethod
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, in the order of their terms; known before any point is drawn."""

    @property
    def takes_minibatches(self) -> bool:
        """Whether :meth:`split` may be given the draws of several steps one after the other: it must then keep
        their order, and give every group as many points of each step."""
        return False

    def check(self, problem: Problem) -> None:  # noqa: B027, nothing to check by default
        """Raise :class:`solvers.plugins.KeyProblem` if a setting does not fit the problem."""

    @abstractmethod
    def split(self, points: np.ndarray, problem: Problem, residual: Field) -> Mapping[str, np.ndarray]:
        """Points (n, d) of each group from the points (N, d) drawn on the whole domain. ``residual`` gives the
        absolute residual of the untrained network at any points, the same for both backends."""
