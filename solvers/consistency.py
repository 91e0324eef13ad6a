"""What the parts of a run's specification must have in common; each check names the key that breaks it."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from problems.base import Problem
from solvers import optimizers
from solvers.networks.base import parameter_count
from solvers.sampling import RESAMPLED
from solvers.trial import trial_for
from solvers.validation import KeyProblem

if TYPE_CHECKING:
    from solvers.spec import RunSpec

__all__ = ["check"]

GRIDS = ("grid", "history_grid", "field_grid")
MOST_POINTS = 10**8
MOST_PARAMETERS = 10**8
LARGEST_SIZE = 10**4
"""Beyond these no memory suffices: points of a term, nodes of a grid, parameters; width, depth of a network."""


def check(spec: "RunSpec", problem: Problem) -> None:
    """All checks; :class:`KeyProblem` for the first that fails."""
    _check_points(spec, problem)
    _check_grids(spec, problem)
    _check_groups(spec, problem)
    _check_network(spec, problem)
    try:
        trial_for(spec.trial, problem)
    except ValueError as error:
        raise KeyProblem("trial", spec.trial, str(error)) from None
    _check_balancing(spec)
    _check_resampling(spec)


def _check_points(spec: "RunSpec", problem: Problem) -> None:
    if set(spec.points) != set(problem.terms):
        raise KeyProblem("points", sorted(spec.points), f"must name just the terms {list(problem.terms)}")
    for equation in problem.equations:
        free, chosen = problem.dimension - len(equation.where), spec.points[equation.term]
        points = chosen.count**free if chosen.strategy == "grid" else chosen.count
        if points > MOST_POINTS:
            problem_is = f"gives {points} points; at most {MOST_POINTS} are allowed"
            raise KeyProblem(f"points.{equation.term}.count", chosen.count, problem_is)


def _check_grids(spec: "RunSpec", problem: Problem) -> None:
    for name in GRIDS:
        nodes = getattr(spec.evaluation, name)
        if len(nodes) != problem.dimension:
            needed = f"needs a number for each of {list(problem.coordinates)}"
            raise KeyProblem(f"evaluation.{name}", nodes, needed)
        if math.prod(nodes) > MOST_POINTS:
            raise KeyProblem(f"evaluation.{name}", nodes, f"has more than {MOST_POINTS} nodes")


def _check_groups(spec: "RunSpec", problem: Problem) -> None:
    boxes: dict[str, list[Sequence[float]]] = {}
    for name, box in spec.groups.items():
        if not box:
            raise KeyProblem(f"groups.{name}", None, f"must bound at least one of {list(problem.coordinates)}")
        for coordinate, (low, high) in box.items():
            key = f"groups.{name}.{coordinate}"
            if coordinate not in problem.coordinates:
                raise KeyProblem(key, None, f"no coordinate; allowed: {', '.join(problem.coordinates)}")
            least, most = problem.domain[coordinate]
            if not least <= low < high <= most:
                raise KeyProblem(key, [low, high], f"must be an interval within [{least}, {most}]")
        boxes[name] = [box.get(coordinate, problem.domain[coordinate]) for coordinate in problem.coordinates]
    for name, outer in _nested(boxes):
        problem_is = f"lies within group {outer}, so its part of the domain would count twice"
        raise KeyProblem(f"groups.{name}", spec.groups[name], problem_is)


def _nested(boxes: dict[str, list[Sequence[float]]]) -> Iterator[tuple[str, str]]:
    """Pairs of groups of which the first lies within the second."""
    for name, box in boxes.items():
        for other, around in boxes.items():
            sides = zip(box, around, strict=True)
            if name != other and all(b[0] <= a[0] and a[1] <= b[1] for a, b in sides):
                yield name, other


def _check_network(spec: "RunSpec", problem: Problem) -> None:
    for key, value in spec.network.items():
        if isinstance(value, int) and value > LARGEST_SIZE:
            raise KeyProblem(f"network.{key}", value, f"must be at most {LARGEST_SIZE}")
    network = spec.build_network()
    parameters = parameter_count(network.shapes(problem.dimension))
    if parameters > MOST_PARAMETERS:
        raise KeyProblem("network", None, f"has {parameters} parameters; at most {MOST_PARAMETERS} are allowed")
    try:
        network.frozen(problem.dimension, np.random.default_rng(0))
    except ValueError as error:
        raise KeyProblem("network", None, str(error)) from None


def _check_balancing(spec: "RunSpec") -> None:
    rule, terms, rng = spec.build_balancing(), dict.fromkeys(spec.terms, 1), np.random.default_rng(0)
    named = [("balancing", {})] + [(f"levels.{i}.exponents", e.exponents) for i, e in enumerate(spec.levels)]
    for key, exponents in named:
        try:
            rule.coefficients(terms, exponents, rng)
        except ValueError as error:
            raise KeyProblem(key, exponents or None, str(error)) from None
    stages = [stage["optimizer"] for level in spec.levels for stage in level.stages]
    stepping = [name for name in optimizers.names() if optimizers.load(name).takes_minibatches]
    if (rule.update_every or rule.pointwise) and not set(stages) & set(stepping):
        needed = f"changes its weights between the steps of {' or '.join(stepping)}, and no level has such a stage"
        raise KeyProblem("balancing.name", spec.balancing["name"], needed)


def _check_resampling(spec: "RunSpec") -> None:
    """Resampled points need every term, and every stage, to take fresh points at each step."""
    if not spec.resampled:
        return
    fixed = [name for name in spec.used_terms if spec.points[name].strategy != RESAMPLED]
    if fixed:
        raise KeyProblem(f"points.{fixed[0]}.strategy", None, f"must be {RESAMPLED} like that of other terms")
    if spec.build_balancing().pointwise:
        raise KeyProblem("balancing.name", spec.balancing["name"], f"needs points that are not {RESAMPLED}")
    for i, level in enumerate(spec.levels):
        for stage in level.stages:
            if not optimizers.load(stage["optimizer"]).takes_minibatches:
                problem_is = f"{stage['optimizer']} needs points that are not {RESAMPLED}"
                raise KeyProblem(f"levels.{i}.stages", None, problem_is)
