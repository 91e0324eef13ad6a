"""From equations to collocation points: drawn by a sampler, split by a grouping; mini-batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from problems.base import Equation
from solvers.model.terms import CollocationPoints, Model, Term, build_terms, constraint_arrays
from solvers.points.groupings import Grouping
from solvers.points.samplers import Sampler
from solvers.points.samplers.base import Field

__all__ = ["Minibatches", "PointSets", "PointSource", "sample"]

Residual = Callable[[Equation, np.ndarray], np.ndarray]


def sample(equation: Equation, sampler: Sampler, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points (N, d) of the equation's face (or of the whole domain), drawn by ``sampler``.

    N follows from ``count`` (:meth:`Sampler.draw`); a face without free coordinates gives the same point ``count``
    times.
    """
    problem = equation.problem
    free = [i for i, name in enumerate(problem.coordinates) if name not in equation.where]
    drawn = sampler.draw(problem.lower[free], problem.upper[free], count, rng) if free else np.empty((count, 0))
    return _on_face(equation, drawn)


def _on_face(equation: Equation, drawn: np.ndarray) -> np.ndarray:
    """Points (N, d) from their free coordinates."""
    problem = equation.problem
    points = np.empty((len(drawn), problem.dimension))
    points[:, [i for i, name in enumerate(problem.coordinates) if name not in equation.where]] = drawn
    for name, value in equation.where.items():
        points[:, problem.coordinates.index(name)] = value
    return points


def _no_residual(points: np.ndarray) -> np.ndarray:
    raise LookupError("the residual is known only where the run's first points are split")


@dataclass(frozen=True)
class PointSource:
    """Draws the points of one equation, from a generator of its own, and splits them if a ``grouping`` is given;
    ``residual`` is the absolute residual of the untrained network."""

    equation: Equation
    sampler: Sampler
    rng: np.random.Generator
    grouping: Grouping | None = None
    residual: Field = _no_residual

    def points(self, batches: int = 1) -> np.ndarray:
        """So many batches of the sampler's count of points, one after the other; of one if the face is a point."""
        problem = self.equation.problem
        count = self.sampler.count if set(problem.coordinates) - set(self.equation.where) else 1
        return sample(self.equation, self.sampler, count * batches, self.rng)

    def draw(self, batches: int = 1) -> list[CollocationPoints]:
        """So many batches of :meth:`points`, by the terms they count towards."""
        return self.split(self.points(batches))

    def refreshed(self, points: np.ndarray, residual: Residual) -> np.ndarray:
        """The sampler's choice after ``points`` (N, d); ``residual`` as in :meth:`PointSets.refresh`."""
        problem = self.equation.problem
        free = [i for i, name in enumerate(problem.coordinates) if name not in self.equation.where]

        def on_face(drawn: np.ndarray) -> np.ndarray:
            return residual(self.equation, _on_face(self.equation, drawn))

        lower, upper = problem.lower[free], problem.upper[free]
        return _on_face(self.equation, self.sampler.refresh(points[:, free], lower, upper, on_face, self.rng))

    def split(self, points: np.ndarray) -> list[CollocationPoints]:
        """``points`` (N, d) by the terms they count towards."""
        if self.grouping is None:
            return [CollocationPoints(self.equation.term, self.equation, points)]
        split = self.grouping.split(points, self.equation.problem, self.residual)
        return [
            CollocationPoints(f"{self.equation.term}.{name}", self.equation, own) for name, own in split.items()
        ]


class PointSets:
    """The points of all equations of a run, as they are now; samplers that ask for it choose theirs anew on the
    way."""

    def __init__(self, sources: Sequence[PointSource]) -> None:
        self.sources = list(sources)
        self._drawn = [source.points() for source in self.sources]

    def collocation(self) -> list[CollocationPoints]:
        """What the loss terms are built of."""
        return [group for s, points in zip(self.sources, self._drawn, strict=True) for group in s.split(points)]

    def terms(self) -> tuple[Term, ...]:
        """The loss terms over the points."""
        return build_terms(self.collocation())

    @property
    def periods(self) -> list[int]:
        """The numbers of iterations after which samplers choose anew, if any do."""
        return sorted({s.sampler.refresh_every for s in self.sources if s.sampler.refresh_every})

    @property
    def generators(self) -> list[np.random.Generator]:
        """What the points are drawn with."""
        return [source.rng for source in self.sources]

    def refresh(self, due: Callable[[int], bool], residual: Residual) -> None:
        """Let the samplers choose anew whose period is ``due``; ``residual(equation, points)`` is
        |operator(u) - target| (N,) of the network as it is now."""
        for i, source in enumerate(self.sources):
            every = source.sampler.refresh_every
            if every and due(every):
                self._drawn[i] = source.refreshed(self._drawn[i], residual)

    def state(self) -> dict[str, np.ndarray]:
        """For a checkpoint: the points that can have changed."""
        return {str(i): self._drawn[i] for i, s in enumerate(self.sources) if s.sampler.refresh_every}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what :meth:`state` gave."""
        for name, points in arrays.items():
            self._drawn[int(name)] = points


@dataclass(frozen=True)
class Minibatches:
    """Fresh points of every term for each step, the same however many steps are drawn at a time."""

    model: Model
    sources: Sequence[PointSource]

    @property
    def generators(self) -> list[np.random.Generator]:
        """What the points are drawn with."""
        return [source.rng for source in self.sources]

    def draw(self, steps: int) -> list[list[dict[str, np.ndarray]]]:
        """By term and constraint: what :func:`~solvers.model.terms.constraint_arrays` gives, step by step."""
        terms = build_terms([group for source in self.sources for group in source.draw(steps)])
        return [
            [_by_step(constraint_arrays(self.model, own), own.sizes, steps) for own in term.constraints]
            for term in terms
        ]


def _by_step(arrays: Mapping[str, np.ndarray], sizes: Sequence[int], steps: int) -> dict[str, np.ndarray]:
    """Rows face by face, each face step by step, reordered to (steps, rows of all faces, ...)."""
    faces = np.cumsum(sizes)[:-1]

    def reorder(array: np.ndarray) -> np.ndarray:
        parts = np.split(array, faces)
        return np.concatenate([part.reshape(steps, -1, *array.shape[1:]) for part in parts], axis=1)

    counts = [size // steps for size in sizes]
    weight = np.tile(np.repeat(1.0 / np.array(counts), counts), (steps, 1))
    return {name: reorder(array) for name, array in arrays.items()} | {"weight": weight}
