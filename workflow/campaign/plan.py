"""What a campaign runs: ``config/campaign.yaml``, expanded over the rows of the paper's manifest."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from solvers import backends
from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.reading import read_model
from solvers.configuration.spec import RunSpec, StrictModel
from solvers.plugins import unknown
from solvers.runs.place import Place, run_folder
from solvers.runs.record import RunRecord, read_run
from workflow.manifest import read_manifest

__all__ = ["FILE", "CampaignFile", "Expected", "Group", "Task", "left_out", "plan_of", "read_campaign"]

FILE = "campaign.yaml"


def _time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("must say its time zone, as in 2026-11-24T18:46:52+00:00")
    return text


Names = Annotated[list[str], Field(min_length=1)]
Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Reason = Annotated[str, Field(min_length=1)]


class Without(StrictModel):
    """Rows that are not run: all methods of an experiment, or those named, ``because`` of something."""

    experiment: str
    methods: Names | None = None
    because: Reason

    def holds(self, experiment: str, method: str) -> bool:
        """Whether it names this row."""
        return experiment == self.experiment and (self.methods is None or method in self.methods)


class Group(StrictModel):
    """Runs that tell as much as each other. ``optimizer``: only rows that train with it; ``at_most_seconds``: only
    runs that are expected to take no longer."""

    name: Annotated[str, Field(min_length=1)]
    title: str
    backends: Names
    numerics: Names
    seeds: Seeds
    experiments: Names | None = None
    methods: Names | None = None
    optimizer: str | None = None
    at_most_seconds: Annotated[float, Field(gt=0)] | None = None
    without: list[Without] = []


class Replace(StrictModel):
    """Archived runs that are made again if they were finished before ``made_before`` (ISO 8601), and why."""

    experiment: str
    methods: Names
    backend: str
    numerics: str
    seeds: Seeds
    made_before: Annotated[str, AfterValidator(_time)]
    because: Reason

    def holds(self, record: RunRecord) -> bool:
        """Whether it names this run, and that was made before."""
        spec, made = record.spec, datetime.fromisoformat(record.provenance.finished)
        return (
            (spec.experiment, spec.backend, spec.numerics) == (self.experiment, self.backend, self.numerics)
            and spec.method in self.methods
            and spec.seed in self.seeds
            and made < datetime.fromisoformat(self.made_before)
        )


class CampaignFile(StrictModel):
    """The file: see its comments."""

    scale: str
    without: list[Without] = []
    groups: Annotated[list[Group], Field(min_length=1)]
    replace: list[Replace] = []


@dataclass(frozen=True)
class Task:
    """A run of a group: ``archived`` if the archive has it and keeps it, ``replaces`` says why it is made again
    though the archive has it, and is empty if it has not."""

    group: str
    spec: RunSpec
    archived: bool = False
    replaces: str = ""

    def __str__(self) -> str:
        spec = self.spec
        return f"{spec.experiment} {spec.method} {spec.backend} {spec.numerics} seed {spec.seed}"


def read_campaign(catalogue: Catalogue) -> CampaignFile:
    """``campaign.yaml`` of the catalogue; :class:`ConfigurationError` names what is wrong or does not exist."""
    found = read_model(CampaignFile, catalogue.folder / FILE)
    for key, value, allowed in _named(found, catalogue):
        if value not in allowed:
            raise _wrong(catalogue, key, value, unknown("name", value, allowed))
    names = [group.name for group in found.groups]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise _wrong(catalogue, f"groups.{i}.name", name, "another group has this name")
    return found


def _wrong(catalogue: Catalogue, key: str, value: object, problem: str) -> ConfigurationError:
    return ConfigurationError(str(catalogue.folder / FILE), key, value, problem)


Named = Iterator[tuple[str, str, Sequence[str]]]


def _named(found: CampaignFile, catalogue: Catalogue) -> Named:
    """Every name in the file: its key, itself, and what is allowed there."""
    rows = _rows(catalogue)
    yield "scale", found.scale, catalogue.names("scales")
    yield from _rows_named(rows, "without", found.without)
    for i, group in enumerate(found.groups):
        at = f"groups.{i}"
        yield from ((f"{at}.backends", name, backends.names()) for name in group.backends)
        yield from ((f"{at}.numerics", name, catalogue.names("numerics")) for name in group.numerics)
        yield from ((f"{at}.experiments", name, list(rows)) for name in group.experiments or ())
        known = sorted({method for name in group.experiments or rows for method in rows[name]})
        yield from ((f"{at}.methods", name, known) for name in group.methods or ())
        yield from _rows_named(rows, f"{at}.without", group.without)
    yield from _rows_named(rows, "replace", found.replace)


def _rows_named(rows: dict[str, list[str]], at: str, entries: Sequence[Without | Replace]) -> Named:
    for i, entry in enumerate(entries):
        yield f"{at}.{i}.experiment", entry.experiment, list(rows)
        yield from ((f"{at}.{i}.methods", name, rows[entry.experiment]) for name in entry.methods or ())


def _rows(catalogue: Catalogue) -> dict[str, list[str]]:
    """The methods that the paper has of each experiment."""
    rows: dict[str, list[str]] = {}
    for row in read_manifest(catalogue).rows:
        rows.setdefault(row.experiment, []).append(row.method)
    return rows


def left_out(found: CampaignFile, catalogue: Catalogue) -> list[tuple[str, str, str]]:
    """Rows that no group has: experiment, method, and why."""
    return [
        (experiment, method, entry.because)
        for experiment, methods in _rows(catalogue).items()
        for method in methods
        for entry in found.without
        if entry.holds(experiment, method)
    ]


Expected = Callable[[RunSpec], float]
"""The CPU seconds that a run is expected to take."""


def plan_of(found: CampaignFile, catalogue: Catalogue, archive: Path, expected: Expected) -> list[Task]:
    """All runs of a campaign, group by group and the cheapest first, those that ``archive`` has among them; a run
    that several groups name stands in the first."""
    tasks: dict[Place, Task] = {}
    for group in found.groups:
        specs = [spec for spec in _specs(group, found, catalogue) if Place.of(spec) not in tasks]
        seconds = {Place.of(spec): expected(spec) for spec in specs}
        for spec in sorted(specs, key=lambda spec: seconds[Place.of(spec)]):
            if group.at_most_seconds is None or seconds[Place.of(spec)] <= group.at_most_seconds:
                tasks[Place.of(spec)] = _task(group.name, spec, found.replace, archive)
    return list(tasks.values())


def _specs(group: Group, found: CampaignFile, catalogue: Catalogue) -> Iterator[RunSpec]:
    without = [*found.without, *group.without]
    for experiment, methods in _rows(catalogue).items():
        if group.experiments is not None and experiment not in group.experiments:
            continue
        for method in methods:
            if group.methods is not None and method not in group.methods:
                continue
            if any(entry.holds(experiment, method) for entry in without):
                continue
            for numerics in group.numerics:
                yield from _of_row(group, catalogue, experiment, method, numerics, found.scale)


def _of_row(
    group: Group, catalogue: Catalogue, experiment: str, method: str, numerics: str, scale: str
) -> Iterator[RunSpec]:
    """The runs of one row: backends and seeds change nothing else, so it is resolved once for all of them."""
    spec = catalogue.resolve(experiment, method, group.backends[0], numerics, scale)
    used = {stage["optimizer"] for level in spec.levels for stage in level.stages}
    if group.optimizer is None or group.optimizer in used:
        for seed, backend in product(group.seeds, group.backends):
            yield spec.model_copy(update={"backend": backend, "seed": seed})


def _task(group: str, spec: RunSpec, entries: Sequence[Replace], archive: Path) -> Task:
    folder = run_folder(spec, archive)
    if not (folder / "run.json").exists():
        return Task(group, spec)
    record = read_run(folder)
    because = next((entry.because for entry in entries if entry.holds(record)), "")
    return Task(group, spec, archived=not because, replaces=because)
