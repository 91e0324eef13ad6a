"""A prediction against the solution, exact or computed, on a uniform grid: errors and fields."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from problems.base import Problem
from solvers.points.grids import uniform_grid

__all__ = ["Errors", "fields", "grid_errors", "history_error"]

Predict = Callable[[np.ndarray], np.ndarray]
POINTS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Errors:
    """Relative L2 error ||u* - u|| / ||u*||, mean and maximum of |u* - u|, over all nodes of a grid.

    The first is not a number where u* is zero at all nodes."""

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
    relative = float(np.sqrt(squares / reference)) if reference else math.nan
    return Errors(relative, total / nodes, largest)


def history_error(problem: Problem, counts: Sequence[int]) -> Callable[[Predict], float]:
    """The relative L2 error of a ``predict`` on a grid, whose solution is computed once: for the history."""
    grid = uniform_grid(problem.lower, problem.upper, counts)
    exact = problem.solution(grid)
    size = float(np.linalg.norm(exact)) or math.nan
    return lambda predict: float(np.linalg.norm(predict(grid) - exact)) / size


def fields(problem: Problem, predict: Predict, counts: Sequence[int]) -> dict[str, np.ndarray]:
    """Coordinates (n,) by name, the solution, called ``exact`` also if it is computed, and the predicted one, both
    of shape ``counts``, on a uniform grid."""
    grid = uniform_grid(problem.lower, problem.upper, counts)
    bounds = zip(problem.coordinates, problem.lower, problem.upper, counts, strict=True)
    axes = {name: np.linspace(low, high, count) for name, low, high, count in bounds}
    shape = tuple(counts)
    return axes | {"exact": problem.solution(grid).reshape(shape), "predicted": predict(grid).reshape(shape)}
