"""Which classical solver a problem gets: the one it states, the one that computes its reference, or
collocation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from problems.base import Problem, ReferenceProblem, Solution
from solvers.classical import resolution
from solvers.classical.collocation import Expansion, Unsuitable
from solvers.classical.resolution import Attempt, is_resolved, resolved

__all__ = ["Classical", "Outcome", "Solver", "StatesFloor", "classical", "settings_of", "solver_of"]

Outcome = Literal["finished", "unresolved", "failed", "none"]
Solver = Literal["stated", "reference", "collocation"]


@runtime_checkable
class StatesFloor(Protocol):
    """A problem that has a classical solver of its own."""

    def floor(self) -> Solution:
        """Solves the problem; the result maps points (N, d) to float64 (N,)."""


@dataclass(frozen=True)
class Classical:
    """What a classical solver came to. ``solution`` is what is compared with the problem's, if there is one.

    ``finished``: as good as rounding, or the solver, allows; ``unresolved``: the largest resolution was not
    enough; ``failed``: the solver raised an error; ``none``: no solver knows such a problem. ``attempts`` are the
    resolutions of a collocation.
    """

    status: Outcome
    reason: str
    solution: Solution | None = None
    attempts: tuple[Attempt, ...] = ()


def solver_of(problem: Problem) -> Solver:
    """``stated``: the problem's method ``floor``; ``reference``: the computation of its reference solution;
    ``collocation``: :mod:`solvers.classical.collocation`."""
    if isinstance(problem, StatesFloor):
        return "stated"
    return "reference" if isinstance(problem, ReferenceProblem) else "collocation"


def settings_of(solver: Solver, problem: Problem) -> Mapping[str, float]:
    """What the solver's result depends on beside the problem."""
    if solver == "reference":
        assert isinstance(problem, ReferenceProblem)
        return {"resolution": problem.resolution}
    if solver == "collocation":
        names = ("FIRST", "GROWTH", "TAIL", "ROUNDING", "MOST_ALONG", "MOST")
        return {name.lower(): getattr(resolution, name) for name in names}
    return {}


def classical(problem: Problem) -> Classical:
    """Solve the problem, once; what is left for the measurement of its error is the ``solution``.

    A reference solution has no other to be compared with than itself: what its solver comes to is that at twice
    the resolution, which is computed when it is asked for, so that the difference is an estimate of its error.
    """
    solve: Mapping[Solver, Callable[[Any], Classical]] = {
        "stated": lambda stating: Classical("finished", "the problem's own solver", stating.floor()),
        "reference": _reference,
        "collocation": _collocation,
    }
    try:
        return solve[solver_of(problem)](problem)
    except Unsuitable as error:
        return Classical("none", str(error))
    except Exception as error:
        return Classical("failed", f"{type(error).__name__}: {' '.join(str(error).split())}")


def _reference(problem: ReferenceProblem) -> Classical:
    problem.reference(problem.resolution)
    finer = cache(lambda: problem.reference(2 * problem.resolution))

    def solution(points: np.ndarray) -> np.ndarray:
        return finer()(points)

    reason = f"the reference of resolution {problem.resolution}, against that of twice the resolution"
    return Classical("finished", reason, solution)


def _collocation(problem: Problem) -> Classical:
    attempts: list[Attempt] = []
    found: Expansion | None = None
    for attempt, expansion in resolved(problem):
        attempts.append(attempt)
        found = expansion or found
    nodes = " x ".join(map(str, attempts[-1].nodes))
    if found is None:
        reason = f"Newton's method did not converge, with {nodes} nodes at last"
        return Classical("failed", reason, None, (*attempts,))
    if not is_resolved(attempts[-1].tails):
        return Classical("unresolved", f"not resolved by {nodes} nodes", found, (*attempts,))
    return Classical("finished", f"{nodes} nodes", found, (*attempts,))
