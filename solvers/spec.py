"""The complete, validated, frozen specification of one run."""

import dataclasses
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

import problems
from problems.base import Problem
from solvers import backends, balancing, networks, optimizers
from solvers.balancing import Balancing
from solvers.networks import Network
from solvers.optimizers import Optimizer
from solvers.sampling import RESAMPLED, STRATEGIES
from solvers.terms import INPUTS
from solvers.training import Level
from solvers.trial import TRIALS, trial_for

__all__ = ["EvaluationSpec", "KeyProblem", "LevelSpec", "PointSet", "RunSpec", "StrictModel", "one_of"]


class KeyProblem(ValueError):
    """What is wrong with one key, seen from inside: ``key`` is relative to where validation stood."""

    def __init__(self, key: str, value: Any, problem: str):
        super().__init__(f"{key}: {problem}")
        self.key, self.value, self.problem = key, value, problem


class StrictModel(BaseModel):
    """Frozen, no type coercion, unknown keys refused with the list of those allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in sorted(set(data) - set(cls.model_fields)):
                raise KeyProblem(key, data[key], f"unknown key; allowed: {', '.join(sorted(cls.model_fields))}")
        return data


def one_of(names: Callable[[], Any]) -> Any:
    """A string that is one of ``names()``, asked at validation time."""

    def check(value: str) -> str:
        if value not in names():
            raise ValueError(f"unknown name; allowed: {', '.join(names())}")
        return value

    return Annotated[str, AfterValidator(check)]


def _complete(load: Callable[[str], type], selector: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A validator for ``{selector: plug-in name, its fields}`` that returns it with all defaults filled in."""

    def complete(data: dict[str, Any]) -> dict[str, Any]:
        cls, options = _class_of(load, selector, data)
        allowed = [field.name for field in dataclasses.fields(cls)]
        for key in sorted(set(options) - set(allowed)):
            raise KeyProblem(key, options[key], f"unknown key; allowed: {', '.join([selector, *allowed])}")
        for key, value in options.items():
            if isinstance(value, float) and not np.isfinite(value):
                raise KeyProblem(key, str(value), "must be a finite number")
        try:
            built = TypeAdapter(cls).validate_json(json.dumps(options), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or selector
            problem = first["msg"].removeprefix("Value error, ")
            raise KeyProblem(key, options.get(key, data[selector]), problem) from None
        return {selector: data[selector]} | dataclasses.asdict(built)

    return complete


def _class_of(load: Callable[[str], type], selector: str, data: dict[str, Any]) -> tuple[type, dict[str, Any]]:
    if selector not in data:
        raise KeyProblem(selector, None, "is missing")
    try:
        cls = load(data[selector])
    except ValueError as error:
        raise KeyProblem(selector, data[selector], str(error)) from None
    return cls, {key: value for key, value in data.items() if key != selector}


def _problem(data: dict[str, Any]) -> dict[str, Any]:
    name = data.get("name")
    if name not in problems.names():
        raise KeyProblem("name", name, f"unknown problem; allowed: {', '.join(problems.names())}")
    values = {key: value for key, value in data.items() if key != "name"}
    return {"name": name} | problems.load(name, **values).values


ProblemSpec = Annotated[dict[str, Any], AfterValidator(_problem)]
NetworkSpec = Annotated[dict[str, Any], AfterValidator(_complete(networks.load, "name"))]
BalancingSpec = Annotated[dict[str, Any], AfterValidator(_complete(balancing.load, "name"))]
StageSpec = Annotated[dict[str, Any], AfterValidator(_complete(optimizers.load, "optimizer"))]
Count = Annotated[int, Field(ge=2)]
GRIDS = ("grid", "history_grid", "field_grid")
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

    experiment: str
    method: str
    backend: one_of(backends.names)
    numerics: str
    scale: str
    seed: Annotated[int, Field(ge=0)]
    overrides: list[str] = []
    problem: ProblemSpec
    points: dict[str, PointSet]
    groups: dict[str, dict[str, Interval]] = {}
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
        if set(self.points) != set(problem.terms):
            raise KeyProblem("points", sorted(self.points), f"must name just the terms {list(problem.terms)}")
        for name in GRIDS:
            nodes = getattr(self.evaluation, name)
            if len(nodes) != problem.dimension:
                raise KeyProblem(
                    f"evaluation.{name}", nodes, f"needs a number for each of {list(problem.coordinates)}"
                )
        self._check_groups(problem)
        self._check_network_and_trial(problem)
        self._check_balancing()
        self._check_resampling()
        return self

    def _check_balancing(self) -> None:
        rule, terms, rng = self.build_balancing(), dict.fromkeys(self.terms, 1), np.random.default_rng(0)
        named = [("balancing", {})] + [(f"levels.{i}.exponents", e.exponents) for i, e in enumerate(self.levels)]
        for key, exponents in named:
            try:
                rule.coefficients(terms, exponents, rng)
            except ValueError as error:
                raise KeyProblem(key, exponents or None, str(error)) from None

    def _check_resampling(self) -> None:
        """Resampled points need every term, and every stage, to take fresh points at each step."""
        if not self.resampled:
            return
        fixed = [name for name in self._used if self.points[name].strategy != RESAMPLED]
        if fixed:
            raise KeyProblem(f"points.{fixed[0]}.strategy", None, f"must be {RESAMPLED} like that of other terms")
        if self.build_balancing().pointwise:
            raise KeyProblem("balancing.name", self.balancing["name"], f"needs points that are not {RESAMPLED}")
        for i, level in enumerate(self.levels):
            for stage in level.stages:
                if not optimizers.load(stage["optimizer"]).takes_minibatches:
                    problem = f"{stage['optimizer']} needs points that are not {RESAMPLED}"
                    raise KeyProblem(f"levels.{i}.stages", None, problem)

    def _check_groups(self, problem: Problem) -> None:
        for name, box in self.groups.items():
            for coordinate, (low, high) in box.items():
                key = f"groups.{name}.{coordinate}"
                if coordinate not in problem.coordinates:
                    raise KeyProblem(key, None, f"no coordinate; allowed: {', '.join(problem.coordinates)}")
                least, most = problem.domain[coordinate]
                if not least <= low < high <= most:
                    raise KeyProblem(key, [low, high], f"must be an interval within [{least}, {most}]")

    def _check_network_and_trial(self, problem: Problem) -> None:
        try:
            self.build_network().frozen(problem.dimension, np.random.default_rng(0))
        except ValueError as error:
            raise KeyProblem("network", None, str(error)) from None
        try:
            trial_for(self.trial, problem)
        except ValueError as error:
            raise KeyProblem("trial", self.trial, str(error)) from None

    @property
    def _used(self) -> tuple[str, ...]:
        """Terms of the problem that count: a hard constraint leaves the residual."""
        return self.build_problem().terms if self.trial == "identity" else ("residual",)

    @property
    def resampled(self) -> bool:
        """Whether every Adam step takes fresh points."""
        return any(self.points[name].strategy == RESAMPLED for name in self._used)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the run's loss terms: a hard constraint leaves the residual, groups split it."""
        return (*self._used[:-1], *([f"residual.{group}" for group in self.groups] or ["residual"]))

    def build_problem(self) -> Problem:
        """The problem with its parameters."""
        return problems.load(**self.problem)

    def build_network(self) -> Network:
        """The network."""
        options = {key: value for key, value in self.network.items() if key != "name"}
        return TypeAdapter(networks.load(self.network["name"])).validate_python(options)

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
