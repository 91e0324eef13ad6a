"""One table of all runs: a row for each, whatever became of it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pandera.pandas as pa

from solvers.archive import verify
from solvers.record import RecordError, RunRecord, check_files, read_history, read_run

__all__ = ["AXES", "SUMMARY", "TARGETS", "errors", "read_summary", "split", "summarise", "table_of"]

AXES = ["experiment", "method", "numerics", "backend"]
STATUSES = get_args(RunRecord.model_fields["status"].annotation)
TARGETS = (0.1, 0.01, 0.001)
"""Relative L2 errors at which runs are compared, beside the error that their budgets leave."""

_text = pa.Column(str)
_count = pa.Column(int, pa.Check.ge(0))
_error = pa.Column(float, pa.Check.ge(0), nullable=True)
_seconds = pa.Column(float, pa.Check.ge(0))
_reached = pa.Column(float, pa.Check.ge(0), nullable=True)

SUMMARY = pa.DataFrameSchema(
    {axis: _text for axis in AXES}
    | {"seed": _count, "scale": _text, "status": pa.Column(str, pa.Check.isin(STATUSES))}
    | {"rel_l2": _error, "mean_absolute": _error, "maximum": _error, "best_rel_l2": _error}
    | {"iterations": _count, "function_evaluations": _count, "gradient_evaluations": _count}
    | {"stage_optimizers": _text, "stage_levels": _text, "stage_iterations": _text}
    | {"stage_evaluations": _text, "stage_reasons": _text}
    | {"training_seconds": _seconds, "other_seconds": _seconds, "peak_memory_mib": _seconds}
    | {"startup_seconds": _seconds, "compile_seconds": _seconds}
    | {f"{cost}_to_{target:g}": _reached for target in TARGETS for cost in ("evaluations", "seconds")}
    | {
        "reason": _text,
        "device": _text,
        "fingerprint": _text,
        "spec_hash": _text,
        "command": _text,
        "folder": _text,
        "source": pa.Column(str, pa.Check.isin(["fresh", "archive"])),
    },
    strict=True,
    ordered=True,
    unique=[*AXES, "seed"],
)
"""The summary's columns. Errors are missing where they are not finite; stages are joined by semicolons.

``other_seconds`` is everything but training, ``startup_seconds`` (imports, and building problem and terms) and
``compile_seconds`` among it. ``evaluations_to_0.1`` and ``seconds_to_0.1`` (of training) are those of the first
recorded iterate with a relative L2 error, on the history's grid, of 0.1 or less; missing if there was none.
"""


def summarise(folders: Iterable[Path]) -> pd.DataFrame:
    """The summary of the runs in ``folders``, in their order.

    Raises :class:`solvers.record.RecordError` that names every folder that holds no valid run, or changed files.
    """
    rows, damaged = [], []
    for folder in folders:
        try:
            rows.append(_row(_checked(folder), read_history(folder), folder))
        except RecordError as error:
            damaged.append(str(error))
    if damaged:
        hint = (
            "remove their folders and start the pipeline again: it makes them anew, but for those of the archive"
        )
        raise RecordError("\n".join([*damaged, f"damaged runs: {len(damaged)}; {hint}"]))
    return SUMMARY.validate(pd.DataFrame(rows, columns=list(SUMMARY.columns)))


def _checked(folder: Path) -> RunRecord:
    record = read_run(folder)
    if _source(folder) == "archive":
        verify(folder)  # it knows what was left out of it
    else:
        check_files(folder, record)
    return record


def _source(folder: Path) -> str:
    return "archive" if (folder / "archive.json").exists() else "fresh"


def read_summary(path: Path) -> pd.DataFrame:
    """The summary written as CSV, checked."""
    types = {name: str for name, column in SUMMARY.columns.items() if column.dtype == _text.dtype}
    missing = {name: "" for name in SUMMARY.columns if name not in types}
    return SUMMARY.validate(pd.read_csv(path, dtype=types, keep_default_na=False, na_values=missing))


def split(text: str) -> list[str]:
    """The entries of a column of stages; none for a run that failed before its first."""
    return text.split(";") if text else []


def errors(runs: pd.DataFrame) -> np.ndarray:
    """Relative L2 errors, infinite for a run that did not finish or whose error is missing."""
    return runs.rel_l2.where(runs.status == "finished").fillna(np.inf).to_numpy()


def table_of(rows: Iterable[Mapping[str, Any]], otherwise: str) -> pd.DataFrame:
    """A table of ``rows``, or, if there are none, one that says why."""
    return pd.DataFrame(list(rows) or [{"note": otherwise}])


def _row(record: RunRecord, history: pd.DataFrame, folder: Path) -> dict[str, Any]:
    spec, last = record.spec, record.last
    axes = {axis: getattr(spec, axis) for axis in [*AXES, "seed", "scale"]}
    training = record.seconds.get("training", 0.0)
    return axes | {
        "status": record.status,
        **{name: _number(last and getattr(last, name)) for name in ("rel_l2", "mean_absolute", "maximum")},
        "best_rel_l2": _number(record.best.rel_l2 if record.best else None),
        "iterations": record.iterations,
        "function_evaluations": record.function_evaluations,
        "gradient_evaluations": record.gradient_evaluations,
        "stage_optimizers": _joined(stage.optimizer for stage in record.stages),
        "stage_levels": _joined(stage.level for stage in record.stages),
        "stage_iterations": _joined(stage.iterations for stage in record.stages),
        "stage_evaluations": _joined(stage.function_evaluations for stage in record.stages),
        "stage_reasons": _joined(stage.reason for stage in record.stages),
        "training_seconds": training,
        "other_seconds": sum(record.seconds.values()) - training,
        "peak_memory_mib": record.peak_memory_bytes / 2**20,
        "startup_seconds": record.seconds.get("startup", 0.0) + record.seconds.get("setup", 0.0),
        "compile_seconds": record.seconds.get("compile", 0.0),
        **_reached_at(history),
        "reason": record.reason,
        "device": record.provenance.machine.device,
        "fingerprint": record.provenance.fingerprint,
        "spec_hash": record.provenance.spec_hash,
        "command": record.command,
        "folder": str(folder),
        "source": _source(folder),
    }


def _reached_at(history: pd.DataFrame) -> dict[str, float]:
    costs = {}
    for target in TARGETS:
        hits = history[history.rel_l2 <= target] if len(history) else history
        first = hits.iloc[0] if len(hits) else {}
        costs[f"evaluations_to_{target:g}"] = float(first.get("evaluation", np.nan))
        costs[f"seconds_to_{target:g}"] = float(first.get("seconds", np.nan))
    return costs


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _joined(values: Iterable[Any]) -> str:
    return ";".join(str(value) for value in values)
