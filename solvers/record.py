"""The directory of a run: ``run.json``, ``history.parquet``, ``fields.npz``, ``weights.safetensors``.

``run.json`` is strict JSON (a number that is not finite is null) and is checked against its schema when it is
written and when it is read. Every file is written beside its place and moved into it, ``run.json`` last.
"""

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import ValidationError
from safetensors.numpy import save_file

from solvers.provenance import Provenance
from solvers.spec import RunSpec, StrictModel

__all__ = [
    "FILES",
    "RecordError",
    "RunErrors",
    "RunRecord",
    "StageRecord",
    "read_fields",
    "read_history",
    "read_run",
    "write_run",
]

SCHEMA_VERSION = 1
FILES = ("run.json", "history.parquet", "fields.npz", "weights.safetensors")


class RecordError(Exception):
    """A file of a run that is not what it should be; the message names the file and what is wrong."""


class StageRecord(StrictModel):
    """One optimizer stage: its counts, training seconds, and why it stopped."""

    level: int
    optimizer: str
    iterations: int
    function_evaluations: int
    gradient_evaluations: int
    seconds: float
    reason: str
    explanation: str
    message: str


class RunErrors(StrictModel):
    """Errors on the experiment's grid after so many iterations; null where not finite."""

    iteration: int
    rel_l2: float | None
    mean_absolute: float | None
    maximum: float | None


class RunRecord(StrictModel):
    """Everything a run says of itself.

    ``last`` is the final iterate; of a diverged run, the one that its last stage started from. ``best`` is the
    recorded iterate with the lowest objective of the last level.
    ``seconds`` and ``cpu_seconds`` are by phase: startup, setup, compile, training, monitoring, evaluation.
    """

    schema_version: Literal[1] = 1
    status: Literal["finished", "diverged"]
    reason: str
    command: str
    spec: RunSpec
    parameters: int
    iterations: int
    function_evaluations: int
    gradient_evaluations: int
    stages: list[StageRecord]
    terms: dict[str, float | None]
    last: RunErrors
    best: RunErrors | None
    seconds: dict[str, float]
    cpu_seconds: dict[str, float]
    peak_memory_bytes: int
    provenance: Provenance


def finite(number: float) -> float | None:
    """``number``, or ``None`` where JSON has no word for it."""
    return float(number) if np.isfinite(number) else None


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write(temporary)
    os.replace(temporary, path)


def write_run(
    folder: Path,
    record: RunRecord,
    history: pd.DataFrame,
    fields: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
) -> None:
    """Write all files of a run into ``folder``, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"
    RunRecord.model_validate_json(text)
    _write(folder / "history.parquet", lambda path: history.to_parquet(path, index=False))
    _write(folder / "fields.npz", lambda path: _save_npz(path, fields))
    _write(folder / "weights.safetensors", lambda path: save_file(dict(weights), path))
    _write(folder / "run.json", lambda path: path.write_text(text, encoding="utf-8"))


def _save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with path.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_run(folder: Path) -> RunRecord:
    """The record in ``folder``; :class:`RecordError` if it is missing, damaged or of another schema."""
    path = folder / "run.json"
    try:
        return RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: not a run of schema {SCHEMA_VERSION}: {error}") from None


def read_history(folder: Path) -> pd.DataFrame:
    """The history of the run in ``folder``, a row for each recorded iterate."""
    path = folder / "history.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: not a readable history: {error}") from None


def read_fields(folder: Path) -> dict[str, np.ndarray]:
    """Coordinates by name, ``exact`` and ``predicted`` of the run in ``folder``."""
    path = folder / "fields.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise RecordError(f"{path}: not readable fields: {error}") from None
