"""The layers of a run's specification, put together and checked one after the other."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

import problems
from problems import ExactProblem
from solvers import optimizers
from solvers.configuration.documents import Experiment, Layer, Stages
from solvers.configuration.layers import SUPERVISED, base_sections, lay, levels_of_run
from solvers.configuration.reading import checked
from solvers.configuration.spec import RunSpec
from solvers.configuration.strict_yaml import ConfigurationError
from solvers.plugins import KeyProblem, unknown
from solvers.points.grids import uniform_grid

__all__ = ["assemble", "blamed_on", "known", "with_layer"]

COARSE = 9


def known(source: str, section: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    """:class:`ConfigurationError` for the first of the ``names`` in a section of a source that is not allowed."""
    for name in names:
        if name not in allowed:
            raise ConfigurationError(source, f"{section}.{name}", None, unknown("name", name, allowed))


def assemble(
    axes: Mapping[str, Any],
    experiment: Experiment,
    own: str,
    layers: Sequence[tuple[str, Layer]],
    context: str | None,
) -> tuple[RunSpec, dict[str, Any]]:
    """The specification of all layers, and its sections, checked after each of them: as a whole, or as the
    ``context`` says."""
    method, methods = axes["method"], list(experiment.methods)

    def in_experiment(key: str) -> str:
        return _place_in_experiment(experiment, method, key)

    checked(Stages, {"stages": experiment.stages}, own)
    with blamed_on(own, in_experiment):
        sections = base_sections(experiment, method)
    spec = _specification(axes, sections, own, in_experiment, context)
    dimension = str(spec.build_problem().dimension)
    if dimension in experiment.methods[method].dimensions:
        own_layer = experiment.methods[method].dimensions[dimension]
        layers = [(f"{own} (methods.{method}.dimensions.{dimension})", own_layer), *layers]
    for source, layer in layers:
        spec, sections = with_layer(axes, sections, layer, source, methods, context)
    return spec, sections


def with_layer(
    axes: Mapping[str, Any],
    sections: dict[str, Any],
    layer: Layer,
    source: str,
    methods: Sequence[str],
    context: str | None,
) -> tuple[RunSpec, dict[str, Any]]:
    """The specification and its sections with one layer laid on, and then what it says of the run's method, one of
    the experiment's ``methods``."""
    known(source, "methods", layer.methods, methods)
    spec, sections = _laid(axes, sections, layer, source, context)
    method = axes["method"]
    if method in layer.methods:
        source = f"{source} (methods.{method})"
        part = checked(Layer, layer.methods[method], source)
        known(source, "methods", part.methods, ())
        spec, sections = _laid(axes, sections, part, source, context)
    return spec, sections


@contextmanager
def blamed_on(source: str, place: Callable[[str], str] = lambda key: key) -> Iterator[None]:
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
    known(source, "stages", layer.stages, sections["stages"])
    known(source, "points", layer.points, [*sections["points"], SUPERVISED])
    known(source, "optimizers", layer.optimizers, optimizers.names())

    def place(key: str) -> str:
        return _place_in_layer(layer, laid, key)

    with blamed_on(source):
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
