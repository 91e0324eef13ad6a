"""Boxes chosen by hand, each filled with the whole draw: the grouping of the authors' code."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from problems.base import Problem
from solvers.plugins import KeyProblem
from solvers.points.groupings.base import Grouping
from solvers.points.samplers.base import Field

__all__ = ["Boxes", "fill", "squeeze"]

NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}"


@dataclass(frozen=True)
class Boxes(Grouping):
    """``boxes`` bound some coordinates by name: ``{inner: {x: [0.4, 0.6]}}``. Every box gets as many points as are
    drawn for the domain: the same draw, squeezed into it; or, ``divided``, its share of them."""

    boxes: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    divided: bool = False

    def __post_init__(self) -> None:
        if not self.boxes:
            raise ValueError("boxes must name at least one group")
        for name in self.boxes:
            if not re.fullmatch(NAME, name):
                raise KeyProblem(f"boxes.{name}", None, "a group's name has letters, digits and . _ + - only")

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the boxes."""
        return tuple(self.boxes)

    @property
    def takes_minibatches(self) -> bool:
        """Unless ``divided``: every point of a step is then in every box."""
        return not self.divided

    def check(self, problem: Problem) -> None:
        """Each box must bound a coordinate, lie in the domain, and not within another."""
        whole: dict[str, list[Sequence[float]]] = {}
        for name, box in self.boxes.items():
            if not box:
                raise KeyProblem(f"boxes.{name}", None, f"must bound at least one of {list(problem.coordinates)}")
            for coordinate, (low, high) in box.items():
                key = f"boxes.{name}.{coordinate}"
                if coordinate not in problem.coordinates:
                    raise KeyProblem(key, None, f"no coordinate; allowed: {', '.join(problem.coordinates)}")
                least, most = problem.domain[coordinate]
                if not least <= low < high <= most:
                    raise KeyProblem(key, [low, high], f"must be an interval within [{least}, {most}]")
            whole[name] = [box.get(coordinate, problem.domain[coordinate]) for coordinate in problem.coordinates]
        for name, outer in _nested(whole):
            problem_is = f"lies within group {outer}, so its part of the domain would count twice"
            raise KeyProblem(f"boxes.{name}", self.boxes[name], problem_is)

    def split(self, points: np.ndarray, problem: Problem, residual: Field) -> Mapping[str, np.ndarray]:
        """The draw squeezed into the boxes."""
        return fill(points, problem, self.boxes, self.divided)


def fill(
    points: np.ndarray, problem: Problem, boxes: Mapping[str, Mapping[str, Sequence[float]]], divided: bool
) -> dict[str, np.ndarray]:
    """``points`` (N, d) of the whole domain squeezed into each of k boxes: all of them into every one, or every
    k-th from another first, so that there are N in all."""
    step = len(boxes) if divided else 1
    return {
        name: squeeze(points[i::step] if divided else points, problem, box)
        for i, (name, box) in enumerate(boxes.items())
    }


def squeeze(points: np.ndarray, problem: Problem, box: Mapping[str, Sequence[float]]) -> np.ndarray:
    """``points`` (N, d) of the whole domain moved into ``box``, which bounds some coordinates."""
    moved = points.copy()
    for name, (low, high) in box.items():
        i = problem.coordinates.index(name)
        least, most = problem.domain[name]
        moved[:, i] = low + (high - low) * (points[:, i] - least) / (most - least)
    return moved


def _nested(boxes: Mapping[str, Sequence[Sequence[float]]]) -> Iterator[tuple[str, str]]:
    """Pairs of groups of which the first lies within the second."""
    for name, box in boxes.items():
        for other, around in boxes.items():
            sides = zip(box, around, strict=True)
            if name != other and all(b[0] <= a[0] and a[1] <= b[1] for a, b in sides):
                yield name, other
