"""The complete, validated, frozen specification of one run."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

import problems
from problems.base import Problem
from solvers import backends, balancing, networks, optimizers
from solvers.balancing import Balancing
from solvers.consistency import GRIDS, check
from solvers.networks import Network
from solvers.optimizers import Optimizer
from solvers.sampling import RESAMPLED, STRATEGIES
from solvers.terms import INPUTS
from solvers.training import Level
from solvers.trial import TRIALS
from solvers.validation import KeyProblem, Name, StrictModel, adapter, hint, one_of, plugin

__all__ = [
    "EvaluationSpec",
    "KeyProblem",
    "LevelSpec",
    "PointSet",
    "RunSpec",
    "StageSpec",
    "StrictModel",
    "one_of",
]

LARGEST_BUDGET = 10**9
"""Largest integer of a stage: larger ones do not fit the arrays and counters of an optimizer."""


def _problem(data: dict[str, Any]) -> dict[str, Any]:
    name = data.get("name")
    if name not in problems.names():
        raise KeyProblem("name", name, f"unknown problem; allowed: {', '.join(problems.names())}")
    values = {key: value for key, value in data.items() if key != "name"}
    known = problems.parameters(name)
    for key, value in values.items():
        if key not in known:
            raise KeyProblem(key, value, f"unknown key; allowed: {', '.join(['name', *known])}")
        try:
            known[key].check(key, value)
        except ValueError as error:
            raise KeyProblem(key, value, str(error) + hint("float", value)) from None
    return {"name": name} | problems.load(name, **values).values


def _bounded_stage(data: dict[str, Any]) -> dict[str, Any]:
    for key, value in data.items():
        if isinstance(value, int) and value > LARGEST_BUDGET:
            raise KeyProblem(key, value, f"must be at most {LARGEST_BUDGET}")
    return data


ProblemSpec = Annotated[dict[str, Any], AfterValidator(_problem)]
NetworkSpec = Annotated[dict[str, Any], AfterValidator(plugin(networks.load, "name"))]
BalancingSpec = Annotated[dict[str, Any], AfterValidator(plugin(balancing.load, "name"))]
StageSpec = Annotated[
    dict[str, Any], AfterValidator(plugin(optimizers.load, "optimizer")), AfterValidator(_bounded_stage)
]
Count = Annotated[int, Field(ge=2)]
Nodes = Count | Annotated[list[Count], Field(min_length=1)]


class PointSet(StrictModel):
    """How the points of each face of a term are chosen; for ``grid`` count is nodes a free coordinate."""

    strategy: one_of(lambda: list(STRATEGIES))
    count: Annotated[int, Field(ge=1)]


Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class LevelSpec(StrictModel):
    """One level of the multi-level training."""

    exponents: dict[str, Annotated[float, Field(gt=0)]] = {}
    stages: Annotated[list[StageSpec], Field(min_length=1)]


class EvaluationSpec(StrictModel):
    """Where and how often errors are measured. Grids are nodes a coordinate; one number stands for all of them,
    and in a run's specification has become the list."""

    grid: Nodes
    history_grid: Nodes
    field_grid: Nodes
    every: Annotated[int, Field(ge=1)]
    divergence_factor: Annotated[float, Field(gt=1)]

    def in_dimension(self, dimension: int) -> Self:
        """The same with every grid a list."""
        grids = {name: getattr(self, name) for name in GRIDS}
        lists = {name: [grid] * dimension for name, grid in grids.items() if isinstance(grid, int)}
        return self.model_copy(update=lists)


class RunSpec(StrictModel):
    """Everything that determines a run's numbers, defaults filled in."""

    experiment: Name
    method: Name
    backend: one_of(backends.names)
    numerics: Name
    scale: Name
    seed: Annotated[int, Field(ge=0)]
    overrides: list[str] = []
    problem: ProblemSpec
    points: dict[str, PointSet]
    groups: dict[Name, dict[str, Interval]] = {}
    inputs: one_of(lambda: list(INPUTS)) = "interval"
    network: NetworkSpec
    trial: one_of(lambda: list(TRIALS)) = "identity"
    balancing: BalancingSpec
    precision: Literal["float32", "float64"]
    chunk_size: Annotated[int, Field(ge=1)] | None = None
    levels: Annotated[list[LevelSpec], Field(min_length=1)]
    evaluation: EvaluationSpec

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problem = self.build_problem()
        object.__setattr__(self, "evaluation", self.evaluation.in_dimension(problem.dimension))
        check(self, problem)
        return self

    @property
    def used_terms(self) -> tuple[str, ...]:
        """Terms of the problem that count: a hard constraint leaves the residual."""
        return self.build_problem().terms if self.trial == "identity" else ("residual",)

    @property
    def resampled(self) -> bool:
        """Whether every Adam step takes fresh points."""
        return any(self.points[name].strategy == RESAMPLED for name in self.used_terms)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the run's loss terms: a hard constraint leaves the residual, groups split it."""
        return (*self.used_terms[:-1], *([f"residual.{group}" for group in self.groups] or ["residual"]))

    def build_problem(self) -> Problem:
        """The problem with its parameters."""
        return problems.load(**self.problem)

    def build_network(self) -> Network:
        """The network."""
        options = {key: value for key, value in self.network.items() if key != "name"}
        return adapter(networks.load(self.network["name"])).validate_python(options)

    def build_balancing(self) -> Balancing:
        """The balancing rule."""
        return _build(balancing.load, "name", self.balancing)

    def build_levels(self) -> list[Level]:
        """The levels with their optimizers."""
        return [
            Level(level.exponents, [(stage["optimizer"], _stage(stage)) for stage in level.stages])
            for level in self.levels
        ]

    @property
    def budget(self) -> int:
        """Iterations that all stages may make."""
        return sum(stage["iterations"] for level in self.levels for stage in level.stages)

    @property
    def dtype(self) -> np.dtype:
        """Precision as a NumPy dtype."""
        return np.dtype(self.precision)

    def plugins(self) -> list[str]:
        """Modules that this run uses by name: problem, network, balancing, optimizers, backend."""
        stages = {stage["optimizer"] for level in self.levels for stage in level.stages}
        named = [
            ("problems", self.problem["name"]),
            ("solvers.networks", self.network["name"]),
            ("solvers.balancing", self.balancing["name"]),
            ("solvers.backends", self.backend),
            *(("solvers.optimizers", stage) for stage in sorted(stages)),
        ]
        return [f"{package}.{name.replace('-', '_')}" for package, name in named]


def _build(load: Callable[[str], type], selector: str, data: dict[str, Any]) -> Any:
    return load(data[selector])(**{key: value for key, value in data.items() if key != selector})


def _stage(data: dict[str, Any]) -> Optimizer:
    return _build(optimizers.load, "optimizer", data)
