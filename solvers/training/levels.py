"""Levels and stages: what the training loop goes through, and the backends it goes through them with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from solvers.backends.base import Backend
from solvers.balancing import Balancing
from solvers.model.terms import Term
from solvers.optimizers import Optimizer
from solvers.training.objective import IDENTITY, Transform

__all__ = ["Backends", "Level", "Stage"]


@dataclass(frozen=True)
class Stage:
    """One optimizer with its budget; the transform of the objective; its precision, if not the run's."""

    name: str
    optimizer: Optimizer
    transform: Transform = IDENTITY
    precision: str | None = None


@dataclass(frozen=True)
class Level:
    """One level of the multi-level training: its balancing rule, and its optimizer stages."""

    balancing: Balancing
    stages: Sequence[Stage]


class Backends:
    """One framework in every precision that the stages ask for, over the same points; ``build(precision)`` makes
    the one that is missing."""

    def __init__(self, own: Backend, build: Callable[[str], Backend] | None = None) -> None:
        self.own = self.current = own
        self._build = build
        self._made: dict[str, Backend] = {own.dtype.name: own}

    def of(self, precision: str | None) -> Backend:
        """The backend of a precision, or the run's own; from now on the ``current`` one."""
        self.current = self._of(precision or self.own.dtype.name)
        return self.current

    def _of(self, precision: str) -> Backend:
        if precision not in self._made:
            if self._build is None:
                raise LookupError(f"this run has no backend in {precision}")
            self._made[precision] = self._build(precision)
            self._made[precision].replace_points(self.own.terms)
        return self._made[precision]

    def replace_points(self, terms: tuple[Term, ...]) -> None:
        """Go on with other points of the same terms."""
        for backend in self._made.values():
            backend.replace_points(terms)
