"""Points of a loss term: nodes of a uniform grid, a Latin hypercube sample, or uniform mini-batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from problems.base import Equation, Problem
from solvers.terms import Model, Piece, block_arrays, build_terms

__all__ = ["RESAMPLED", "STRATEGIES", "Minibatches", "Source", "sample", "squeeze", "uniform_grid"]


def uniform_grid(lower: np.ndarray, upper: np.ndarray, counts: list[int]) -> np.ndarray:
    """All nodes of a uniform grid, ends included: (prod(counts), d), last coordinate fastest; one for d = 0."""
    if not counts:
        return np.empty((1, 0))
    axes = [np.linspace(lo, hi, n) for lo, hi, n in zip(lower, upper, counts, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _grid(lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return uniform_grid(lower, upper, [count] * len(lower))


def _latin_hypercube(lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    from scipy.stats import qmc  # half a second to import: only for runs that draw such points

    return lower + (upper - lower) * qmc.LatinHypercube(len(lower), rng=rng).random(count)


def _uniform(lower: np.ndarray, upper: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return lower + (upper - lower) * rng.random((count, len(lower)))


RESAMPLED = "resampled"
STRATEGIES: Mapping[str, Callable[..., np.ndarray]] = {
    "grid": _grid,
    "latin-hypercube": _latin_hypercube,
    RESAMPLED: _uniform,
}
"""``resampled`` draws uniform points, and new ones at every Adam step."""


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

    ``count`` is the number of points, for ``grid`` the number of nodes along each free coordinate. A face without
    free coordinates gives the same point ``count`` times.
    """
    problem: Problem = equation.problem
    free = [i for i, name in enumerate(problem.coordinates) if name not in equation.where]
    draw = STRATEGIES[strategy]
    drawn = draw(problem.lower[free], problem.upper[free], count, rng) if free else np.empty((count, 0))
    points = np.empty((len(drawn), problem.dimension))
    points[:, free] = drawn
    for name, value in equation.where.items():
        points[:, problem.coordinates.index(name)] = value
    return points


@dataclass(frozen=True)
class Source:
    """Draws the points of one equation, from a generator of its own; ``groups`` are boxes by name, each of which
    gets the same draw, squeezed into it (the grouping of the authors' code)."""

    equation: Equation
    strategy: str
    count: int
    rng: np.random.Generator
    groups: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)

    def draw(self, batches: int = 1) -> list[Piece]:
        """``batches`` times ``count`` points, batch after batch; on a face that is a point, one each."""
        free = set(self.equation.problem.coordinates) - set(self.equation.where)
        count = self.count if free else 1
        points = sample(self.equation, self.strategy, count * batches, self.rng)
        if not self.groups:
            return [Piece(self.equation.term, self.equation, points)]
        problem = self.equation.problem
        return [
            Piece(f"{self.equation.term}.{name}", self.equation, squeeze(points, problem, box))
            for name, box in self.groups.items()
        ]


@dataclass(frozen=True)
class Minibatches:
    """Fresh points of every term for each step, the same however many steps are drawn at a time."""

    model: Model
    sources: Sequence[Source]

    @property
    def generators(self) -> list[np.random.Generator]:
        """What the points are drawn with."""
        return [source.rng for source in self.sources]

    def draw(self, steps: int) -> list[list[dict[str, np.ndarray]]]:
        """By term and block: the arrays of :func:`solvers.terms.block_arrays` with a leading axis of steps."""
        terms = build_terms([piece for source in self.sources for piece in source.draw(steps)])
        return [[_by_step(block_arrays(self.model, b), b.sizes, steps) for b in term.blocks] for term in terms]


def _by_step(arrays: Mapping[str, np.ndarray], sizes: Sequence[int], steps: int) -> dict[str, np.ndarray]:
    """Rows face by face, each face step by step, reordered to (steps, rows of all faces, ...)."""
    faces = np.cumsum(sizes)[:-1]

    def reorder(array: np.ndarray) -> np.ndarray:
        parts = np.split(array, faces)
        return np.concatenate([part.reshape(steps, -1, *array.shape[1:]) for part in parts], axis=1)

    counts = [size // steps for size in sizes]
    weight = np.tile(np.repeat(1.0 / np.array(counts), counts), (steps, 1))
    return {name: reorder(array) for name, array in arrays.items()} | {"weight": weight}
