"""What the L-BFGS of a framework is given, whichever framework it is."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from solvers.backends.base import Array, Backend, Tree

__all__ = ["LbfgsSettings", "TracedObjective"]


class TracedObjective(Protocol):
    """An objective and its gradient for code that a backend compiles."""

    backend: Backend

    def traced(self, points: Tree, theta: Array, state: Tree) -> tuple[Array, Array]:
        """Objective and gradient (P,) in arrays of the backend."""

    @property
    def key(self) -> Hashable:
        """What :meth:`traced` depends on beside its arguments: equal keys, equal functions."""

    @property
    def state(self) -> Tree:
        """The balancing's state that :meth:`traced` wants."""


@dataclass(frozen=True)
class LbfgsSettings:
    """Pairs of steps and gradients in memory, the limit of a line search, the tolerances of the decrease and of
    the largest gradient entry; ``block``: iterations between two reports."""

    history: int
    line_search_steps: int
    ftol: float
    gtol: float
    block: int
