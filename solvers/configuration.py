"""From YAML to a run's specification: an experiment, overlaid by numerics, scale and ``--set``.

Each layer is checked where it is laid on, so a mistake is blamed on the file that made it. The order is:
experiment, method, ``numerics/``, ``scales/``, the experiment's own ``scales:`` section, ``--set``.
"""

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

import problems
from problems import ExactProblem
from solvers import backends, optimizers
from solvers.documents import Authors, Axes, Experiment, Layer, Method, Numerics, Scale, Stages
from solvers.fingerprint import ROOT
from solvers.sampling import uniform_grid
from solvers.spec import RunSpec
from solvers.strict_yaml import ConfigurationError, read_value, read_yaml
from solvers.validation import StrictModel, first_problem

__all__ = ["Authors", "Catalogue", "ConfigurationError", "Experiment", "Method", "read_model"]

COMMAND_LINE = "command line"
OVERRIDES = "--set"
DEEPEST_KEY = 10
COARSE = 9
T = TypeVar("T", bound=StrictModel)


def read_model(model: type[T], path: Path) -> T:
    """The YAML file ``path`` as ``model``; :class:`ConfigurationError` for whatever is wrong with it."""
    source = _shown(path)
    data = read_yaml(path, source)
    if not isinstance(data, dict):
        raise ConfigurationError(source, "", None, "must be a mapping of keys to values")
    return checked(model, data, source)


def checked(
    model: type[T], data: Mapping[str, Any], source: str, place: Callable[[str], str] = lambda key: key
) -> T:
    """``data`` as ``model``, types taken strictly; the first problem as a :class:`ConfigurationError`, at the
    ``place`` in the source that its key comes from."""
    try:
        return model.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        key, value, problem = first_problem(error, data)
        raise ConfigurationError(source, place(key), value, problem) from None


def _known(source: str, section: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    for name in names:
        if name not in allowed:
            listed = ", ".join(allowed) or "none"
            raise ConfigurationError(source, f"{section}.{name}", None, f"unknown name; allowed: {listed}")


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
    given: list[str] = []
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = path.split(".")
        if not equals or not all(keys) or len(keys) > DEEPEST_KEY:
            raise ConfigurationError(OVERRIDES, "", None, f"{assignment[:80]!r} must read KEY.KEY=VALUE")
        for other in given:
            if f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}."):
                problem = "is given twice" if path == other else f"is in conflict with --set {other}=..."
                raise ConfigurationError(OVERRIDES, path, None, problem)
        given.append(path)
        value = read_value(text, OVERRIDES, path)
        for key in reversed(keys):
            value = {key: value}
        overlay = merge(overlay, value)
    return overlay


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
        axes = {"experiment": experiment, "method": method, "backend": backend, "numerics": numerics}
        axes |= {"scale": scale, "seed": seed, "overrides": list(overrides)}
        checked(Axes, axes, COMMAND_LINE)
        _known(COMMAND_LINE, "backend", [backend], backends.names())
        found = self.experiment(experiment)
        own = self.source("experiments", experiment)
        _known(own, "methods", [method], found.methods)
        _known(own, "scales", found.scales, self.names("scales"))
        given = checked(Layer, parse_overrides(overrides), OVERRIDES)
        layers: list[tuple[str, Layer]] = [
            (self.source("numerics", numerics), self.numerics(numerics)),
            (self.source("scales", scale), self.scale(scale)),
            (f"{own} (scales.{scale})", found.scales.get(scale, Layer())),
            (OVERRIDES, given),
        ]
        return _assemble(axes, found, own, layers)


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


def _place(experiment: Experiment, method: str, key: str) -> str:
    """Where in the experiment's file a key of the run's specification stands: in the method, if it says so."""
    section, _, rest = key.partition(".")
    own = getattr(experiment.methods[method], section, None)
    shared = section in Experiment.model_fields
    if own is None or (shared and isinstance(own, dict) and rest.partition(".")[0] not in own):
        return key
    return f"methods.{method}.{key}"


def _assemble(
    axes: Mapping[str, Any], experiment: Experiment, own: str, layers: Sequence[tuple[str, Layer]]
) -> RunSpec:
    method, methods = axes["method"], list(experiment.methods)
    document = _base(experiment, method)
    checked(Stages, {"stages": document["stages"]}, own)
    spec = _inline(axes, document, own, lambda key: _place(experiment, method, key))
    for source, layer in layers:
        document = _lay(document, layer, source)
        _known(source, "methods", layer.methods, methods)
        if method in layer.methods:
            source = f"{source} (methods.{method})"
            part = checked(Layer, layer.methods[method], source)
            _known(source, "methods", part.methods, ())
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
    checked(Stages, {"stages": laid["stages"]}, source)
    laid["stages"] = {
        name: merge(stage, layer.optimizers.get(stage["optimizer"], {})) for name, stage in laid["stages"].items()
    }

    def place(key: str) -> str:
        """A stage's key where this layer sets it for all stages of an optimizer."""
        _, name, *rest = key.split(".")
        optimizer = laid["stages"][name]["optimizer"] if name in laid["stages"] else None
        shared = optimizer in layer.optimizers and not set(rest) & set(layer.stages.get(name, {}))
        return ".".join(["optimizers", optimizer, *rest]) if shared else key

    checked(Stages, {"stages": laid["stages"]}, source, place)
    return laid


def _inline(
    axes: Mapping[str, Any],
    document: Mapping[str, Any],
    source: str,
    place: Callable[[str], str] = lambda key: key,
) -> RunSpec:
    """The run's specification with the levels' stages put in place of their names."""
    stages = document["stages"]
    levels = []
    for i, level in enumerate(document["levels"]):
        _known(source, place(f"levels.{i}.stages"), level["stages"], stages)
        levels.append(level | {"stages": [stages[name] for name in level["stages"]]})
    data = {key: value for key, value in document.items() if key != "stages"}
    spec = checked(RunSpec, dict(axes) | data | {"levels": levels}, source, place)
    parameters = tuple((key, value) for key, value in spec.problem.items() if key != "name")
    if not _largest_solution(spec.problem["name"], parameters) < np.finfo(spec.dtype).max:
        problem = f"with these parameters the exact solution is not finite in {spec.precision}"
        raise ConfigurationError(source, place("problem"), spec.problem, problem)
    return spec


@cache
def _largest_solution(name: str, parameters: tuple[tuple[str, float], ...]) -> float:
    """The largest absolute value of the exact solution on a coarse grid, or NaN; 0 for a problem that has none."""
    problem = problems.load(name, **dict(parameters))
    if not isinstance(problem, ExactProblem):
        return 0.0
    grid = uniform_grid(problem.lower, problem.upper, [COARSE] * problem.dimension)
    with np.errstate(all="ignore"):
        return float(np.abs(problem.solution(grid)).max())
