"""From YAML to a run's specification: an experiment, overlaid by numerics, scale and ``--set``.

The fields of each layer are checked where it is laid on; whether they fit each other is checked once, of the
whole, and if they do not, layer by layer, so that a mistake is blamed on the file that made it. The order is:
experiment, method, what the method says for so many coordinates, ``numerics/``, ``scales/``, the ``scales:``
section of the method or else of the experiment, ``--set``.
"""

from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from solvers import backends
from solvers.configuration.checked_layers import assemble, blamed_on, known, with_layer
from solvers.configuration.documents import (
    Authors,
    Axes,
    Experiment,
    Layer,
    Method,
    Numerics,
    Scale,
    SharedMethod,
    StudyEntry,
)
from solvers.configuration.methods import BASED_ON, completed, with_methods
from solvers.configuration.overrides import OVERRIDES, nested, parse_overrides
from solvers.configuration.reading import T, checked, mapping_of, read_model, source_of
from solvers.configuration.spec import FIELDS_ALONE, RunSpec
from solvers.configuration.strict_yaml import ConfigurationError
from solvers.paths import ROOT
from solvers.plugins import KeyProblem, unknown

__all__ = ["Authors", "Catalogue", "ConfigurationError", "Experiment", "Method"]

COMMAND_LINE = "command line"
SPECIFIED = ("experiment", "method", "backend", "numerics", "scale")
"""What a specification is of, but for its seed and overrides."""
ALL = "all"


class Catalogue:
    """A configuration folder: ``experiments/``, ``methods/``, ``numerics/``, ``scales/``, ``studies/``."""

    def __init__(self, folder: Path | str = ROOT / "config") -> None:
        self.folder = Path(folder)
        self.experiment = cache(self._experiment)
        self.numerics = cache(lambda name: self._read(Numerics, "numerics", name))
        self.scale = cache(lambda name: self._read(Scale, "scales", name))
        self.study = cache(self._study)
        self._before_overrides = cache(self._assembled)

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
        with blamed_on(source_of(path)):
            data = with_methods(mapping_of(path), name, self._shared_methods)
        found = checked(Experiment, data, source_of(path))
        if found.group is not None and found.in_paper:
            raise ConfigurationError(source_of(path), "in_paper", True, "must be false for one of a group")
        if found.group in (ALL, *self.names("experiments")):
            problem = "must be another name than all and those of experiments"
            raise ConfigurationError(source_of(path), "group", found.group, problem)
        for i, published in enumerate(found.published):
            if published.here is not None:
                known(source_of(path), f"published.{i}.here", [published.here], list(found.methods))
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
            with blamed_on(source_of(path)):
                found[name] = {"experiments": None} | completed(stated[name], stated)
            entry = checked(SharedMethod, found[name], source_of(path))
            known(source_of(path), "experiments", entry.experiments or (), self.names("experiments"))
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
        start = experiment, method, backend, numerics, scale
        axes = dict(zip(SPECIFIED, start, strict=True)) | {
            "seed": seed,
            "overrides": [str(each) for each in settings],
        }
        checked(Axes, axes, COMMAND_LINE)
        known(COMMAND_LINE, "backend", [backend], backends.names())
        methods = list(self.experiment(experiment).methods)
        known(self.source("experiments", experiment), "methods", [method], methods)
        given = checked(Layer, nested(settings), OVERRIDES)
        # What comes before the overrides is put together once for all points of a study.
        before, sections = self._before_overrides(start, FIELDS_ALONE)
        spec = before.model_copy(update={"seed": seed})
        if settings:
            spec, _ = with_layer(axes, sections, given, OVERRIDES, methods, FIELDS_ALONE)
        try:
            spec.check()
        except KeyProblem:  # raised again, with the layer to blame
            _, sections = self._before_overrides(start, None)
            return with_layer(axes, sections, given, OVERRIDES, methods, None)[0]
        return spec

    def _assembled(self, start: tuple[str, ...], context: str | None) -> tuple[RunSpec, dict[str, Any]]:
        """The specification of all layers but the overrides, for seed 0, and its sections, checked after each of
        them as the ``context`` says."""
        axes: dict[str, Any] = dict(zip(SPECIFIED, start, strict=True)) | {"seed": 0, "overrides": []}
        method, numerics, scale = axes["method"], axes["numerics"], axes["scale"]
        found = self.experiment(axes["experiment"])
        own = self.source("experiments", axes["experiment"])
        known(own, "scales", found.scales, self.names("scales"))
        in_method = found.methods[method].scales
        scaled = (f"{own} (scales.{scale})", found.scales.get(scale, Layer()))
        if in_method is not None:
            known(own, f"methods.{method}.scales", in_method, self.names("scales"))
            scaled = (f"{own} (methods.{method}.scales.{scale})", in_method.get(scale, Layer()))
        layers: list[tuple[str, Layer]] = [
            (self.source("numerics", numerics), self.numerics(numerics)),
            (self.source("scales", scale), self.scale(scale)),
            scaled,
        ]
        return assemble(axes, found, own, layers, context)
