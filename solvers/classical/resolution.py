"""At which resolution a problem is solved: that at which the coefficients of the solution show no more."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from problems.base import Problem
from solvers.classical.collocation import Collocation, Expansion

__all__ = ["Attempt", "is_resolved", "resolved"]

FIRST, GROWTH = 16, 1.5
"""Nodes along each coordinate to begin with, and by how much they are multiplied."""
TAIL = 1e-14
"""The tail of the coefficients, over the largest, below which a coordinate is resolved."""
ROUNDING = 1e-8
"""A tail below this that more nodes do not halve is that of rounding."""
MOST_ALONG, MOST = 1200, 250_000
"""Nodes along a coordinate, and of all, at most."""


@dataclass(frozen=True)
class Attempt:
    """A resolution that was tried: nodes and tail along each coordinate, infinite where Newton's method did not
    converge, and CPU seconds."""

    nodes: tuple[int, ...]
    tails: tuple[float, ...]
    cpu_seconds: float


def resolved(problem: Problem) -> Iterator[tuple[Attempt, Expansion | None]]:
    """Solutions at growing resolutions, the last one resolved unless the largest resolution comes first.

    Along each coordinate the nodes are multiplied by :data:`GROWTH` until the tail of the coefficients is below
    :data:`TAIL`, or is that of rounding: below :data:`ROUNDING`, and not halved by the last growth. No exact
    solution is used. Raises :class:`solvers.classical.collocation.Unsuitable`.
    """
    nodes = [FIRST] * problem.dimension
    before: list[float] = [float("inf")] * problem.dimension
    while True:
        attempt, found = _attempt(problem, nodes)
        yield attempt, found
        grown = [
            int(GROWTH * count) if _grows(tail, last) else count
            for count, tail, last in zip(nodes, attempt.tails, before, strict=True)
        ]
        if grown == nodes or max(grown) > MOST_ALONG or prod(grown) > MOST:
            return
        before = list(attempt.tails)
        nodes = grown


def is_resolved(tails: Sequence[float]) -> bool:
    """Whether an expansion with these tails is as good as rounding allows."""
    return max(tails) < ROUNDING


def _grows(tail: float, before: float) -> bool:
    return tail > TAIL and not (tail < ROUNDING and tail > before / 2)


def _attempt(problem: Problem, nodes: Sequence[int]) -> tuple[Attempt, Expansion | None]:
    start = time.process_time()
    found: Expansion | None = None
    with contextlib.suppress(FloatingPointError):
        found = Collocation(problem, nodes).solve()
    tails = found.tails if found else [float("inf")] * len(nodes)
    return Attempt(tuple(nodes), tuple(tails), time.process_time() - start), found
