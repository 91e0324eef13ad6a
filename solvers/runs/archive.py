"""The archive: finished runs, checked and thinned, kept under version control and written by no rule.

An archived run has the files of a run (:mod:`solvers.runs.record`), smaller, and ``archive.json``, which says what
was left out and holds the checksums of the rest. ``run.json`` is copied as it is, or translated if it is of an
older schema (:mod:`solvers.runs.upgrade`).
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from solvers.configuration.identity import spec_hash
from solvers.configuration.spec import RunSpec, StrictModel
from solvers.runs.files import read_json, replace_file, replace_folder
from solvers.runs.place import Place, run_folder
from solvers.runs.record import (
    FILES,
    RecordError,
    RunRecord,
    check_specification,
    checksum_of,
    read_data,
    read_fields,
    read_history,
    read_run,
    read_weights,
    sha256,
)
from solvers.runs.trusted import check_trusted
from solvers.runs.upgrade import SCHEMA_VERSION, upgrade

__all__ = [
    "ARCHIVE",
    "SMALL",
    "WHOLE",
    "ArchiveRecord",
    "Limits",
    "Translation",
    "archive_run",
    "archived_specs",
    "check_trusted",
    "translate",
    "verify",
]

ARCHIVE = Path("results/archive")
MOST_BYTES = 200 * 1024


@dataclass(frozen=True)
class Limits:
    """What is kept of a run at most: bytes of its weights, rows of its history, nodes of its fields."""

    weight_bytes: int
    rows: int
    nodes: int


WHOLE = Limits(weight_bytes=120 * 1024, rows=200, nodes=2601)
SMALL = Limits(weight_bytes=0, rows=50, nodes=441)
"""Of hundreds of runs that fresh ones are compared with: what their record says, and small pictures."""


class Translation(StrictModel):
    """What an archived ``run.json`` was before it was brought to a later schema: its schema, and its SHA-256."""

    schema_version: int
    sha256: str


class ArchiveRecord(StrictModel):
    """``archive.json``: when, what was left out, the SHA-256 of each file, and of which schema the record was."""

    schema_version: int = 1
    archived: str
    left_out: list[str]
    sha256: dict[str, str]
    translated: Translation | None = None


def archive_run(folder: Path, root: Path = ARCHIVE, replace: bool = False, limits: Limits = WHOLE) -> Path:
    """Check the run in ``folder``, thin it to ``limits`` and put it into the archive; its new folder.

    Raises :class:`RecordError` if it fails a check, stays too large, or is there already and not to be replaced.
    """
    record = check_trusted(folder)
    target = run_folder(record.spec, root)
    if target.exists() and not replace:
        raise RecordError(f"{target}: is in the archive already; --replace puts this run in its place")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".archiving") as name:
        made = Path(name) / target.name
        made.mkdir()
        left_out = _thin(folder, made, limits)
        translated = _write_record(folder, made, record)
        sums = {path.name: sha256(path.read_bytes()) for path in sorted(made.iterdir())}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        note = ArchiveRecord(archived=now, left_out=left_out, sha256=sums, translated=translated)
        _write_note(made, note)
        size = sum(path.stat().st_size for path in made.iterdir())
        if size > MOST_BYTES:
            raise RecordError(f"{folder}: takes {size} bytes when thinned; the archive's limit is {MOST_BYTES}")
        replace_folder(made, target, made.with_name(".old"), {*FILES, "archive.json"})
    return target


def translate(folder: Path) -> ArchiveRecord:
    """Bring an archived run's record to this schema where it stands; its note. One of this schema stays as it is.

    Raises :class:`RecordError` if a file is not what was archived, or the record not what was written.
    """
    note, record = verify(folder), check_specification(folder)
    translated = _write_record(folder, folder, record)
    if translated is not None:
        sums = note.sha256 | {"run.json": sha256((folder / "run.json").read_bytes())}
        note = note.model_copy(update={"sha256": sums, "translated": translated})
        _write_note(folder, note)
    return note


def _write_record(folder: Path, made: Path, record: RunRecord) -> Translation | None:
    """Put the ``run.json`` of ``folder`` into ``made``, as it is or brought to this schema; from what, if so.

    Only the specification's layout, its hash and the checksum become others: the code's fingerprint and commit
    are those that made the run.
    """
    written = (folder / "run.json").read_bytes()
    data = read_data(folder)
    version = data["schema_version"]
    if version == SCHEMA_VERSION:
        replace_file(made / "run.json", written)
        return None
    data = upgrade(data) | {"spec": record.spec.model_dump(mode="json")}
    data["provenance"] = data["provenance"] | {"spec_hash": spec_hash(record.spec)}
    data |= {"checksum": checksum_of(data)}
    replace_file(made / "run.json", (json.dumps(data, indent=2, allow_nan=False) + "\n").encode())
    return Translation(schema_version=version, sha256=sha256(written))


def _write_note(folder: Path, note: ArchiveRecord) -> None:
    text = note.model_dump_json(indent=2, exclude_none=True) + "\n"
    replace_file(folder / "archive.json", text.encode())


def _thin(folder: Path, made: Path, limits: Limits) -> list[str]:
    """Write the smaller files into ``made``; what was left out, in words."""
    history = read_history(folder)
    kept = _thin_rows(history, limits.rows)
    kept.to_parquet(made / "history.parquet", index=False, compression="zstd")
    fields = read_fields(folder)
    thinner = _thin_fields(fields, limits.nodes)
    with (made / "fields.npz").open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **thinner)
    shapes = (fields["exact"].shape, thinner["exact"].shape)
    left_out = [f"history: {len(history) - len(kept)} of {len(history)} rows"]
    left_out += [f"fields: {shapes[1]} of {shapes[0]} nodes, in float32"]
    arrays = {k: v for k, v in read_weights(folder).items() if not k.startswith("best/")}
    size = sum(array.nbytes for array in arrays.values())
    if size > limits.weight_bytes:
        return [*left_out, f"weights: all ({size} bytes)"]
    save_file(arrays, made / "weights.safetensors")
    return [*left_out, "weights: those of the best iterate"]


def _thin_rows(history: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most about ``most`` rows, evenly, with the first of each stage and the last."""
    even = np.linspace(0, len(history) - 1, min(most, len(history))).round().astype(int)
    starts = np.flatnonzero(history.stage.diff().fillna(1))
    kept = history.iloc[np.union1d(even, starts)]
    real = kept.select_dtypes("float64").columns
    return kept.astype({name: "float32" for name in real})


def _thin_fields(fields: Mapping[str, np.ndarray], most: int) -> dict[str, np.ndarray]:
    """Every second, third, ... node along each coordinate, so that there are ``most`` at most, float32."""
    shape, step = fields["exact"].shape, 1
    while np.prod([-(-count // step) for count in shape]) > most:
        step += 1
    return {
        name: array[(slice(None, None, step),) * array.ndim].astype("float32") for name, array in fields.items()
    }


def verify(folder: Path) -> ArchiveRecord:
    """The note of an archived run whose files are all as they were written; else :class:`RecordError`."""
    path = folder / "archive.json"
    try:
        note = ArchiveRecord.model_validate(read_json(path))
    except (OSError, ValueError) as error:  # pydantic's own is a ValueError
        raise RecordError(f"{path}: not a readable note of an archived run: {error}") from None
    for name in FILES:
        if name not in note.sha256 and (folder / name).exists():
            raise RecordError(f"{path}: has no SHA-256 of {name}")
    for name, expected in note.sha256.items():
        if not (folder / name).is_file() or sha256((folder / name).read_bytes()) != expected:
            raise RecordError(f"{folder / name}: is not the file that was archived (SHA-256 {expected[:16]}...)")
    return note


def archived_specs(scale: str, root: Path = ARCHIVE) -> Iterator[RunSpec]:
    """The specifications of all archived runs at a scale, whole as they were archived, in order of their places.

    Raises :class:`RecordError` for a run whose files have changed, or that is in another's place.
    """
    for folder in Place.glob(root, scale=scale):
        verify(folder)
        spec = read_run(folder).spec
        if run_folder(spec, root) != folder:
            raise RecordError(f"{folder / 'run.json'}: is the record of {Place.of(spec).path}")
        yield spec
