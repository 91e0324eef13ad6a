"""Runs on disk, for whoever goes on with them in Python: one with all its arrays, or many as a table."""

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvers.configuration.spec import RunSpec
from solvers.runs.archive import ARCHIVE
from solvers.runs.checked import checked_record
from solvers.runs.place import PATTERN
from solvers.runs.record import RecordError, RunRecord, read_fields, read_history, read_weights
from solvers.runs.rows import row_of

__all__ = ["Run", "find_run", "load_run", "load_runs", "runs_below"]

RESULTS = Path("results")


@dataclass(frozen=True)
class Run:
    """A run as it was written.

    ``record`` is what ``run.json`` says: specification, status, reasons, counts, errors, seconds, provenance.
    ``history`` has a row for each recorded iterate: raw terms, weights, gradient norms and relative L2 error by
    iteration, evaluation and second. ``fields`` holds the coordinates' values by name, each ``(n_i,)``, and
    ``exact`` and ``predicted`` on their grid, ``(n_1, n_2, ...)``; the latter is missing if the run came to no
    iterate. ``weights`` are arrays by names such as ``last/layer0.weight``. An archived run has thinner histories
    and fields, and no weights where they are large.
    """

    folder: Path
    record: RunRecord
    history: pd.DataFrame
    fields: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]

    @property
    def spec(self) -> RunSpec:
        """The complete specification."""
        return self.record.spec


def load_run(run: Path | str, results: Path | str = RESULTS) -> Run:
    """The run in the folder ``run``, or in that place below ``results``, the archive's among them: see
    :func:`find_run`. All files are checked first.

    Raises :class:`~solvers.runs.record.RecordError` if there is none or several, or one whose files are missing,
    damaged or edited.
    """
    folder = find_run(run, results)
    record = checked_record(folder, ("history.parquet", "fields.npz"))
    weights = read_weights(folder) if (folder / "weights.safetensors").exists() else {}
    return Run(folder, record, read_history(folder), read_fields(folder), weights)


def load_runs(folder: Path | str = RESULTS, **where: object) -> pd.DataFrame:
    """All runs in ``folder`` and below, however deep, a row each, in the order of their folders. Columns are those
    of :func:`solvers.runs.rows.row_of`, and ``overrides``, what ``--set`` changed. ``where`` are columns and the
    value that they must have: ``load_runs(method="pinn", seed=0)``.

    ``results`` holds the archive, too: ``source`` is ``fresh`` or ``archive``. Raises
    :class:`~solvers.runs.record.RecordError` for a run whose files are missing, damaged or edited, and if there is
    no run; ``KeyError`` for a column that there is not.
    """
    folders = list(runs_below(Path(folder)))
    if not folders:
        raise RecordError(f"{folder}: no run is there: a run's folder holds run.json")
    table = pd.DataFrame([_row(path) for path in folders])
    for column, value in where.items():
        table = table[table[column] == value]
    return table.reset_index(drop=True)


def _row(folder: Path) -> dict[str, Any]:
    record = checked_record(folder, ("history.parquet",))
    return row_of(record, read_history(folder), folder) | {"overrides": " ".join(record.spec.overrides)}


def runs_below(folder: Path) -> Iterator[Path]:
    """Folders of runs, ``folder`` itself or below it, sorted; hidden ones are left out."""
    for path in sorted(folder.rglob("run.json")):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path.parent


def find_run(run: Path | str, results: Path | str = RESULTS) -> Path:
    """The folder of the one run that ``run`` names: a folder, its ``run.json``, or a place below ``results`` or
    below the archive there: ``paper/heat-0.3/pinn/jax/paper/0``. The scale in front may be left out where the rest
    names one run only.

    Raises :class:`~solvers.runs.record.RecordError` if no run or more than one has that name.
    """
    given = Path(run).parent if Path(run).name == "run.json" else Path(run)
    if (given / "run.json").is_file():
        return given
    found = _named_so(given, Path(results))
    if len(found) == 1:
        return found[0]
    if found:
        raise RecordError(f"{run}: is one of {', '.join(map(str, found))}: name its scale or folder")
    if any(runs_below(given)):
        raise RecordError(f"{run}: is not one run: must be the folder of one, {PATTERN}")
    raise RecordError(f"{run}: no such run, nor below {results} or its archive: a run's folder is {PATTERN}")


def _named_so(given: Path, results: Path) -> list[Path]:
    name = glob.escape(str(given))
    if given.is_absolute() or ".." in given.parts or not given.parts:
        return []
    patterns = (f"{name}/run.json", f"*/{name}/run.json")
    roots = (results, results / ARCHIVE.name)
    found = (path.parent for root in roots for pattern in patterns for path in sorted(root.glob(pattern)))
    return list(dict.fromkeys(found))
