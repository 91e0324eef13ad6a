"""BFGS with a dense inverse Hessian, and its self-scaled variants.

Where L-BFGS keeps the last steps, this keeps the matrix: for networks of some thousand parameters its P^2 numbers
are cheap beside an evaluation, and the loss falls by many decades further.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from solvers.backends.base import Backend
from solvers.optimizers._gauss_newton import gauss_newton_inverse
from solvers.optimizers._inverse_hessian import InverseHessian, from_triangle, inverse_hessian, self_scaled
from solvers.optimizers._wolfe import Found, wolfe_step
from solvers.optimizers.base import Iterative, Memory, Objective, Step, StopReason

__all__ = ["Bfgs"]

RESTARTS = 3
"""Gauss-Newton restarts in succession, each damped more, before the identity is tried."""
MORE_DAMPED = 100.0


@dataclass(frozen=True)
class _State:
    """The inverse Hessian H, and whether it is the identity that was started from; objective and gradient (P,) of
    the iterate, ``steps`` made, and the objective from which a search guesses its first length: 1 without it."""

    matrix: InverseHessian
    identity: bool
    value: float
    gradient: np.ndarray
    previous: float | None
    steps: int

    @classmethod
    def of(cls, memory: Memory, backend: Backend) -> "_State":
        """What :meth:`memory` gave."""
        previous = float(memory["previous"])
        return cls(
            inverse_hessian(memory["inverse_hessian"], backend),
            bool(memory["identity"]),
            float(memory["value"]),
            memory["gradient"],
            None if np.isnan(previous) else previous,
            int(memory["steps"]),
        )

    def memory(self) -> Memory:
        """For the next step and for a checkpoint."""
        return {
            "inverse_hessian": self.matrix.kept,
            "identity": np.array(self.identity),
            "value": np.array(self.value),
            "gradient": self.gradient,
            "previous": np.array(np.nan if self.previous is None else self.previous),
            "steps": np.array(self.steps),
        }

    @property
    def direction(self) -> np.ndarray:
        """-H g (P,)."""
        return -self.gradient if self.identity else -self.matrix.times(self.gradient)

    def from_identity(self) -> "_State":
        """With the identity for H. The first length along it is 1 / |g|, as in SciPy's BFGS: there is no other
        scale."""
        before = self.value + float(np.linalg.norm(self.gradient)) / 2
        return replace(self, matrix=self.matrix.identity(), identity=True, previous=before)

    def after(self, found: Found, theta: np.ndarray, update: str) -> "_State":
        """After a step from ``theta`` (P,). H stays where the gradient has not grown along the step, which says
        nothing of the curvature; rounding alone brings that about."""
        s, y = found.theta - theta, found.gradient - self.gradient
        ys = float(y @ s)
        made = replace(self, value=found.value, gradient=found.gradient, previous=self.value, steps=self.steps + 1)
        if not ys > 0:
            return made
        h = y if self.identity else self.matrix.times(y)
        bent, yhy = -found.length * float(s @ self.gradient), float(y @ h)
        change = self_scaled(update, self.identity, bent, ys, yhy, len(theta))
        return replace(made, matrix=self.matrix.changed(change, s, h), identity=False)


@dataclass(frozen=True)
class Bfgs(Iterative):
    """Quasi-Newton steps with a line search for the strong Wolfe conditions (Nocedal and Wright 2006, chapter 6).

    ``update`` is that of BFGS, or of self-scaled BFGS or Broyden (Urban, Stefanou and Pons 2025). H starts as the
    identity, which the first update scales. Where no step along -H g is found, H starts anew: as the identity, or
    with ``restart: gauss-newton`` as the inverse of the Gauss-Newton matrix plus ``damping`` times its largest
    diagonal entry, which is a hundred times as much for each restart in succession. ``restart_every`` starts H
    anew after every so many iterations, too.

    Stops at ``iterations`` or ``evaluations``, when the largest gradient entry is <= ``gtol``, when
    (f_k - f_k+1) / max(|f_k|, |f_k+1|, 1) <= ``ftol`` if that is not 0, or when no restart helps. A Gauss-Newton
    restart counts as one evaluation, though it takes many times as long.

    H has 8 P^2 bytes, and a checkpoint two copies of it while it is written. H and all sums with it are float64.
    Where the stage evaluates in float32 its iterates are rounded to that, and the differences of gradients are as
    coarse: it then stalls early, and wants ``precision: float64``.
    """

    iterations: int
    evaluations: int
    update: Literal["bfgs", "ssbfgs", "ssbroyden"] = "bfgs"
    restart: Literal["identity", "gauss-newton"] = "identity"
    restart_every: int | None = None
    damping: float = 1e-10
    ftol: float = 0.0
    gtol: float = 0.0

    def __post_init__(self) -> None:
        for name in ("iterations", "evaluations", "restart_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} must be at least 1")
        if not (self.ftol >= 0 and self.gtol >= 0):
            raise ValueError(f"ftol {self.ftol} and gtol {self.gtol} must not be negative")
        if not self.damping > 0:
            raise ValueError(f"damping {self.damping} must be greater than 0")

    def bytes_for(self, parameters: int, points: int) -> int:
        """H, and for a restart the Gauss-Newton matrix and what is added to it."""
        return 8 * parameters**2 * (3 if self.restart == "gauss-newton" else 1)

    def init(self, objective: Objective, theta: np.ndarray) -> Memory:
        """``inverse_hessian`` (P, P), which steps change in place, and whether it is the ``identity``; ``value``
        and ``gradient`` (P,) of the objective, its ``previous`` value (not a number: none); ``steps`` made."""
        matrix = inverse_hessian(np.empty((len(theta), len(theta))), objective.backend)
        return _State(matrix, True, *objective(theta), None, 0).from_identity().memory()

    def step(self, objective: Objective, theta: np.ndarray, memory: Memory) -> Step:
        """One step that lowers the objective, and what it says of the curvature."""
        start = _State.of(memory, objective.backend)
        if np.abs(start.gradient).max() <= self.gtol:
            return Step(theta, memory, StopReason.GRADIENT, f"the largest gradient entry is <= {self.gtol:g}")
        for tried, state in enumerate(self._starts(objective, theta, start)):
            if tried and objective.evaluations >= self.evaluations:
                return Step(theta, memory, StopReason.EVALUATION_LIMIT, "no evaluation left for a restart")
            found = wolfe_step(objective, theta, state.value, state.gradient, state.direction, state.previous)
            if found:
                kept, decrease = state.after(found, theta, self.update).memory(), start.value - found.value
                if self.ftol > 0 and decrease <= self.ftol * max(abs(start.value), abs(found.value), 1.0):
                    return Step(found.theta, kept, StopReason.NO_DECREASE, f"the decrease is {decrease:.3g}")
                return Step(found.theta, kept)
        return Step(theta, memory, StopReason.LINE_SEARCH, "no step found, nor after a restart")

    def _starts(self, objective: Objective, theta: np.ndarray, known: _State) -> Iterator[_State]:
        """What a step is tried with, one after the other: the curvature that is known, unless it is time to start
        anew; Gauss-Newton matrices, if they are wanted; and the identity, unless it was that."""
        due = self.restart_every is not None and known.steps > 0 and known.steps % self.restart_every == 0
        if not due:
            yield known
        if self.restart == "gauss-newton":
            for i in range(RESTARTS):
                inverse = gauss_newton_inverse(objective, theta, self.damping * MORE_DAMPED**i)
                if inverse is not None:
                    matrix = from_triangle(inverse, objective.backend)
                    yield replace(known, matrix=matrix, identity=False, previous=None)
        if due or not known.identity or self.restart == "gauss-newton":
            yield known.from_identity()
