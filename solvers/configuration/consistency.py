"""What the parts of a run's specification must have in common; each check names the key that breaks it."""

import math
from typing import TYPE_CHECKING

import numpy as np

from problems.base import ExactProblem, Problem
from solvers import optimizers
from solvers.balancing._located import Located
from solvers.model.networks.base import parameter_count
from solvers.model.trial import trial_for
from solvers.plugins import KeyProblem
from solvers.points import samplers
from solvers.points.grids import uniform_grid

if TYPE_CHECKING:
    from solvers.configuration.spec import RunSpec

__all__ = ["check"]

GRIDS = ("grid", "history_grid", "field_grid")
MOST_POINTS = 10**8
MOST_PARAMETERS = 10**8
LARGEST_SIZE = 10**4
"""Beyond these no memory suffices: points of a term, nodes of a grid, parameters; width, depth of a network."""
MOST_OPTIMIZER_BYTES = 16 * 2**30
"""What an optimizer may keep, wherever it runs; what the machine has is asked before training."""
COARSE = 4
"""With so few nodes along a coordinate all nodes may lie where the solution is zero."""
FEW_NODES = 10_000
ROUNDING = 1e-12


def check(spec: "RunSpec", problem: Problem) -> None:
    """All checks; :class:`KeyProblem` for the first that fails."""
    _check_points(spec, problem)
    _check_grids(spec, problem)
    _check_grouping(spec, problem)
    _check_network(spec, problem)
    try:
        trial_for(spec.trial, problem)
    except ValueError as error:
        raise KeyProblem("trial", spec.trial, str(error)) from None
    _check_balancing(spec, problem)
    _check_stages(spec, problem)
    _check_resampling(spec)
    _check_matrices(spec, problem)


def _check_points(spec: "RunSpec", problem: Problem) -> None:
    if set(spec.points) != set(problem.terms):
        raise KeyProblem("points", sorted(spec.points), f"must name just the terms {list(problem.terms)}")
    for equation in problem.equations:
        sampler = spec.build_sampler(equation.term)
        points = sampler.size(problem.dimension - len(equation.where))
        if points > MOST_POINTS:
            problem_is = f"gives {points} points; at most {MOST_POINTS} are allowed"
            raise KeyProblem(f"points.{equation.term}.count", sampler.count, problem_is)


def _check_grids(spec: "RunSpec", problem: Problem) -> None:
    for name in GRIDS:
        nodes = getattr(spec.evaluation, name)
        if len(nodes) != problem.dimension:
            needed = f"needs a number for each of {list(problem.coordinates)}"
            raise KeyProblem(f"evaluation.{name}", nodes, needed)
        if math.prod(nodes) > MOST_POINTS:
            raise KeyProblem(f"evaluation.{name}", nodes, f"has more than {MOST_POINTS} nodes")
        if _is_zero(problem, nodes):
            needed = "the solution is zero at all of its nodes, which leaves no relative error: needs more of them"
            raise KeyProblem(f"evaluation.{name}", nodes, needed)


def _is_zero(problem: Problem, nodes: list[int]) -> bool:
    """Whether a coarse grid sees nothing of the exact solution."""
    if not isinstance(problem, ExactProblem) or min(nodes) > COARSE or math.prod(nodes) > FEW_NODES:
        return False
    return not np.any(np.abs(problem.solution(uniform_grid(problem.lower, problem.upper, nodes))) > ROUNDING)


def _check_grouping(spec: "RunSpec", problem: Problem) -> None:
    if grouping := spec.build_grouping():
        try:
            grouping.check(problem)
        except KeyProblem as error:
            raise KeyProblem(f"grouping.{error.key}", error.value, error.problem) from None
        sampler = spec.points[problem.residual.term]["strategy"]
        if samplers.load(sampler).each_step and not grouping.takes_minibatches:
            having = f"cannot split the fresh points of every step that {sampler} draws"
            raise KeyProblem("grouping", spec.grouping, f"{having}; boxes and tree can, unless divided")


def _check_network(spec: "RunSpec", problem: Problem) -> None:
    for key, value in spec.network.items():
        if isinstance(value, int) and value > LARGEST_SIZE:
            raise KeyProblem(f"network.{key}", value, f"must be at most {LARGEST_SIZE}")
    try:
        network = spec.build_network()
    except KeyProblem as error:
        raise KeyProblem(f"network.{error.key}", error.value, error.problem) from None
    parameters = parameter_count(network.shapes(problem.dimension))
    if parameters > MOST_PARAMETERS:
        raise KeyProblem("network", None, f"has {parameters} parameters; at most {MOST_PARAMETERS} are allowed")
    try:
        network.frozen(problem.dimension, np.random.default_rng(0))
    except ValueError as error:
        raise KeyProblem("network", None, str(error)) from None
    _check_history(spec, parameters)


def _check_history(spec: "RunSpec", parameters: int) -> None:
    """The memory of an optimizer that keeps its last steps: two vectors each, and products between all of them."""
    for i, level in enumerate(spec.levels):
        for j, stage in enumerate(level.stages):
            kept = stage.get("history")
            if not isinstance(kept, int):
                continue
            needed = 8 * (2 * kept * parameters + 11 * kept**2)
            if needed > MOST_OPTIMIZER_BYTES:
                allowed = f"at most {MOST_OPTIMIZER_BYTES / 2**30:g} GiB are allowed"
                problem_is = f"needs {needed / 2**30:.3g} GiB with {parameters} parameters; {allowed}"
                raise KeyProblem(f"levels.{i}.stages.{j}.history", kept, problem_is)


def _check_matrices(spec: "RunSpec", problem: Problem) -> None:
    """The memory of an optimizer that keeps matrices."""
    parameters = parameter_count(spec.build_network().shapes(problem.dimension))
    points = sum(
        spec.build_sampler(equation.term).size(problem.dimension - len(equation.where))
        for equation in problem.equations
        if equation.term in spec.used_terms
    )
    for i, level in enumerate(spec.build_levels()):
        for j, stage in enumerate(level.stages):
            needed = stage.optimizer.bytes_for(parameters, points)
            if needed > MOST_OPTIMIZER_BYTES:
                having = f"with {parameters} parameters and {points} points"
                allowed = f"at most {MOST_OPTIMIZER_BYTES / 2**30:g} GiB are allowed"
                problem_is = f"needs {needed / 2**30:.3g} GiB {having}; {allowed}"
                raise KeyProblem(f"levels.{i}.stages.{j}.optimizer", stage.name, problem_is)


def _check_balancing(spec: "RunSpec", problem: Problem) -> None:
    """A rule's settings fit the problem and the terms, and what changes the weights has an optimizer that lets
    them change."""
    terms, rng = dict.fromkeys(spec.terms, 1), np.random.default_rng(0)
    for i, level in enumerate(spec.build_levels()):
        key, rule, named = f"levels.{i}.balancing", level.balancing, spec.levels[i].balancing["name"]
        try:
            if isinstance(rule, Located):
                rule.check(problem)
            rule.init(terms, rng)
        except KeyProblem as error:
            raise KeyProblem(f"{key}.{error.key}", error.value, error.problem) from None
        between = rule.changes_between_stages and len(level.stages) > 1
        if not (rule.fixed or between) and all(stage.optimizer.needs_fixed_objective for stage in level.stages):
            able = [name for name in optimizers.names() if not optimizers.load(name).needs_fixed_objective]
            needed = (
                f"changes its weights between steps, which only {' and '.join(able)} let it; none is in the level"
            )
            raise KeyProblem(f"{key}.name", named, needed)
        for stage in level.stages:
            if (rule.trained or rule.own_direction) and getattr(stage.optimizer, "by_term", False):
                having = "weights of its own to train" if rule.trained else "a direction of its own"
                problem_is = f"has {having}, which {stage.name} cannot follow: it takes each term apart"
                raise KeyProblem(f"{key}.name", named, problem_is)


def _check_stages(spec: "RunSpec", problem: Problem) -> None:
    """Every optimizer fits the network and the terms."""
    network = spec.build_network()
    for i, level in enumerate(spec.build_levels()):
        for j, stage in enumerate(level.stages):
            try:
                stage.optimizer.check(network, problem.dimension, spec.terms)
            except KeyProblem as error:
                raise KeyProblem(f"levels.{i}.stages.{j}.{error.key}", error.value, error.problem) from None


def _check_resampling(spec: "RunSpec") -> None:
    """Points that are drawn anew need every term, every stage and every rule to allow it."""
    if not (spec.resampled or spec.refreshed):
        return
    each_step = {name: spec.build_sampler(name).each_step for name in spec.used_terms}
    fixed = [name for name, fresh in each_step.items() if not fresh]
    if spec.resampled and fixed:
        fresh = next(spec.points[name]["strategy"] for name, own in each_step.items() if own)
        raise KeyProblem(f"points.{fixed[0]}.strategy", None, f"must be {fresh} like that of other terms")
    for i, level in enumerate(spec.build_levels()):
        if level.balancing.pointwise:
            needed = "has a weight for each point, and needs points that stay the same"
            raise KeyProblem(f"levels.{i}.balancing.name", spec.levels[i].balancing["name"], needed)
        for stage in level.stages:
            if spec.resampled and not stage.optimizer.takes_minibatches:
                raise KeyProblem(f"levels.{i}.stages", None, f"{stage.name} needs points that stay the same")
