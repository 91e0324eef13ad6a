"""A run as a row of a table: what it is, how it ended, its errors, counts, seconds and memory."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvers.runs.command import command_line
from solvers.runs.record import RunRecord

__all__ = ["AXES", "TARGETS", "cpu_history", "row_of", "source_of"]

AXES = ["experiment", "method", "numerics", "backend"]
"""What runs have in common that differ by their seeds alone, but for changed keys."""
TARGETS = (0.1, 0.01, 0.001)
"""Relative L2 errors at which runs are compared, beside the error that their budgets leave."""


def row_of(record: RunRecord, history: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """The run in ``folder`` as one row. Errors are NaN where they are not finite, and entries of stages are joined
    by semicolons.

    ``cpu_seconds`` and ``wall_seconds`` are those of training. ``other_seconds`` (wall) is everything else,
    ``startup_seconds`` (imports, and building problem and terms) and ``compile_seconds`` among it.
    ``evaluations_to_0.1`` and ``seconds_to_0.1`` (:func:`cpu_history`) are those of the first recorded iterate
    with a relative L2 error, on the history's grid, of 0.1 or less; NaN if there was none. ``terms_first`` and
    ``terms_last`` are the terms of the loss, raw, of the history's first and last row: ``initial=0.5;residual=2``.
    """
    spec, last = record.spec, record.last
    axes = {axis: getattr(spec, axis) for axis in [*AXES, "seed", "scale"]}
    cpu, wall = (seconds.get("training", 0.0) for seconds in (record.cpu_seconds, record.seconds))
    return axes | {
        "status": record.status,
        **{name: _number(getattr(last, name, None)) for name in ("rel_l2", "mean_absolute", "maximum")},
        "best_rel_l2": _number(record.best.rel_l2 if record.best else None),
        "fresh_residual_ratio": _number(record.fresh_residual_ratio),
        "iterations": record.iterations,
        "function_evaluations": record.function_evaluations,
        "gradient_evaluations": record.gradient_evaluations,
        "stage_optimizers": _joined(stage.optimizer for stage in record.stages),
        "stage_levels": _joined(stage.level for stage in record.stages),
        "stage_precisions": _joined(_precisions(record)),
        "stage_iterations": _joined(stage.iterations for stage in record.stages),
        "stage_evaluations": _joined(stage.function_evaluations for stage in record.stages),
        "stage_reasons": _joined(stage.reason for stage in record.stages),
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "other_seconds": sum(record.seconds.values()) - wall,
        "peak_memory_mib": record.peak_memory_bytes / 2**20,
        "startup_seconds": record.seconds.get("startup", 0.0) + record.seconds.get("setup", 0.0),
        "compile_seconds": record.seconds.get("compile", 0.0),
        **_reached_at(cpu_history(history, record)),
        "terms_first": _terms(history.iloc[:1]),
        "terms_last": _terms(history.iloc[-1:]),
        "reason": record.reason,
        "device": record.provenance.machine.device,
        "fingerprint": record.provenance.fingerprint,
        "spec_hash": record.provenance.spec_hash,
        "command": command_line(spec),
        "folder": str(folder),
        "source": source_of(folder),
    }


def source_of(folder: Path) -> str:
    """``archive`` if the run in ``folder`` is one of an archive, else ``fresh``."""
    return "archive" if (folder / "archive.json").exists() else "fresh"


def cpu_history(history: pd.DataFrame, record: RunRecord) -> pd.DataFrame:
    """``history`` with its seconds, which a run takes from the clock on the wall, as CPU seconds: each multiplied
    by the CPU over the wall seconds of the whole training, so that they are estimates but for the last."""
    cpu, wall = (seconds.get("training", 0.0) for seconds in (record.cpu_seconds, record.seconds))
    return history.assign(seconds=history.seconds * (cpu / wall)) if len(history) and wall else history


def _precisions(record: RunRecord) -> list[str]:
    """The precision of each stage that was run. A level may have ended before its last stage."""
    left = [iter(level.stages) for level in record.spec.levels]
    return [next(left[stage.level])["precision"] or record.spec.precision for stage in record.stages]


def _reached_at(history: pd.DataFrame) -> dict[str, float]:
    costs = {}
    for target in TARGETS:
        hits = history[history.rel_l2 <= target] if len(history) else history
        first = hits.iloc[0] if len(hits) else {}
        costs[f"evaluations_to_{target:g}"] = float(first.get("evaluation", np.nan))
        costs[f"seconds_to_{target:g}"] = float(first.get("seconds", np.nan))
    return costs


def _terms(row: pd.DataFrame) -> str:
    """The raw terms of one row of a history; empty if there is none."""
    values = row.filter(regex=r"^term\.").to_dict("records")
    return _joined(f"{name.removeprefix('term.')}={value:.6g}" for each in values for name, value in each.items())


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _joined(values: Iterable[Any]) -> str:
    return ";".join(str(value) for value in values)
