"""Results of several machines in one folder: finished runs are checked and copied, conflicts refused and named.

What comes from others is data: only a run's own files are read and copied, by readers that run no code, and each
run goes to the place that its specification has.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.identity import spec_hash
from solvers.configuration.spec import RunSpec
from solvers.runs.contents import check_run
from solvers.runs.files import replace_folder
from solvers.runs.fingerprint import fingerprint
from solvers.runs.finished import unlike
from solvers.runs.place import Place
from solvers.runs.record import (
    FILES,
    RecordError,
    RunRecord,
    read_fields,
    read_history,
    read_run,
    read_weights,
)
from solvers.runs.status import read_progress

__all__ = ["Merged", "merge_results"]

Keep = Literal["ours", "theirs"]
UNLIKE = {"schema_version", "command", "restarts", "seconds", "cpu_seconds", "peak_memory_bytes", "provenance"}
UNLIKE |= {"sha256", "checksum"}  # those of the history cover its seconds
"""What two runs of the same numbers may differ in; of the provenance the code is compared."""


@dataclass
class Merged:
    """What became of every run, by its folder below the results: ``copied``, ``replaced`` on request, ``same`` as
    those that are there, ``kept`` on request, and ``refused`` with the reason. ``foreign`` are those copied that
    other code made than this: they take part in tables all the same."""

    copied: list[Path] = field(default_factory=list)
    replaced: list[Path] = field(default_factory=list)
    same: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    refused: dict[Path, str] = field(default_factory=dict)
    foreign: list[Path] = field(default_factory=list)


def merge_results(
    sources: Sequence[Path], target: Path, keep: Keep | None = None, catalogue: Catalogue | None = None
) -> Merged:
    """Copy the finished runs of all ``sources``, folders of results, into ``target``.

    A run must have the specification that its place has in the ``catalogue`` here. One that is there with the
    same numbers, specification and code is skipped. If it differs, it is refused unless ``keep`` says whose to
    keep. Two sources that differ from each other are refused always. Raises :class:`RecordError` for a source that
    is no folder of results, before anything is copied.
    """
    offers: dict[Path, list[Path]] = {}
    catalogue = catalogue or Catalogue()
    for source in sources:
        found = [folder.relative_to(source) for folder in Place.glob(source)]
        if not found:
            raise RecordError(f"{source}: holds no run; name a folder with <scale>/<experiment>/... in it")
        for place in found:
            offers.setdefault(place, []).append(source / place)
    merged = Merged()
    for place, folders in sorted(offers.items()):
        try:
            for folder in folders:
                _check_specification(_check_offer(folder, place).spec, folder, catalogue)
            _merge_one(place, folders, target, keep, merged)
        except RecordError as error:
            merged.refused[place] = str(error)
        except OSError as error:
            raise RecordError(f"{error.filename or target / place}: cannot be copied: {error.strerror}") from None
    return merged


def _merge_one(place: Path, folders: Sequence[Path], target: Path, keep: Keep | None, merged: Merged) -> None:
    theirs = folders[0]
    for other in folders[1:]:
        if (difference := _difference(theirs, other)) is not None:
            raise RecordError(f"{theirs} and {other} differ in {difference}; merge one of them first")
    ours = target / place
    if (progress := read_progress(ours)) and progress.alive:
        raise RecordError(f"{ours}: is being made at this moment")
    if ours.is_symlink() or (ours.exists() and not ours.is_dir()):
        raise RecordError(f"{ours}: is no folder; remove it, then merge again")
    new = not ours.exists()
    difference = "all" if new else _difference_from_ours(ours, theirs)
    if difference is None:
        merged.same.append(place)
    elif new or keep == "theirs":
        found = _copy(theirs, target, place)
        (merged.copied if new else merged.replaced).append(place)
        if found.provenance.fingerprint != fingerprint(found.spec.plugins()):
            merged.foreign.append(place)
    elif keep == "ours":
        merged.kept.append(place)
    else:
        raise RecordError(f"{ours} and {theirs} differ in {difference}; --keep ours or --keep theirs decides")


def _check_offer(folder: Path, place: Path) -> RunRecord:
    """The record of a run that belongs to ``place`` and has only readable files; else :class:`RecordError`."""
    for name in FILES:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise RecordError(f"{path}: is missing, or is no plain file")
    belongs = Place.of(read_run(folder).spec).path
    if belongs != place:
        raise RecordError(f"{folder / 'run.json'}: is the record of {belongs}")
    return check_run(folder)


def _check_specification(spec: RunSpec, folder: Path, catalogue: Catalogue) -> None:
    """:class:`RecordError` if the run in ``folder`` was made from another specification than its place, overrides
    included, has here: under another catalogue the same names mean other numbers."""
    names = (spec.experiment, spec.method, spec.backend, spec.numerics, spec.scale, spec.seed)
    try:
        here = catalogue.resolve(*names, spec.overrides)
    except ConfigurationError as error:
        raise RecordError(f"{folder}: no such run is possible here: {error}") from None
    if spec_hash(spec) != spec_hash(here):
        found = unlike(spec.model_dump(mode="json"), here)
        raise RecordError(f"{folder}: was made from another specification: {found}")


def _difference_from_ours(ours: Path, theirs: Path) -> str | None:
    """As :func:`_difference`; what is damaged or unfinished here, in any of its files, is another thing than a
    finished run."""
    if not (ours / "run.json").exists():
        return "that the first is not finished"
    try:
        check_run(ours)
    except RecordError as error:
        return f"that the first is damaged ({error})"
    return _difference(ours, theirs)


def _difference(one: Path, other: Path) -> str | None:
    """In what two finished runs differ, times and machine apart; ``None`` if in nothing."""
    first, second = read_run(one), read_run(other)
    if first.spec != second.spec:
        return "their specification"
    if first.provenance.fingerprint != second.provenance.fingerprint:
        return "the code that made them"
    if _numbers(first) != _numbers(second):
        return "their numbers"
    if not _same_arrays(read_weights(one), read_weights(other)):
        return "their weights"
    if not _same_arrays(read_fields(one), read_fields(other)):
        return "their fields"
    histories = (read_history(folder).drop(columns="seconds", errors="ignore") for folder in (one, other))
    return None if next(histories).equals(next(histories)) else "their histories"


def _numbers(found: RunRecord) -> dict[str, Any]:
    data = found.model_dump(mode="json", exclude=UNLIKE)
    return data | {"stages": [{k: v for k, v in stage.items() if k != "seconds"} for stage in data["stages"]]}


def _same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k], equal_nan=True) for k in one)


def _copy(folder: Path, target: Path, place: Path) -> RunRecord:
    """Copy a run beside its place, check the copy, and move it there as a whole; its record."""
    into = target / place
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".merging-") as name:
        made, old = Path(name) / "new", Path(name) / "old"
        made.mkdir()
        for file in FILES:
            shutil.copyfile(folder / file, made / file, follow_symlinks=False)
            with (made / file).open("rb") as stream:
                os.fsync(stream.fileno())
        found = _check_offer(made, place)
        replace_folder(made, into, old, FILES)
    return found
