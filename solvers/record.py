"""The directory of a run: ``run.json``, ``history.parquet``, ``fields.npz``, ``weights.safetensors``.

``run.json`` is strict JSON (a number that is not finite is null) and is checked against its schema when it is
written and when it is read. It holds its own checksum and those of the other files. Every file is written beside
its place and moved into it, ``run.json`` last.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from solvers.files import replace_file
from solvers.provenance import Provenance, text_hash
from solvers.spec import RunSpec, StrictModel
from solvers.training import RestartRecord, StageRecord

__all__ = [
    "FAILURES",
    "FILES",
    "RecordError",
    "RunErrors",
    "RunRecord",
    "check_files",
    "check_run",
    "checksum_of",
    "finite",
    "read_fields",
    "read_history",
    "read_run",
    "read_weights",
    "sha256",
    "write_run",
]

SCHEMA_VERSION = 2
"""1: without ``restarts`` and checksums, and ``last`` always there; still read."""
Status = Literal["finished", "diverged", "time-limit", "out-of-memory", "killed"]
FAILURES = get_args(Status)[1:]
FILES = ("run.json", "history.parquet", "fields.npz", "weights.safetensors")


class RecordError(Exception):
    """A file of a run that is not what it should be; the message names the file and what is wrong."""


class RunErrors(StrictModel):
    """Errors on the experiment's grid after so many iterations; null where not finite."""

    iteration: int
    rel_l2: float | None
    mean_absolute: float | None
    maximum: float | None


class RunRecord(StrictModel):
    """Everything a run says of itself.

    ``last`` is the final iterate; of a run that diverged or ran out of memory, the one that its last stage
    started from; null if the run came to none, or could not go on from its checkpoint to measure it. ``best`` is
    the recorded iterate with the lowest objective of the last level.
    ``seconds`` and ``cpu_seconds`` are by phase: startup, setup, compile, training, monitoring, checkpoints,
    evaluation; those of a run that was restarted are the sums over its processes.
    ``sha256`` holds the checksums of the other files, ``checksum`` that of everything else in this one.
    """

    schema_version: Literal[1, 2] = 2
    status: Status
    reason: str
    command: str
    spec: RunSpec
    parameters: int
    iterations: int
    function_evaluations: int
    gradient_evaluations: int
    stages: list[StageRecord]
    terms: dict[str, float | None]
    last: RunErrors | None
    best: RunErrors | None
    restarts: list[RestartRecord] = []
    seconds: dict[str, float]
    cpu_seconds: dict[str, float]
    peak_memory_bytes: int
    provenance: Provenance
    sha256: dict[str, str] = {}
    checksum: str | None = None


def finite(number: float) -> float | None:
    """``number``, or ``None`` where JSON has no word for it."""
    return float(number) if np.isfinite(number) else None


def write_run(
    folder: Path,
    record: RunRecord,
    history: pd.DataFrame,
    fields: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
) -> RunRecord:
    """Write all files of a run into ``folder``, made if need be; the record with its checksums.

    Raises :class:`RecordError` if a file cannot be written; what was finished stays as it was.
    """
    contents = {
        "history.parquet": history.to_parquet(index=False),
        "fields.npz": _npz(fields),
        "weights.safetensors": save(dict(weights)),
    }
    record = record.model_copy(update={"sha256": {name: sha256(content) for name, content in contents.items()}})
    data = record.model_dump(mode="json")
    data["checksum"] = checksum_of(data)
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    record = RunRecord.model_validate_json(text)
    for name, content in [*contents.items(), ("run.json", text.encode())]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            replace_file(folder / name, content)
        except OSError as error:
            raise RecordError(f"{folder / name}: cannot be written: {error.strerror}") from None
    return record


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def sha256(content: bytes) -> str:
    """64 hexadecimal digits of ``content``."""
    return hashlib.sha256(content).hexdigest()


def checksum_of(data: Mapping[str, Any]) -> str:
    """SHA-256 of a record as JSON without its ``checksum``, whatever the order of its keys."""
    rest = {key: value for key, value in data.items() if key != "checksum"}
    return sha256(json.dumps(rest, sort_keys=True).encode())


def read_run(folder: Path) -> RunRecord:
    """The record in ``folder``; :class:`RecordError` if it is missing, damaged, edited or of another schema."""
    path = folder / "run.json"
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise RecordError(f"{path}: is damaged: not JSON: {error}") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version not in (1, SCHEMA_VERSION):
        raise RecordError(f"{path}: schema_version {json.dumps(version)}: must be 1 or {SCHEMA_VERSION}")
    try:
        record = RunRecord.model_validate_json(text)
    except ValidationError as error:
        raise RecordError(f"{path}: not a run of schema {version}: {error}") from None
    if version > 1 and record.checksum != checksum_of(data):
        raise RecordError(f"{path}: is not what was written (its checksum differs); was it edited?")
    return record


def check_files(folder: Path, record: RunRecord, names: Iterable[str] = FILES) -> None:
    """:class:`RecordError` if a file of the run is missing or is not the one that was written.

    Archived runs and those of schema 1 have other checksums or none: their files must only be there.
    """
    for name in names:
        path = folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RecordError(f"{path}: cannot be read: {error.strerror}") from None
        expected = record.sha256.get(name)
        if expected and not (folder / "archive.json").exists() and sha256(content) != expected:
            raise RecordError(f"{path}: is not the file that was written (its SHA-256 differs)")


def check_run(folder: Path) -> RunRecord:
    """The record of the run in ``folder`` if it has the specification that it was made with and all its files are
    there and readable; else :class:`RecordError`."""
    record = read_run(folder)
    check_files(folder, record)
    path = folder / "run.json"
    if record.provenance.spec_hash != text_hash(json.loads(path.read_text(encoding="utf-8"))["spec"]):
        raise RecordError(f"{path}: spec: its hash is not {record.provenance.spec_hash}; was it edited?")
    for read in (read_history, read_fields, read_weights):
        read(folder)
    return record


def read_history(folder: Path) -> pd.DataFrame:
    """The history of the run in ``folder``, a row for each recorded iterate."""
    path = folder / "history.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: not a readable history: {error}") from None


def read_fields(folder: Path) -> dict[str, np.ndarray]:
    """Coordinates by name, ``exact`` (or the computed reference) and ``predicted`` of the run in ``folder``."""
    path = folder / "fields.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise RecordError(f"{path}: not readable fields: {error}") from None


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Parameters of the last and the best iterate and frozen arrays, by name, of the run in ``folder``."""
    path = folder / "weights.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise RecordError(f"{path}: not readable weights: {error}") from None
