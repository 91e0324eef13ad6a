"""From YAML to a run's specification: an experiment, overlaid by numerics, scale and ``--set``.

The fields of each layer are checked where it is laid on; whether they fit each other is checked once, of the
whole, and if they do not, layer by layer, so that a mistake is blamed on the file that made it. The order is:
experiment, method, what the method says for so many coordinates, ``numerics/``, ``scales/``, the ``scales:``
section of the method or else of the experiment, ``--set``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

import problems
from problems import ExactProblem
from solvers import backends, optimizers
from solvers.configuration.documents import (
    Authors,
    Axes,
    Experiment,
    Layer,
    Method,
    Numerics,
    Scale,
    SharedMethod,
    Stages,
    StudyEntry,
)
from solvers.configuration.layers import SUPERVISED, base_sections, lay, levels_of_run
from solvers.configuration.methods import BASED_ON, completed, with_methods
from solvers.configuration.overrides import OVERRIDES, nested, parse_overrides
from solvers.configuration.reading import T, checked, mapping_of, read_model, source_of
from solvers.configuration.spec import FIELDS_ALONE, RunSpec
from solvers.configuration.strict_yaml import ConfigurationError
from solvers.paths import ROOT
from solvers.plugins import KeyProblem, unknown
from solvers.points.grids import uniform_grid

__all__ = ["Authors", "Catalogue", "ConfigurationError", "Experiment", "Method"]

COMMAND_LINE = "command line"
ALL = "all"
COARSE = 9


class Catalogue:
    """A configuration folder: ``experiments/``, ``methods/``, ``numerics/``, ``scales/``, ``studies/``."""

    def __init__(self, folder: Path | str = ROOT / "config") -> None:
        self.folder = Path(folder)
        self.experiment = cache(self._experiment)
        self.numerics = cache(lambda name: self._read(Numerics, "numerics", name))
        self.scale = cache(lambda name: self._read(Scale, "scales", name))
        self.study = cache(self._study)

    def names(self, kind: str) -> list[str]:
        """Names of the files of one kind: ``experiments``, ``methods``, ``numerics``, ``scales``, ``studies``."""
        return sorted(path.stem for path in (self.folder / kind).glob("*.yaml"))

    def _read(self, model: type[T], kind: str, name: str) -> T:
        return read_model(model, self._path(kind, name))

    def _path(self, kind: str, name: str) -> Path:
        if name not in self.names(kind):
            problem = unknown("name", name, self.names(kind))
            raise ConfigurationError(source_of(self.folder / kind), kind, name, problem)
        return self.folder / kind / f"{name}.yaml"

    def _study(self, name: str, deriving: tuple[str, ...] = ()) -> StudyEntry:
        """A study, completed by the one that it is ``based_on``: what it says itself replaces that."""
        path = self._path("studies", name)
        stated = mapping_of(path)
        if (base := stated.pop(BASED_ON, None)) is not None:
            others = [other for other in self.names("studies") if other not in (name, *deriving)]
            if base not in others:
                raise ConfigurationError(source_of(path), BASED_ON, base, unknown("name", base, others))
            stated = self._study(base, (*deriving, name)).model_dump(exclude_unset=True) | stated
        return checked(StudyEntry, stated, source_of(path))

    def _experiment(self, name: str) -> Experiment:
        """An experiment with its methods and those that experiments share."""
        path = self._path("experiments", name)
        with _blamed_on(source_of(path)):
            data = with_methods(mapping_of(path), name, self._shared_methods)
        found = checked(Experiment, data, source_of(path))
        if found.group is not None and found.in_paper:
            raise ConfigurationError(source_of(path), "in_paper", True, "must be false for one of a group")
        if found.group in (ALL, *self.names("experiments")):
            problem = "must be another name than all and those of experiments"
            raise ConfigurationError(source_of(path), "group", found.group, problem)
        for i, published in enumerate(found.published):
            if published.here is not None:
                _known(source_of(path), f"published.{i}.here", [published.here], list(found.methods))
        return found

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """Names of experiments by their group; those without one, the paper's among them, are in none."""
        found: dict[str, list[str]] = {}
        for name in self.names("experiments"):
            if (group := self.experiment(name).group) is not None:
                found.setdefault(group, []).append(name)
        return found

    @cached_property
    def _shared_methods(self) -> dict[str, dict[str, Any]]:
        """The files of ``methods/``, completed and each checked; none for ``experiments`` is all of them."""
        paths = {name: self._path("methods", name) for name in self.names("methods")}
        stated = {name: {"in_paper": False} | mapping_of(path) for name, path in paths.items()}
        found = {}
        for name, path in paths.items():
            with _blamed_on(source_of(path)):
                found[name] = {"experiments": None} | completed(stated[name], stated)
            entry = checked(SharedMethod, found[name], source_of(path))
            _known(source_of(path), "experiments", entry.experiments or (), self.names("experiments"))
        return found

    def source(self, kind: str, name: str) -> str:
        """How messages name a file of the catalogue."""
        return source_of(self.folder / kind / f"{name}.yaml")

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
        """The complete specification of one run; :class:`ConfigurationError` if any layer is wrong. Overrides get
        their one form and order."""
        settings = parse_overrides(overrides)
        axes: dict[str, Any] = {
            "experiment": experiment,
            "method": method,
            "backend": backend,
            "numerics": numerics,
        }
        axes |= {"scale": scale, "seed": seed, "overrides": [str(setting) for setting in settings]}
        checked(Axes, axes, COMMAND_LINE)
        _known(COMMAND_LINE, "backend", [backend], backends.names())
        found = self.experiment(experiment)
        own = self.source("experiments", experiment)
        _known(own, "methods", [method], found.methods)
        _known(own, "scales", found.scales, self.names("scales"))
        given = checked(Layer, nested(settings), OVERRIDES)
        in_method = found.methods[method].scales
        scaled = (f"{own} (scales.{scale})", found.scales.get(scale, Layer()))
        if in_method is not None:
            _known(own, f"methods.{method}.scales", in_method, self.names("scales"))
            scaled = (f"{own} (methods.{method}.scales.{scale})", in_method.get(scale, Layer()))
        layers: list[tuple[str, Layer]] = [
            (self.source("numerics", numerics), self.numerics(numerics)),
            (self.source("scales", scale), self.scale(scale)),
            scaled,
            (OVERRIDES, given),
        ]
        spec = _assemble(axes, found, own, layers, FIELDS_ALONE)
        try:
            spec.check()
        except KeyProblem:
            return _assemble(axes, found, own, layers)  # raises, with the layer to blame
        return spec


def _known(source: str, section: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    for name in names:
        if name not in allowed:
            raise ConfigurationError(source, f"{section}.{name}", None, unknown("name", name, allowed))


def _assemble(
    axes: Mapping[str, Any],
    experiment: Experiment,
    own: str,
    layers: Sequence[tuple[str, Layer]],
    context: str | None = None,
) -> RunSpec:
    """The specification of all layers, checked after each of them: as a whole, or as the ``context`` says."""
    method, methods = axes["method"], list(experiment.methods)

    def in_experiment(key: str) -> str:
        return _place_in_experiment(experiment, method, key)

    checked(Stages, {"stages": experiment.stages}, own)
    with _blamed_on(own, in_experiment):
        sections = base_sections(experiment, method)
    spec = _specification(axes, sections, own, in_experiment, context)
    dimension = str(spec.build_problem().dimension)
    if dimension in experiment.methods[method].dimensions:
        own_layer = experiment.methods[method].dimensions[dimension]
        layers = [(f"{own} (methods.{method}.dimensions.{dimension})", own_layer), *layers]
    for source, layer in layers:
        _known(source, "methods", layer.methods, methods)
        spec, sections = _laid(axes, sections, layer, source, context)
        if method in layer.methods:
            source = f"{source} (methods.{method})"
            part = checked(Layer, layer.methods[method], source)
            _known(source, "methods", part.methods, ())
            spec, sections = _laid(axes, sections, part, source, context)
    return spec


@contextmanager
def _blamed_on(source: str, place: Callable[[str], str] = lambda key: key) -> Iterator[None]:
    """A :class:`KeyProblem` inside becomes a :class:`ConfigurationError` of ``source``."""
    try:
        yield
    except KeyProblem as error:
        raise ConfigurationError(source, place(error.key), error.value, error.problem) from None


def _place_in_experiment(experiment: Experiment, method: str, key: str) -> str:
    """Where in the experiment's file a key of the run's specification stands: in the method, if it says so."""
    entry = experiment.methods[method]
    head, _, rest = key.partition(".")
    index, _, inner = rest.partition(".")
    if head == "levels" and inner.startswith("balancing."):
        stated = entry.levels[int(index)].balancing
        if inner.split(".")[1] not in stated:
            return f"methods.{method}.{inner}"
    own, shared = getattr(entry, head, None), head in Experiment.model_fields
    if own is None or (shared and isinstance(own, dict) and index not in own):
        return key
    return f"methods.{method}.{key}"


def _laid(
    axes: Mapping[str, Any], sections: dict[str, Any], layer: Layer, source: str, context: str | None
) -> tuple[RunSpec, dict[str, Any]]:
    """The specification and its sections with one layer laid on."""
    _known(source, "stages", layer.stages, sections["stages"])
    _known(source, "points", layer.points, [*sections["points"], SUPERVISED])
    _known(source, "optimizers", layer.optimizers, optimizers.names())

    def place(key: str) -> str:
        return _place_in_layer(layer, laid, key)

    with _blamed_on(source):
        laid = lay(sections, layer)
    checked(Stages, {"stages": laid["stages"]}, source, place)
    return _specification(axes, laid, source, place, context), laid


def _place_in_layer(layer: Layer, laid: Mapping[str, Any], key: str) -> str:
    """Where a layer says what stands at ``key`` of the run's specification, or of its stages by name."""
    head, _, rest = key.partition(".")
    name, _, inner = rest.partition(".")
    if head == "levels" and inner.startswith("balancing") and layer.balancing and not layer.levels:
        return inner
    if head == "stages" and name in laid["stages"] and inner not in layer.stages.get(name, {}):
        optimizer = laid["stages"][name].get("optimizer")
        if isinstance(optimizer, str) and layer.optimizers.get(optimizer):
            return ".".join(filter(None, ["optimizers", optimizer, inner]))
    return key


def _specification(
    axes: Mapping[str, Any],
    sections: Mapping[str, Any],
    source: str,
    place: Callable[[str], str],
    context: str | None,
) -> RunSpec:
    """The run's specification, checked as the ``context`` says."""
    data = {key: value for key, value in sections.items() if key not in ("stages", "balancing")}
    data = dict(axes) | data | {"levels": levels_of_run(dict(sections))}
    spec = checked(RunSpec, data, source, place, context)
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
