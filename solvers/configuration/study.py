"""Studies: which runs belong together. They are the product of experiments, methods, backends, numerics, seeds and
axes, checked before any of them starts.

A study is a file of ``config/studies``; ``config.yaml`` and ``--config`` choose one and may override what it runs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from types import MappingProxyType
from typing import Any

from solvers import backends
from solvers.configuration.axes import Axis, axes_of
from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.choices import SOURCE, gpus, names_of, one_of, seeds_of
from solvers.configuration.documents import StudyEntry
from solvers.configuration.overrides import Override, parse_key
from solvers.configuration.spec import RunSpec
from solvers.configuration.strict_yaml import check_plain, read_value, read_yaml
from solvers.plugins import unknown

__all__ = ["KEYS", "Study", "read_config", "study_of"]

CHOSEN = ("seeds", "backends", "numerics", "experiments", "methods")
"""What a configuration may choose otherwise than the study does."""
KEYS = ("study", "scale", *CHOSEN, "runs", "gpu")
OF_EVERY_LEVEL = ("balancing", "stages", "optimizers")
"""First parts of keys that change all levels, or all stages of a name: a mistake has the key of one of these."""
RUNS = ("fresh", "archive", "both")


@dataclass(frozen=True)
class Study:
    """What a configuration runs: a study's file with the configuration's choices.

    ``settings`` change all runs, ``settings_in`` those of an experiment, ``axes`` span the points. ``narrowed``
    are the choices that differ from the file's, as ``key=value``. ``runs`` is ``fresh``, ``archive`` or ``both``:
    see :mod:`solvers.runs.sources`. ``seeds`` is ``None`` for all that the archive has. ``gpus``: how many a run
    takes. ``published``: the experiments for whose problems others publish errors.
    """

    name: str
    entry: StudyEntry
    scale: str
    experiments: tuple[str, ...]
    methods: tuple[str, ...]
    backends: tuple[str, ...]
    numerics: tuple[str, ...]
    seeds: tuple[int, ...] | None
    settings: tuple[Override, ...]
    settings_in: Mapping[str, tuple[Override, ...]]
    axes: tuple[Axis, ...]
    narrowed: tuple[str, ...] = ()
    runs: str = "fresh"
    gpus: int = 0
    published: tuple[str, ...] = ()

    def points(self, experiment: str) -> list[tuple[str, ...]]:
        """The overrides of every point of an experiment, settings among them; one point without axes."""
        settings = (*self.settings, *self.settings_in.get(experiment, ()))
        points = product(*(axis.values for axis in self.axes))
        return [tuple(map(str, (*settings, *chain.from_iterable(point)))) for point in points]

    def specs(self, catalogue: Catalogue) -> Iterator[RunSpec]:
        """All runs, experiment by experiment; :class:`ConfigurationError` if one cannot be.

        Backends and seeds change nothing else, so each point is resolved once for all of them."""
        seeds = self.seeds or (0,)
        for experiment in self.experiments:
            points = self.points(experiment)
            for method in catalogue.experiment(experiment).methods:
                if method not in self.methods:
                    continue
                for numerics, point in product(self.numerics, points):
                    spec = self._resolved(catalogue, experiment, method, numerics, point)
                    for backend, seed in product(self.backends, seeds):
                        yield spec.model_copy(update={"backend": backend, "seed": seed})

    def _resolved(
        self, catalogue: Catalogue, experiment: str, method: str, numerics: str, point: Sequence[str]
    ) -> RunSpec:
        try:
            return catalogue.resolve(experiment, method, self.backends[0], numerics, self.scale, 0, point)
        except ConfigurationError as error:
            at = self._stated_at(error.key, experiment, point)
            if at is None:
                raise
            shown = f"{experiment} {method} cannot have it: {error.key}: {error.problem}"
            raise ConfigurationError(catalogue.source("studies", self.name), *at, shown) from None

    def _stated_at(self, key: str, experiment: str, point: Sequence[str]) -> tuple[str, str] | None:
        """Where the study's file makes one of the overrides of a ``point`` that change what stands at a key of the
        specification of an experiment's run: the place in the file, the key that is changed."""
        stated = {
            f"axes.{i}.{at}": change for i, axis in enumerate(self.axes) for at, change in axis.stated.items()
        }
        stated |= {f"set.{setting.key}": setting for setting in self.settings}
        own = self.settings_in.get(experiment, ())
        stated |= {f"set_in.{experiment}.{setting.key}": setting for setting in own}
        # An axis of values has one place for all of them.
        of_point = [each for each in stated.items() if str(each[1]) in point or each[0].endswith(".path")]
        for place, override in of_point:
            path = ".".join(override.keys)
            of_every_level = override.keys[0] in OF_EVERY_LEVEL and set(override.keys) & set(key.split("."))
            if path.startswith(key) or key.startswith(path) or of_every_level:
                return place, override.key
        return None

    def holds(self, spec: RunSpec) -> bool:
        """Whether a run, an archived one say, is one of this study's."""
        return (
            spec.scale == self.scale
            and spec.experiment in self.experiments
            and spec.method in self.methods
            and spec.backend in self.backends
            and spec.numerics in self.numerics
            and (self.seeds is None or spec.seed in self.seeds)
            and set(spec.overrides) in [set(point) for point in self.points(spec.experiment)]
        )


def study_of(
    config: Mapping[str, Any], catalogue: Catalogue | None = None, files: Iterable[Path | str] = ()
) -> Study:
    """The study that a configuration chooses; :class:`ConfigurationError` names key, value and what is allowed.

    ``files`` are those that Snakemake read ``config`` from: it lets pass what a strict reader refuses, such as a
    key given twice. A key that is missing or null is as the study has it.
    """
    for file in files:
        read_yaml(Path(file), str(file))
    check_plain(dict(config), SOURCE)
    catalogue = catalogue or Catalogue()
    for key in config:
        if key not in KEYS:
            raise ConfigurationError(SOURCE, key, config[key], unknown("key", key, KEYS))
    given = {key: value for key, value in config.items() if value is not None}
    name = one_of(SOURCE, "study", given.get("study", "paper"), catalogue.names("studies"))
    entry, source = catalogue.study(name), catalogue.source("studies", name)
    scale = _chosen(given, entry, source, "scale", catalogue.names("scales"))
    runs = one_of(SOURCE, "runs", given.get("runs", "fresh"), RUNS)
    chosen = _choices(given, entry, source, catalogue, scale)
    plain = chosen | {
        key: _choices(_without(given, key), entry, source, catalogue, scale)[key] for key in given if key in CHOSEN
    }
    if runs == "archive" and "seeds" not in given:
        chosen["seeds"] = plain["seeds"] = None
    if runs == "archive" and "numerics" not in given:
        # What float64 gives is shown beside the paper's numerics: a stall is the precision's, or the method's.
        chosen["numerics"] = plain["numerics"] = tuple(catalogue.names("numerics"))
    return Study(
        name=name,
        entry=entry,
        scale=scale,
        settings=_settings(entry.set, source, "set"),
        settings_in=_settings_in(entry, source, catalogue),
        axes=axes_of(entry.axes, source),
        narrowed=tuple(f"{key}={_short(chosen[key])}" for key in CHOSEN if chosen[key] != plain[key]),
        runs=runs,
        gpus=gpus(given.get("gpu", 0)),
        published=tuple(name for name in chosen["experiments"] if catalogue.experiment(name).published),
        **chosen,
    )


def _without(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != key}


def read_config(catalogue: Catalogue, assignments: Iterable[str] = ()) -> dict[str, Any]:
    """``config.yaml`` of the catalogue with ``key=value`` laid on, like ``--config``."""
    file = catalogue.folder / "config.yaml"
    config = read_yaml(file, str(file)) or {}
    if not isinstance(config, dict):
        raise ConfigurationError(str(file), "", None, "must be a mapping of keys to values")
    given: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or key in given:
            problem = "is given twice" if equals else "must read KEY=VALUE"
            raise ConfigurationError("--config", key, None, problem)
        given[key] = read_value(text, "--config", key)
    return config | given


def _chosen(given: Mapping[str, Any], entry: StudyEntry, source: str, key: str, allowed: Sequence[str]) -> str:
    """One name, of the configuration or of the study."""
    where = SOURCE if key in given else source
    return one_of(where, key, given.get(key, getattr(entry, key)), allowed)


def _choices(
    given: Mapping[str, Any], entry: StudyEntry, source: str, catalogue: Catalogue, scale: str
) -> dict[str, Any]:
    """Seeds and names, of the configuration where it says something, else of the study."""

    def values(
        key: str,
        allowed: Sequence[str],
        every: Sequence[str] = (),
        groups: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> tuple[str, ...]:
        where = SOURCE if key in given else source
        return tuple(names_of(where, key, given.get(key, getattr(entry, key)), allowed, every, groups))

    names = catalogue.names("experiments")
    paper = [name for name in names if catalogue.experiment(name).in_paper]
    experiments = values("experiments", names, paper, catalogue.groups)
    of_these = dict.fromkeys(m for name in experiments for m in catalogue.experiment(name).methods)
    of_paper = dict.fromkeys(
        method
        for name in experiments
        for method, entry in catalogue.experiment(name).methods.items()
        if entry.in_paper
    )
    known = (
        of_these
        if "methods" in given
        else dict.fromkeys(m for name in names for m in catalogue.experiment(name).methods)
    )
    seeds = given.get("seeds", entry.seeds)
    where = SOURCE if "seeds" in given else source
    return {
        "experiments": experiments,
        "seeds": tuple(seeds_of(where, seeds, catalogue.scale(scale).seeds)),
        "backends": values("backends", backends.names()),
        "numerics": values("numerics", catalogue.names("numerics")),
        "methods": values("methods", list(known), list(of_paper)),
    }


def _settings(stated: Mapping[str, Any], source: str, at: str) -> tuple[Override, ...]:
    return tuple(Override(parse_key(key, source, f"{at}.{key}"), value) for key, value in stated.items())


def _settings_in(entry: StudyEntry, source: str, catalogue: Catalogue) -> dict[str, tuple[Override, ...]]:
    for experiment in entry.set_in:
        one_of(source, f"set_in.{experiment}", experiment, catalogue.names("experiments"))
    return {name: _settings(stated, source, f"set_in.{name}") for name, stated in entry.set_in.items()}


def _short(values: Sequence[Any]) -> str:
    """Names separated by ~, for a comma may not stand in a folder that Snakemake hands to a cluster's jobs; seeds
    that are a count as the count."""
    if list(values) == list(range(len(values))):
        return str(len(values))
    return "~".join(map(str, values))
