"""From YAML to a run's specification: an experiment, overlaid by numerics, scale and ``--set``.

Each layer is checked where it is laid on, so a mistake is blamed on the file that made it. The order is:
experiment, method, ``numerics/``, ``scales/``, the experiment's own ``scales:`` section, ``--set``.
"""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field, ValidationError

from solvers import backends, optimizers
from solvers.spec import EvaluationSpec, KeyProblem, PointSet, RunSpec, StrictModel

__all__ = ["Authors", "Catalogue", "ConfigurationError", "Experiment", "read_model"]

ROOT = Path(__file__).resolve().parent.parent
Section = dict[str, Any]
T = TypeVar("T", bound=StrictModel)


class ConfigurationError(Exception):
    """A mistake in a configuration; the message names file, key, value and what would be right."""

    def __init__(self, source: str, key: str, value: Any, problem: str):
        shown = "" if value is None else f" (value {json.dumps(value, default=str)})"
        super().__init__(f"{source}: {key}{shown}: {problem}" if key else f"{source}: {problem}")


class Layer(StrictModel):
    """What an overlay may change. ``optimizers`` changes every stage that uses that optimizer."""

    problem: Section = {}
    points: dict[str, Section] = {}
    network: Section = {}
    balancing: Section = {}
    evaluation: Section = {}
    precision: str | None = None
    chunk_size: int | None = None
    optimizers: dict[str, Section] = {}
    stages: dict[str, Section] = {}
    methods: dict[str, Section] = {}


class Numerics(Layer):
    """A file of ``numerics/``: precision and stop rule."""

    description: str


class Scale(Layer):
    """A file of ``scales/``: how much of everything, and how many seeds by default."""

    description: str
    seeds: Annotated[int, Field(ge=1)]


class Authors(StrictModel):
    """The authors' numbers for one method; ``None`` where their repository gives none."""

    rel_l2: float | None
    mean_absolute: float | None = None
    maximum: float | None = None
    lbfgs_iterations: list[int] | None = None
    lbfgs_evaluations: list[int] | None = None
    adam_steps: int | None = None
    seed: int | None = None
    source: str


class LevelEntry(StrictModel):
    """A level of a method: exponents, and stages by name."""

    exponents: dict[str, Annotated[float, Field(gt=0)]] = {}
    stages: Annotated[list[str], Field(min_length=1)]


NOT_THEIRS = Authors(rel_l2=None, source="not in the authors' repository")


class Method(StrictModel):
    """What a method does under the paper's name, with the authors' numbers if it is theirs: balancing, levels, and
    what differs from the experiment's points, inputs, network (replaced as a whole if it has a name) and
    evaluation. ``note`` is for the tables: what is knowingly not as in the paper."""

    title: str
    note: str = ""
    points: dict[str, Section] = {}
    groups: dict[str, Any] = {}
    inputs: str | None = None
    network: Section = {}
    trial: str = "identity"
    evaluation: Section = {}
    balancing: Section
    levels: Annotated[list[LevelEntry], Field(min_length=1)]
    authors: Authors = NOT_THEIRS


class Experiment(StrictModel):
    """A file of ``experiments/``: one experiment of the paper at the paper's scale, or one that is not in the
    paper, which the pipeline runs when it is named."""

    title: str
    in_paper: bool = True
    problem: Section
    points: dict[str, PointSet]
    inputs: str = "interval"
    network: Section
    evaluation: EvaluationSpec
    stages: Annotated[dict[str, Section], Field(min_length=1)]
    methods: Annotated[dict[str, Method], Field(min_length=1)]
    scales: dict[str, Layer] = {}


def read_model(model: type[T], path: Path) -> T:
    """The YAML file ``path`` as ``model``; :class:`ConfigurationError` for whatever is wrong with it."""
    source = _shown(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(source, "", None, f"cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(source, "", None, f"is not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigurationError(source, "", None, "must be a mapping of keys to values")
    return checked(model, data, source)


def checked(model: type[T], data: Mapping[str, Any], source: str) -> T:
    """``data`` as ``model``, types taken strictly; the first problem as a :class:`ConfigurationError`."""
    try:
        return model.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = [str(part) for part in first["loc"]]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, KeyProblem):
            key, problem = ".".join([*where, cause.key]), cause.problem + _number_hint(cause.value)
            raise ConfigurationError(source, key, cause.value, problem) from None
        value = None if isinstance(first["input"], dict) else first["input"]
        problem = (str(cause) if cause else first["msg"]) + _number_hint(value)
        raise ConfigurationError(source, ".".join(where), value, problem) from None


def _number_hint(value: Any) -> str:
    """YAML 1.1 reads ``1e-3`` as text; say so where a text would do as a number."""
    try:
        return f"; YAML reads it as text: write {float(value)}" if isinstance(value, str) else ""
    except ValueError:
        return ""


def _known(source: str, section: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    for name in names:
        if name not in allowed:
            raise ConfigurationError(
                source, f"{section}.{name}", None, f"unknown name; allowed: {', '.join(allowed)}"
            )


def _shown(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid on: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else copy.deepcopy(value)
    return merged


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """``["problem.epsilon=0.2"]`` as a nested mapping; values are read as JSON, else as YAML."""
    overlay: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not all(path.split(".")):
            raise ConfigurationError("--set", assignment, None, "must read KEY.KEY=VALUE")
        value = _value(path, text)
        for key in reversed(path.split(".")):
            value = {key: value}
        overlay = merge(overlay, value)
    return overlay


def _value(path: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError("--set", path, text, f"is not valid YAML: {error}") from None


class Catalogue:
    """A configuration folder: ``experiments/``, ``numerics/``, ``scales/``."""

    def __init__(self, folder: Path | str = ROOT / "config"):
        self.folder = Path(folder)
        self.experiment = cache(lambda name: self._read(Experiment, "experiments", name))
        self.numerics = cache(lambda name: self._read(Numerics, "numerics", name))
        self.scale = cache(lambda name: self._read(Scale, "scales", name))

    def names(self, kind: str) -> list[str]:
        """Names of the files of one kind: ``experiments``, ``numerics`` or ``scales``."""
        return sorted(path.stem for path in (self.folder / kind).glob("*.yaml"))

    def _read(self, model: type[T], kind: str, name: str) -> T:
        if name not in self.names(kind):
            allowed = ", ".join(self.names(kind)) or "none"
            raise ConfigurationError(_shown(self.folder / kind), kind, name, f"unknown name; allowed: {allowed}")
        return read_model(model, self.folder / kind / f"{name}.yaml")

    def source(self, kind: str, name: str) -> str:
        """How messages name a file of the catalogue."""
        return _shown(self.folder / kind / f"{name}.yaml")

    def resolve(
        self,
        experiment: str,
        method: str,
        backend: str,
        numerics: str = "paper",
        scale: str = "quick",
        seed: int = 0,
        overrides: Sequence[str] = (),
    ) -> RunSpec:
        """The complete specification of one run; :class:`ConfigurationError` if any layer is wrong."""
        found = self.experiment(experiment)
        own = self.source("experiments", experiment)
        _known(own, "methods", [method], found.methods)
        _known("command line", "backend", [backend], backends.names())
        axes = {"experiment": experiment, "method": method, "backend": backend, "numerics": numerics}
        axes |= {"scale": scale, "seed": seed, "overrides": list(overrides)}
        given = checked(Layer, parse_overrides(overrides), "--set")
        layers: list[tuple[str, Layer]] = [
            (self.source("numerics", numerics), self.numerics(numerics)),
            (self.source("scales", scale), self.scale(scale)),
            (f"{own} (scales.{scale})", found.scales.get(scale, Layer())),
            ("--set", given),
        ]
        return _assemble(axes, _base(found, method), own, layers, list(found.methods))


def _base(experiment: Experiment, method: str) -> dict[str, Any]:
    """The experiment's sections for one method, at the paper's scale."""
    document = experiment.model_dump()
    chosen = document["methods"][method]
    network = chosen["network"] if "name" in chosen["network"] else merge(document["network"], chosen["network"])
    return {
        "problem": document["problem"],
        "points": merge(document["points"], chosen["points"]),
        "groups": chosen["groups"],
        "inputs": chosen["inputs"] or document["inputs"],
        "network": network,
        "trial": chosen["trial"],
        "balancing": chosen["balancing"],
        "evaluation": merge(document["evaluation"], chosen["evaluation"]),
        "precision": "float32",
        "stages": document["stages"],
        "levels": chosen["levels"],
    }


def _assemble(
    axes: Mapping[str, Any],
    base: dict[str, Any],
    own: str,
    layers: Sequence[tuple[str, Layer]],
    methods: list[str],
) -> RunSpec:
    document = base
    spec = _inline(axes, document, own)
    for source, layer in layers:
        parts = [layer]
        _known(source, "methods", layer.methods, methods)
        if axes["method"] in layer.methods:
            parts.append(checked(Layer, layer.methods[axes["method"]], f"{source} (methods.{axes['method']})"))
        for part in parts:
            document = _lay(document, part, source)
        spec = _inline(axes, document, source)
    return spec


def _lay(document: dict[str, Any], layer: Layer, source: str) -> dict[str, Any]:
    """``document`` with one layer laid on."""
    over = layer.model_dump(include={"problem", "points", "network", "balancing", "evaluation", "stages"})
    over |= {key: value for key in ("precision", "chunk_size") if (value := getattr(layer, key)) is not None}
    _known(source, "stages", layer.stages, document["stages"])
    _known(source, "points", layer.points, document["points"])
    _known(source, "optimizers", layer.optimizers, optimizers.names())
    laid = merge(document, over)
    laid["stages"] = {
        name: merge(stage, layer.optimizers.get(stage.get("optimizer"), {}))
        for name, stage in laid["stages"].items()
    }
    return laid


def _inline(axes: Mapping[str, Any], document: Mapping[str, Any], source: str) -> RunSpec:
    """The run's specification with the levels' stages put in place of their names."""
    stages = document["stages"]
    levels = []
    for i, level in enumerate(document["levels"]):
        _known(source, f"levels.{i}.stages", level["stages"], stages)
        levels.append(level | {"stages": [stages[name] for name in level["stages"]]})
    data = {key: value for key, value in document.items() if key != "stages"}
    return checked(RunSpec, dict(axes) | data | {"levels": levels}, source)
