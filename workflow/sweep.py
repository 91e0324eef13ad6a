"""The runs of a pipeline: the configuration's axes, checked before any job starts, and their product."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from solvers import backends
from solvers.archive import ARCHIVE, verify
from solvers.configuration import Catalogue, ConfigurationError
from solvers.fingerprint import fingerprint
from solvers.provenance import spec_hash
from solvers.record import read_run
from solvers.run import run_folder
from solvers.spec import RunSpec
from solvers.strict_yaml import check_plain, read_value, read_yaml

__all__ = ["Sweep"]

SOURCE = "config/config.yaml or --config"
KEYS = ("scale", "seeds", "backends", "numerics", "experiments", "methods", "runs", "gpu")
RUNS = ("fresh", "archive")
RUN_AXES = ("experiment", "method", "backend", "numerics", "seed")
RESULTS = Path("results")
MOST_SEEDS = 10_000
LONGEST_SEED = 18


@dataclass(frozen=True)
class Sweep:
    """All runs of one configuration, made by the pipeline or taken from the archive, and where their results and
    reports stand. ``gpu``: cards that a run takes."""

    scale: str
    specs: tuple[RunSpec, ...]
    archived: bool = False
    gpu: int = 0

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], catalogue: Catalogue | None = None, files: Iterable[Path | str] = ()
    ) -> "Sweep":
        """The sweep; :class:`ConfigurationError` names key, value and what is allowed.

        ``files`` are those that Snakemake read ``config`` from: it lets pass what a strict reader refuses,
        such as a key given twice.
        """
        for file in files:
            read_yaml(Path(file), str(file))
        check_plain(dict(config), SOURCE)
        catalogue = catalogue or Catalogue()
        for key in config:
            if key not in KEYS:
                raise ConfigurationError(SOURCE, key, config[key], f"unknown key; allowed: {', '.join(KEYS)}")
        scale = _one("scale", config.get("scale", "quick"), catalogue.names("scales"))
        archived = _one("runs", config.get("runs", "fresh"), RUNS) == "archive"
        seeds = _seeds(config.get("seeds"), catalogue.scale(scale).seeds)
        experiments = _experiments(catalogue, config.get("experiments", "all"))
        gpu = _cards(config.get("gpu", 0))
        chosen = {
            "backends": _names("backends", config.get("backends", "all"), backends.names()),
            "numerics": _names("numerics", config.get("numerics", "paper"), catalogue.names("numerics")),
            "methods": _methods(catalogue, experiments, config.get("methods", "all")),
        }
        if archived:
            chosen["seeds"] = None if config.get("seeds") is None else seeds
            return cls(scale, tuple(_archived(experiments, chosen, scale)), archived=True)
        return cls(scale, tuple(_specs(catalogue, experiments, chosen, scale, seeds)), gpu=gpu)

    @classmethod
    def from_command_line(cls, catalogue: Catalogue, assignments: Iterable[str] = ()) -> "Sweep":
        """The sweep of ``config.yaml`` in the catalogue with ``key=value`` laid on, like ``--config``."""
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
        return cls.from_config(config | given, catalogue)

    @property
    def experiments(self) -> list[str]:
        """Names of the experiments that have runs."""
        return list(dict.fromkeys(spec.experiment for spec in self.specs))

    @property
    def name(self) -> str:
        """Name of the folder of tables and figures: the scale, and whether the runs are archived ones."""
        return f"{self.scale}-archive" if self.archived else self.scale

    def grouped(self, experiment: str) -> bool:
        """Whether a method of the experiment groups its residual by subdomains."""
        return any(spec.groups for spec in self.specs if spec.experiment == experiment)

    def folders(self, experiment: str | None = None) -> list[Path]:
        """Run directories, of one experiment or of all."""
        root = ARCHIVE if self.archived else RESULTS
        return [run_folder(s, root) for s in self.specs if experiment in (None, s.experiment)]

    def find(self, wildcards: Mapping[str, str]) -> RunSpec:
        """The run that has these values of experiment, method, backend, numerics and seed."""
        return self._by_axes[tuple(wildcards[axis] for axis in RUN_AXES)]

    @cached_property
    def _by_axes(self) -> dict[tuple[str, ...], RunSpec]:
        return {tuple(str(getattr(spec, axis)) for axis in RUN_AXES): spec for spec in self.specs}

    def identity(self, wildcards: Mapping[str, str]) -> str:
        """Specification and code of a run: when this changes, the run is made again."""
        spec = self.find(wildcards)
        return f"spec {spec_hash(spec)}, code {fingerprint(spec.plugins())}"


def _specs(
    catalogue: Catalogue,
    experiments: Sequence[str],
    chosen: Mapping[str, Any],
    scale: str,
    seeds: Sequence[int],
) -> Iterator[RunSpec]:
    """The product of the axes. Backends and seeds change nothing else, so each method is resolved once."""
    for experiment in experiments:
        for method in catalogue.experiment(experiment).methods:
            if method not in chosen["methods"]:
                continue
            for numerics in chosen["numerics"]:
                spec = catalogue.resolve(experiment, method, chosen["backends"][0], numerics, scale, seeds[0])
                for backend in chosen["backends"]:
                    for seed in seeds:
                        yield spec.model_copy(update={"backend": backend, "seed": seed})


def _archived(experiments: Sequence[str], chosen: Mapping[str, Any], scale: str) -> Iterator[RunSpec]:
    """The archived runs that have the axes chosen, experiment by experiment, whole as they were archived."""
    found = 0
    for experiment in experiments:
        for path in sorted((ARCHIVE / scale / experiment).glob("*/*/*/*/run.json")):
            verify(path.parent)
            spec = read_run(path.parent).spec
            wanted = {
                "backends": spec.backend,
                "numerics": spec.numerics,
                "methods": spec.method,
                "seeds": spec.seed,
            }
            if all(chosen[key] is None or value in chosen[key] for key, value in wanted.items()):
                found += 1
                yield spec
    if not found:
        problem = f"no archived run of scale {scale} has the axes chosen; see {ARCHIVE}"
        raise ConfigurationError(SOURCE, "runs", "archive", problem)


def _experiments(catalogue: Catalogue, value: Any) -> list[str]:
    """Experiments by name; ``all`` are those of the paper."""
    names = catalogue.names("experiments")
    if value == "all" and (paper := [name for name in names if catalogue.experiment(name).in_paper]):
        return paper
    return _names("experiments", None if value == "all" else value, names)


def _methods(catalogue: Catalogue, experiments: Sequence[str], value: Any) -> list[str]:
    known = dict.fromkeys(m for name in experiments for m in catalogue.experiment(name).methods)
    return _names("methods", value, list(known))


def _one(key: str, value: Any, allowed: Sequence[str]) -> str:
    if value not in allowed:
        hint = "; YAML reads on, off, yes and no as true and false" if isinstance(value, bool) else ""
        listed = ", ".join(allowed) or "none"
        raise ConfigurationError(SOURCE, key, value, f"unknown name; allowed: {listed}{hint}")
    return value


def _names(key: str, value: Any, allowed: Sequence[str]) -> list[str]:
    """Names from ``all``, ``a``, ``a,b`` or a list; each once, in the order given."""
    if value == "all" and allowed:
        return list(allowed)
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise ConfigurationError(SOURCE, key, value, f"must be all or names of: {', '.join(allowed)}")
    found = [_one(key, name.strip() if isinstance(name, str) else name, ["all", *allowed]) for name in names]
    if len(set(found)) != len(found) or "all" in found:
        raise ConfigurationError(SOURCE, key, value, "names each thing once, or is just all")
    return found


def _seeds(value: Any, default: int) -> list[int]:
    """Seeds from a count, a list, or ``None`` for the scale's count.

    Snakemake hands over the numbers of ``seeds=[0,7]`` as texts.
    """
    value = default if value is None else value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SEEDS:
        return list(range(value))
    texts = [str(seed) for seed in value] if isinstance(value, list) else []
    seeds = [int(text) for text in texts if text.isdecimal() and len(text) <= LONGEST_SEED]
    if seeds and len(seeds) == len(texts) == len(set(seeds)):
        return seeds
    problem = (
        f"must be a count of at least 1 (and at most {MOST_SEEDS}), or a list of different seeds such as [0,7]"
    )
    raise ConfigurationError(SOURCE, "seeds", value, problem)


def _cards(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ConfigurationError(SOURCE, "gpu", value, "must be how many cards a run takes: 0, 1, 2, ...")
