"""Errors of a prediction against the solution, exact or computed, on a uniform grid."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from problems.base import Problem
from solvers.sampling import uniform_grid

__all__ = ["Errors", "grid_errors"]

Predict = Callable[[np.ndarray], np.ndarray]
POINTS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Errors:
    """Relative L2 error ||u* - u|| / ||u*||, mean and maximum of |u* - u|, over all nodes of a grid."""

    rel_l2: float
    mean_absolute: float
    maximum: float


def _slabs(problem: Problem, counts: Sequence[int]) -> Iterator[np.ndarray]:
    """The grid in slabs along the first coordinate, so that a grid of 16 million nodes fits the memory."""
    first = np.linspace(problem.lower[0], problem.upper[0], counts[0])
    rest = uniform_grid(problem.lower[1:], problem.upper[1:], list(counts[1:]))
    rows = max(1, POINTS_AT_ONCE // len(rest))
    for start in range(0, len(first), rows):
        part = first[start : start + rows]
        yield np.hstack([np.repeat(part, len(rest))[:, None], np.tile(rest, (len(part), 1))])


def grid_errors(problem: Problem, predict: Predict, counts: Sequence[int]) -> Errors:
    """Errors of ``predict`` (points (N, d) -> (N,)) on the uniform grid with ``counts`` nodes a coordinate."""
    squares = reference = total = largest = 0.0
    nodes = 0
    for points in _slabs(problem, counts):
        solution = problem.solution(points)
        error = np.abs(solution - np.asarray(predict(points), dtype=float))
        squares += float(error @ error)
        reference += float(solution @ solution)
        total += float(error.sum())
        largest = float(np.maximum(largest, error.max()))
        nodes += len(points)
    return Errors(float(np.sqrt(squares / reference)), total / nodes, largest)
