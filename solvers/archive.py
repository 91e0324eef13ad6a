"""The archive: finished runs, checked and thinned, kept under version control and written by no rule.

An archived run has the files of a run (:mod:`solvers.record`), smaller, and ``archive.json``, which says what was
left out and holds the checksums of the rest. ``run.json`` is copied as it is.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError
from safetensors.numpy import save_file

from solvers.assembly import build_model
from solvers.jets import numpy_ops
from solvers.networks.base import unflatten
from solvers.record import RecordError, RunRecord, check_run, read_fields, read_history, read_weights, sha256
from solvers.run import run_folder
from solvers.sampling import uniform_grid
from solvers.spec import StrictModel

__all__ = ["ARCHIVE", "ArchiveRecord", "archive_run", "check_trusted", "verify"]

ARCHIVE = Path("results/archive")
MOST_BYTES = 200 * 1024
MOST_WEIGHT_BYTES = 120 * 1024
MOST_ROWS = 200
MOST_NODES = 2601
AGREEMENT = 1e-3
"""Largest difference allowed between the saved prediction and that of the saved weights, of the solution's
largest value: a run in float32 with frequencies near a hundred rounds that much."""


class ArchiveRecord(StrictModel):
    """``archive.json``: when, what was left out, and the SHA-256 of each file."""

    schema_version: int = 1
    archived: str
    left_out: list[str]
    sha256: dict[str, str]


def check_trusted(folder: Path) -> RunRecord:
    """The record of the run in ``folder`` if the run can be trusted; else :class:`RecordError` says why not.

    It must be complete and readable, made from a commit without further changes, and its weights must give the
    prediction that it saved.
    """
    record = check_run(folder)
    origin = record.provenance
    if origin.commit is None or origin.uncommitted_changes:
        raise RecordError(
            f"{folder / 'run.json'}: provenance: the code of this run is in no commit; commit, then run again"
        )
    if record.last is None:
        raise RecordError(
            f"{folder / 'run.json'}: last: null: a run without a result ({record.status}) is not archived"
        )
    history = read_history(folder)
    if history.empty or history.iteration.iloc[-1] > record.iterations:
        raise RecordError(f"{folder / 'history.parquet'}: does not end at iteration {record.iterations}")
    _check_weights(folder, record)
    return record


def _check_weights(folder: Path, record: RunRecord) -> None:
    """The network with the saved weights, in NumPy, against the saved prediction."""
    path, spec = folder / "weights.safetensors", record.spec
    arrays, fields = read_weights(folder), read_fields(folder)
    problem = spec.build_problem()
    model = build_model(spec, problem)
    missing = {f"last/{name}" for name in model.shapes} - set(arrays)
    if missing:
        raise RecordError(f"{path}: {', '.join(sorted(missing))}: missing")
    theta = np.concatenate([np.ravel(arrays[f"last/{name}"]) for name in model.shapes]).astype(float)
    grid = uniform_grid(problem.lower, problem.upper, spec.evaluation.field_grid)
    network = model.output(grid, (), unflatten(theta, model.shapes), model.constants(()), numpy_ops)
    predicted = model.solution(network.value[:, 0], grid).reshape(fields["predicted"].shape)
    largest = float(np.abs(predicted - fields["predicted"]).max())
    allowed = AGREEMENT * float(np.abs(fields["exact"]).max())
    if np.isfinite(predicted).all() and not largest <= allowed:
        raise RecordError(
            f"{path}: gives another prediction than fields.npz, by {largest:.3g} (at most {allowed:.3g})"
        )


def archive_run(folder: Path, root: Path = ARCHIVE, replace: bool = False) -> Path:
    """Check the run in ``folder``, thin it and put it into the archive; its new folder.

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
        left_out = _thin(folder, made)
        sums = {path.name: sha256(path.read_bytes()) for path in sorted(made.iterdir())}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        note = ArchiveRecord(archived=now, left_out=left_out, sha256=sums)
        (made / "archive.json").write_text(note.model_dump_json(indent=2) + "\n", encoding="utf-8")
        size = sum(path.stat().st_size for path in made.iterdir())
        if size > MOST_BYTES:
            raise RecordError(f"{folder}: takes {size} bytes when thinned; the archive's limit is {MOST_BYTES}")
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)
    return target


def _thin(folder: Path, made: Path) -> list[str]:
    """Write the smaller files into ``made``; what was left out, in words."""
    shutil.copyfile(folder / "run.json", made / "run.json")
    history = read_history(folder)
    kept = _thin_rows(history)
    kept.to_parquet(made / "history.parquet", index=False, compression="zstd")
    fields, thinner = read_fields(folder), _thin_fields(read_fields(folder))
    with (made / "fields.npz").open("wb") as stream:
        np.savez_compressed(stream, **thinner)
    shapes = (fields["exact"].shape, thinner["exact"].shape)
    left_out = [f"history: {len(history) - len(kept)} of {len(history)} rows"]
    left_out += [f"fields: {shapes[1]} of {shapes[0]} nodes, in float32"]
    arrays = {k: v for k, v in read_weights(folder).items() if not k.startswith("best/")}
    size = sum(array.nbytes for array in arrays.values())
    if size > MOST_WEIGHT_BYTES:
        return [*left_out, f"weights: all ({size} bytes)"]
    save_file(arrays, made / "weights.safetensors")
    return [*left_out, "weights: those of the best iterate"]


def _thin_rows(history: pd.DataFrame) -> pd.DataFrame:
    """At most about ``MOST_ROWS``, evenly, with the first of each stage and the last."""
    even = np.linspace(0, len(history) - 1, min(MOST_ROWS, len(history))).round().astype(int)
    starts = np.flatnonzero(history.stage.diff().fillna(1))
    kept = history.iloc[np.union1d(even, starts)]
    real = kept.select_dtypes("float64").columns
    return kept.astype({name: "float32" for name in real})


def _thin_fields(fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every second, third, ... node along each coordinate, float32."""
    shape, step = fields["exact"].shape, 1
    while np.prod([-(-count // step) for count in shape]) > MOST_NODES:
        step += 1
    return {
        name: array[(slice(None, None, step),) * array.ndim].astype("float32") for name, array in fields.items()
    }


def verify(folder: Path) -> ArchiveRecord:
    """The note of an archived run whose files are all as they were written; else :class:`RecordError`."""
    path = folder / "archive.json"
    try:
        note = ArchiveRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, json.JSONDecodeError) as error:
        raise RecordError(f"{path}: not a readable note of an archived run: {error}") from None
    for name, expected in note.sha256.items():
        if not (folder / name).is_file() or sha256((folder / name).read_bytes()) != expected:
            raise RecordError(f"{folder / name}: is not the file that was archived (SHA-256 {expected[:16]}...)")
    return note
