"""Boxes found by a regression tree on the residual of the untrained network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from problems.base import Problem
from solvers.plugins import KeyProblem
from solvers.points.groupings.base import Grouping
from solvers.points.groupings.boxes import fill
from solvers.points.samplers.base import Field

__all__ = ["Tree", "grow"]

CELLS = {1: (32, 8), 2: (32, 8), 3: (16, 2)}
"""By number of coordinates: into how many cells each is divided, and of how many midpoints along it a cell's mean
square is made: 256 points, 65,536 or 32,768."""
FLOOR = 1e-3
"""Of the mean over all cells, added to each: cells whose residual is nearly zero differ by decades that mean
nothing."""
AT_ONCE = 4096
"""Points at which the residual is computed at a time."""
NARROWEST = 2
"""Cells across a box, at least."""
Block = tuple[tuple[int, int], ...]
"""First cell and end along each coordinate."""


@dataclass(frozen=True)
class Tree(Grouping):
    """``count`` boxes that share no point, called ``g1`` to ``g<count>`` from the smallest mean residual to the
    largest: the leaves of a regression tree, grown best first, on the logarithm of the mean square residual of
    the untrained network in each cell of a grid. As with :class:`~solvers.points.groupings.boxes.Boxes`, every
    box gets as many points as are drawn for the domain, or, ``divided``, its share of them."""

    count: int = 3
    divided: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 16:
            raise ValueError(f"count {self.count} must lie in [1, 16]")

    @property
    def groups(self) -> tuple[str, ...]:
        """g1, g2, ..."""
        return tuple(f"g{i + 1}" for i in range(self.count))

    @property
    def takes_minibatches(self) -> bool:
        """Unless ``divided``: every point of a step is then in every box."""
        return not self.divided

    def check(self, problem: Problem) -> None:
        """The grid of cells must have as many boxes, and there is one for up to three coordinates."""
        if problem.dimension not in CELLS:
            raise KeyProblem("name", "tree", f"is for at most {max(CELLS)} coordinates, not {problem.dimension}")

    def split(self, points: np.ndarray, problem: Problem, residual: Field) -> Mapping[str, np.ndarray]:
        """The draw squeezed into the boxes."""
        found = _boxes(problem, residual, self.count)
        return fill(points, problem, dict(zip(self.groups, found, strict=True)), self.divided)


@lru_cache(maxsize=8)
def _boxes(problem: Problem, residual: Field, count: int) -> list[dict[str, tuple[float, float]]]:
    """The intervals of each box, by coordinate; once for all draws of a run."""
    cells, midpoints = CELLS[problem.dimension]
    fine = (np.arange(cells * midpoints) + 0.5) / (cells * midpoints)
    unit = np.stack(np.meshgrid(*[fine] * problem.dimension, indexing="ij"), axis=-1)
    points = problem.lower + (problem.upper - problem.lower) * unit.reshape(-1, problem.dimension)
    # In parts: the arrays of a network's layers have a row for each point.
    parts = np.array_split(points, max(1, len(points) // AT_ONCE))
    squares = np.concatenate([residual(part) for part in parts]).astype(float) ** 2
    axes = tuple(range(1, 2 * problem.dimension, 2))
    means = squares.reshape([cells, midpoints] * problem.dimension).mean(axis=axes)
    levels = np.log10(means + FLOOR * means.mean() + np.finfo(float).tiny)
    edges = [np.linspace(low, high, cells + 1) for low, high in problem.domain.values()]
    return [
        {
            name: (float(edge[start]), float(edge[stop]))
            for name, edge, (start, stop) in zip(problem.coordinates, edges, block, strict=True)
        }
        for block in grow(levels, count)
    ]


def grow(levels: np.ndarray, count: int) -> list[Block]:
    """Blocks of an array, ``count`` in all, that have no cell in common and leave none out, by rising mean. Always
    the split is made that lowers the sum of squared distances from the blocks' means most.

    Like the trees of scikit-learn with ``max_leaf_nodes``, which would be a dependency of every run for this.
    """
    blocks: list[Block] = [tuple((0, size) for size in levels.shape)]
    while len(blocks) < count:
        splits = [_best_split(levels, block) for block in blocks]
        gain, parts = max(splits, key=lambda split: split[0])
        if not parts:
            raise ValueError(f"the grid {levels.shape} has no {count} boxes")
        at = splits.index((gain, parts))
        blocks[at : at + 1] = parts
    return sorted(blocks, key=lambda block: float(_cut(levels, block).mean()))


def _cut(levels: np.ndarray, block: Block) -> np.ndarray:
    return levels[tuple(slice(*side) for side in block)]


def _best_split(levels: np.ndarray, block: Block) -> tuple[float, Sequence[Block]]:
    """What the best split of a block gains, and its parts; none if it is too narrow."""
    whole = _scatter(_cut(levels, block))
    best: tuple[float, Sequence[Block]] = (-1.0, ())
    for axis, (start, stop) in enumerate(block):
        for at in range(start + NARROWEST, stop - NARROWEST + 1):
            parts = [(*block[:axis], side, *block[axis + 1 :]) for side in ((start, at), (at, stop))]
            gain = whole - sum(_scatter(_cut(levels, part)) for part in parts)
            if gain > best[0]:
                best = gain, parts
    return best


def _scatter(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 2).sum())
