"""The complete, validated, frozen specification of one run."""

import json
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, model_validator

import problems
from problems.base import Problem
from solvers import backends, balancing, optimizers
from solvers.configuration.consistency import GRIDS, check
from solvers.configuration.validation import Name, StrictModel, adapter, first_problem, hint, one_of, plugin
from solvers.model import networks
from solvers.model.networks import Network
from solvers.model.terms import INPUTS
from solvers.model.trial import TRIALS
from solvers.plugins import KeyProblem, unknown
from solvers.points import groupings, samplers
from solvers.points.groupings import Grouping
from solvers.points.samplers import Sampler
from solvers.training.levels import Level, Stage
from solvers.training.objective import TRANSFORMS

__all__ = [
    "FIELDS_ALONE",
    "EvaluationSpec",
    "EveryStage",
    "KeyProblem",
    "LevelSpec",
    "RunSpec",
    "StageSpec",
    "StrictModel",
    "one_of",
]

FIELDS_ALONE = "fields alone"
"""The context of a validation that leaves :meth:`RunSpec.check` to the caller."""
LARGEST_BUDGET = 10**9
"""Largest integer of a stage: larger ones do not fit the arrays and counters of an optimizer."""


def _problem(data: dict[str, Any]) -> dict[str, Any]:
    name = data.get("name")
    if name not in problems.names():
        raise KeyProblem("name", name, unknown("problem", name, problems.names()))
    values = {key: value for key, value in data.items() if key != "name"}
    known = problems.parameters(name)
    for key, value in values.items():
        if key not in known:
            raise KeyProblem(key, value, unknown("key", key, ["name", *known]))
        try:
            known[key].check(key, value)
        except ValueError as error:
            raise KeyProblem(key, value, str(error) + hint("float", value)) from None
    return {"name": name} | problems.load(name, **values).values


Precision = Literal["float32", "float64"]


class EveryStage(StrictModel):
    """What any stage may say, whatever its optimizer: ``objective`` is the transform under which the balanced loss
    is minimised, ``precision`` that of the numerics if none."""

    objective: Annotated[str, one_of(lambda: list(TRANSFORMS))] = "identity"
    precision: Precision | None = None


def _stage_with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """A stage with the defaults of its optimizer and of every stage filled in."""
    shared = {key: value for key, value in data.items() if key in EveryStage.model_fields}
    own = {key: value for key, value in data.items() if key not in shared}
    completed = plugin(optimizers.load, "optimizer", tuple(EveryStage.model_fields))(own)
    try:
        return completed | EveryStage.model_validate_json(json.dumps(shared), strict=True).model_dump()
    except ValidationError as error:
        raise KeyProblem(*first_problem(error, shared)) from None


def _bounded_stage(data: dict[str, Any]) -> dict[str, Any]:
    for key, value in data.items():
        if isinstance(value, int) and value > LARGEST_BUDGET:
            raise KeyProblem(key, value, f"must be at most {LARGEST_BUDGET}")
    return data


ProblemSpec = Annotated[dict[str, Any], AfterValidator(_problem)]
NetworkSpec = Annotated[dict[str, Any], AfterValidator(plugin(networks.load, "name"))]
PointsSpec = Annotated[dict[str, Any], AfterValidator(plugin(samplers.load, "strategy"))]
GroupingSpec = Annotated[dict[str, Any], AfterValidator(plugin(groupings.load, "name"))]
BalancingSpec = Annotated[dict[str, Any], AfterValidator(plugin(balancing.load, "name"))]
StageSpec = Annotated[dict[str, Any], AfterValidator(_stage_with_defaults), AfterValidator(_bounded_stage)]
Count = Annotated[int, Field(ge=2)]
Nodes = Count | Annotated[list[Count], Field(min_length=1)]


class LevelSpec(StrictModel):
    """One level of the multi-level training."""

    balancing: BalancingSpec
    stages: Annotated[list[StageSpec], Field(min_length=1)]


class EvaluationSpec(StrictModel):
    """Where and how often errors are measured. Grids are nodes a coordinate; one number stands for all of them,
    and in a run's specification has become the list."""

    grid: Nodes
    history_grid: Nodes
    field_grid: Nodes
    every: Annotated[int, Field(ge=1)]
    divergence_factor: Annotated[float, Field(gt=1)]

    def nodes(self, name: str) -> list[int]:
        """The nodes along each coordinate of one of the grids, of a run's specification."""
        grid = getattr(self, name)
        if isinstance(grid, int):
            raise TypeError(f"{name}: the number of coordinates is known in a run's specification only")
        return grid

    def in_dimension(self, dimension: int) -> Self:
        """The same with every grid a list."""
        grids = {name: getattr(self, name) for name in GRIDS}
        lists = {name: [grid] * dimension for name, grid in grids.items() if isinstance(grid, int)}
        return self.model_copy(update=lists)


class RunSpec(StrictModel):
    """Everything that determines a run's numbers, defaults filled in."""

    experiment: Name
    method: Name
    backend: Annotated[str, one_of(backends.names)]
    numerics: Name
    scale: Name
    seed: Annotated[int, Field(ge=0)]
    overrides: list[str] = []
    problem: ProblemSpec
    points: dict[str, PointsSpec]
    grouping: GroupingSpec | None = None
    inputs: Annotated[str, one_of(lambda: list(INPUTS))] = "interval"
    network: NetworkSpec
    trial: Annotated[str, one_of(lambda: list(TRIALS))] = "identity"
    precision: Precision
    chunk_size: Annotated[int, Field(ge=1)] | None = None
    levels: Annotated[list[LevelSpec], Field(min_length=1)]
    evaluation: EvaluationSpec

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        dimension = self.build_problem().dimension
        object.__setattr__(self, "evaluation", self.evaluation.in_dimension(dimension))
        if info.context != FIELDS_ALONE:
            self.check()
        return self

    def check(self) -> None:
        """What the parts must have in common; :class:`KeyProblem` for the first that does not fit."""
        check(self, self.build_problem())

    @property
    def used_terms(self) -> tuple[str, ...]:
        """Terms of the problem that count: a hard constraint leaves the residual."""
        return self.build_problem().terms if self.trial == "identity" else ("residual",)

    @property
    def resampled(self) -> bool:
        """Whether every step of a first-order optimizer takes fresh points."""
        return any(samplers.load(self.points[name]["strategy"]).each_step for name in self.used_terms)

    @property
    def refreshed(self) -> bool:
        """Whether a sampler chooses its points anew on the way."""
        return any(self.build_sampler(name).refresh_every for name in self.used_terms)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the run's loss terms: a hard constraint leaves the residual, groups split it."""
        grouping = self.build_grouping()
        return (
            *self.used_terms[:-1],
            *([f"residual.{group}" for group in grouping.groups] if grouping else ["residual"]),
        )

    def build_problem(self) -> Problem:
        """The problem with its parameters; the same object for equal specifications of it."""
        return _loaded(tuple(self.problem.items()))

    def build_network(self) -> Network:
        """The network, with what follows from the problem put in."""
        problem, network = self.build_problem(), _validated(networks.load, "name", self.network)
        _, scale = INPUTS[self.inputs](problem.lower, problem.upper)
        return network.adapted(problem, scale)

    def build_sampler(self, term: str) -> Sampler:
        """The sampler of one of the problem's terms."""
        return _build(samplers.load, "strategy", self.points[term])

    def build_grouping(self) -> Grouping | None:
        """The grouping of the residual's points, if they are grouped."""
        return None if self.grouping is None else _validated(groupings.load, "name", self.grouping)

    def build_levels(self) -> list[Level]:
        """The levels with their optimizers."""
        return [
            Level(_validated(balancing.load, "name", level.balancing), [_stage(stage) for stage in level.stages])
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
        """Modules of the plug-ins that this run names: problem, network, backend, balancing rules, ..."""
        stages = {stage["optimizer"] for level in self.levels for stage in level.stages}
        named = [
            ("problems", self.problem["name"]),
            ("solvers.model.networks", self.network["name"]),
            ("solvers.backends", self.backend),
            *(("solvers.balancing", name) for name in sorted({level.balancing["name"] for level in self.levels})),
            *(("solvers.optimizers", name) for name in sorted(stages)),
            *(("solvers.points.samplers", name) for name in sorted({p["strategy"] for p in self.points.values()})),
            *([("solvers.points.groupings", self.grouping["name"])] if self.grouping else []),
        ]
        return [f"{package}.{name.replace('-', '_')}" for package, name in named]


@cache
def _loaded(problem: tuple[tuple[str, Any], ...]) -> Problem:
    """Deriving forcing and data takes longer than checking a whole specification: done once a process."""
    return problems.load(**dict(problem))


def _validated(load: Callable[[str], type], selector: str, data: dict[str, Any]) -> Any:
    """As :func:`_build`, with nested mappings made what the plug-in's fields say."""
    return adapter(load(data[selector])).validate_python({k: v for k, v in data.items() if k != selector})


def _build(load: Callable[[str], type], selector: str, data: dict[str, Any]) -> Any:
    return load(data[selector])(**{key: value for key, value in data.items() if key != selector})


def _stage(data: dict[str, Any]) -> Stage:
    own = {key: value for key, value in data.items() if key not in EveryStage.model_fields}
    optimizer = _build(optimizers.load, "optimizer", own)
    return Stage(data["optimizer"], optimizer, TRANSFORMS[data["objective"]], data["precision"])
