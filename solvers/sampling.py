"""Points of a loss term: nodes of a uniform grid, or a Latin hypercube sample."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import qmc

from problems.base import Equation, Problem

__all__ = ["STRATEGIES", "sample", "squeeze", "uniform_grid"]


def uniform_grid(lower: np.ndarray, upper: np.ndarray, counts: list[int]) -> np.ndarray:
    """All nodes of a uniform grid, ends included: (prod(counts), d), last coordinate fastest; one for d = 0."""
    if not counts:
        return np.empty((1, 0))
    axes = [np.linspace(lo, hi, n) for lo, hi, n in zip(lower, upper, counts, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _grid(lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return uniform_grid(lower, upper, [count] * len(lower))


def _latin_hypercube(lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return lower + (upper - lower) * qmc.LatinHypercube(len(lower), rng=rng).random(count)


STRATEGIES: Mapping[str, Callable[..., np.ndarray]] = {"grid": _grid, "latin-hypercube": _latin_hypercube}


def squeeze(points: np.ndarray, problem: Problem, box: Mapping[str, Sequence[float]]) -> np.ndarray:
    """``points`` (N, d) of the whole domain moved into ``box``, which bounds some coordinates."""
    moved = points.copy()
    for name, (low, high) in box.items():
        i = problem.coordinates.index(name)
        least, most = problem.domain[name]
        moved[:, i] = low + (high - low) * (points[:, i] - least) / (most - least)
    return moved


def sample(equation: Equation, strategy: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points (N, d) of the equation's face (or of the whole domain), drawn by ``strategy``.

    ``count`` is the number of points, for ``grid`` the number of nodes along each free coordinate.
    """
    problem: Problem = equation.problem
    free = [i for i, name in enumerate(problem.coordinates) if name not in equation.where]
    drawn = STRATEGIES[strategy](problem.lower[free], problem.upper[free], count, rng)
    points = np.empty((len(drawn), problem.dimension))
    points[:, free] = drawn
    for name, value in equation.where.items():
        points[:, problem.coordinates.index(name)] = value
    return points
