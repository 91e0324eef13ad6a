"""The directory of a run: ``run.json``, ``history.parquet``, ``fields.npz``, ``weights.safetensors``.

``run.json`` is strict JSON (a number that is not finite is null) and is checked against its schema when it is
written and when it is read. It holds its own checksum and those of the other files. All files are written into a
folder beside the run's, which then takes its place as a whole.
"""

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field, ValidationError
from safetensors.numpy import save

from solvers.configuration.identity import is_current, spec_hash
from solvers.configuration.spec import RunSpec, StrictModel
from solvers.configuration.validation import KeyProblem, first_problem
from solvers.runs.arrays import read_fields, read_history, read_weights
from solvers.runs.files import (
    RecordError,
    check_plain,
    folder_beside,
    read_record,
    replace_file,
    replace_folder,
    take_back,
)
from solvers.runs.provenance import Provenance
from solvers.runs.upgrade import SCHEMA_VERSION, text_hash, upgrade
from solvers.training.records import FAILURES, RestartRecord, StageRecord, Status

__all__ = [
    "FAILURES",
    "FILES",
    "MOST",
    "RecordError",
    "RunErrors",
    "RunRecord",
    "Stages",
    "check_files",
    "check_specification",
    "checksum_of",
    "finite",
    "mend",
    "read_data",
    "read_fields",
    "read_history",
    "read_run",
    "read_weights",
    "sha256",
    "write_run",
]

FILES = ("run.json", "history.parquet", "fields.npz", "weights.safetensors")
LONGEST_SHOWN = 120
NEW, OLD = "new", "old"
"""Folders, beside the run's, of the one that is being written and of the one that it replaces."""


MOST = 10**12
"""Largest count, and most seconds: nobody waits for so many, and they fit every column of a table."""
Count = Annotated[int, Field(ge=0, le=MOST)]
Seconds = Annotated[float, Field(ge=0, le=MOST)]
Error = Annotated[float, Field(ge=0)] | None
COUNTS = ("iterations", "function_evaluations", "gradient_evaluations")


def _possible(counted: StageRecord) -> StageRecord:
    """A stage whose counts and seconds can be."""
    for name in (*COUNTS, "seconds"):
        if not 0 <= (value := getattr(counted, name)) <= MOST:
            raise KeyProblem(name, value, f"must be from 0 to {MOST}")
    return counted


Stages = list[Annotated[StageRecord, AfterValidator(_possible)]]


class RunErrors(StrictModel):
    """Errors on the experiment's grid after so many iterations; null where not finite."""

    iteration: Count
    rel_l2: Error
    mean_absolute: Error
    maximum: Error


class RunRecord(StrictModel):
    """Everything a run says of itself; one of an older schema is read through :mod:`solvers.runs.upgrade`.

    ``last`` is the final iterate; of a run that diverged or ran out of memory, the one that its last stage
    started from; null if the run came to none, or could not go on from its checkpoint to measure it. ``best`` is
    the recorded iterate with the lowest objective of the last level.
    ``fresh_residual_ratio`` is the mean square of the last iterate's residual at fresh points over that at the
    points it was trained on (:func:`solvers.points.fresh.fresh_residual_ratio`); null in older records.
    ``seconds`` and ``cpu_seconds`` are by phase: startup, setup, compile, training, monitoring, checkpoints,
    evaluation; those of a run that was restarted are the sums over its processes.
    ``sha256`` holds the checksums of the other files, ``checksum`` that of everything else in this one.
    """

    schema_version: Literal[3] = SCHEMA_VERSION
    status: Status
    reason: str
    command: str
    spec: RunSpec
    parameters: Count
    iterations: Count
    function_evaluations: Count
    gradient_evaluations: Count
    stages: Stages
    terms: dict[str, float | None]
    last: RunErrors | None
    best: RunErrors | None
    fresh_residual_ratio: Error = None
    restarts: list[RestartRecord] = []
    seconds: dict[str, Seconds]
    cpu_seconds: dict[str, Seconds]
    peak_memory_bytes: Annotated[int, Field(ge=0, le=2**60)]
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
    _put(folder, contents | {"run.json": text.encode()})
    return record


def _put(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make ``contents`` the files of the run in ``folder``, all or none."""
    new = folder_beside(folder) / NEW
    try:
        new.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            replace_file(new / name, content)
        replace_folder(new, folder, new.with_name(OLD), FILES)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise RecordError(f"{folder}: cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):  # something else is in it
            new.parent.rmdir()


def mend(folder: Path) -> None:
    """Put right what a kill has left of :func:`write_run`: the run in ``folder`` is the old one or the new."""
    new, old = (folder_beside(folder) / name for name in (NEW, OLD))
    take_back(old, folder, FILES)
    if (folder / "run.json").exists():
        take_back(new, folder, FILES)
    else:
        shutil.rmtree(new, ignore_errors=True)


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def sha256(content: bytes) -> str:
    """64 hexadecimal digits of ``content``."""
    return hashlib.sha256(content).hexdigest()


def checksum_of(data: Mapping[str, Any]) -> str:
    """SHA-256 of a record as JSON without its ``checksum``, whatever the order of its keys."""
    rest = {key: value for key, value in data.items() if key != "checksum"}
    return sha256(json.dumps(rest, sort_keys=True).encode())


def read_run(folder: Path) -> RunRecord:
    """The record in ``folder``, brought to this schema if it is of an older one; :class:`RecordError` if it is
    missing, damaged, edited or of a schema that is not known."""
    return _upgraded(folder, read_data(folder))


def read_data(folder: Path) -> dict[str, Any]:
    """``run.json`` in ``folder`` as it was written, in whatever schema; :class:`RecordError` as above."""
    path = folder / "run.json"
    data = read_record(path)
    version = data.get("schema_version") if isinstance(data, dict) else None
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise RecordError(f"{path}: schema_version {json.dumps(version)}: must be from 1 to {SCHEMA_VERSION}")
    return data


def _upgraded(folder: Path, data: Mapping[str, Any]) -> RunRecord:
    """``data`` of the ``run.json`` in ``folder`` as a record of this schema; the checksum is verified on what was
    written."""
    path, version = folder / "run.json", data["schema_version"]
    try:
        upgraded = upgrade(data)
        record = RunRecord.model_validate_json(json.dumps(upgraded), strict=True)
    except ValidationError as error:
        key, value, problem = first_problem(error, upgraded)
        shown = "" if value is None else f" (value {str(value)[:LONGEST_SHOWN]})"
        raise RecordError(f"{path}: not a run of schema {version}: {key}{shown}: {problem}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
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
            check_plain(path)
            content = path.read_bytes()
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else error
            raise RecordError(f"{path}: cannot be read: {cause}") from None
        expected = record.sha256.get(name)
        if expected and not (folder / "archive.json").exists() and sha256(content) != expected:
            raise RecordError(f"{path}: is not the file that was written (its SHA-256 differs)")


def check_specification(folder: Path) -> RunRecord:
    """The record of the run in ``folder`` if it has the specification that it was made with, by the hash that its
    schema has of it; else :class:`RecordError`.

    A hash by another version of identity cannot be compared; the record's checksum covers the specification.
    """
    data = read_data(folder)
    record = _upgraded(folder, data)
    made = record.provenance.spec_hash
    if data["schema_version"] < SCHEMA_VERSION:
        same = made == text_hash(data["spec"])
    else:
        same = made == spec_hash(record.spec) or not is_current(made)
    if not same:
        raise RecordError(f"{folder / 'run.json'}: spec: its hash is not {made}; was it edited?")
    return record
