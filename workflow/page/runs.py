"""The list of the runs of an experiment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow.analysis.statistics import median
from workflow.analysis.summary import AXES, SUMMARY, axes_of, contended, wall_per_cpu
from workflow.analysis.tables import FRESH
from workflow.page.columns import MOST
from workflow.page.tables import Anchors, from_frame, slug

__all__ = ["RunRow", "run_anchors", "run_columns", "run_id", "run_rows"]

WAITS = "wall / CPU"
RUN_COLUMNS = {
    "method": "method",
    "backend": "backend",
    "numerics": "numerics",
    "seed": "seed",
    "status": "status",
    "rel_l2": "relative L2",
    "iterations": "iterations",
    "function_evaluations": "evaluations",
    "fresh_residual_ratio": FRESH,
    "cpu_seconds": "CPU seconds",
    "wall_seconds": "wall seconds",
    WAITS: WAITS,
}
RUN_MORE = ("iterations", "evaluations", FRESH, "wall seconds", WAITS)
"""Columns of the list of runs that are not seen at once, and neither is the command."""
MEASURED = ("rel_l2", "iterations", "function_evaluations", "fresh_residual_ratio", "cpu_seconds", "wall_seconds")
"""Of which rows that stand for several seeds have the medians."""
GIVE_WAY = ("numerics", "backend", "CPU seconds", "status")
"""Columns that are not seen at once either, the first of these first, where a study's axes make them too many."""


@dataclass(frozen=True)
class RunRow:
    """A run in the list of its experiment: id, cells, links, command; or all seeds of one, with the specification
    and the command of the first, and the folder of all."""

    id: str
    axes: dict[str, str]
    cells: list[Any]
    folder: str
    specification: str
    command: str
    runs: int = 1


def run_id(values: Mapping[str, Any]) -> str:
    """The id of a run on the page: its values of all columns that tables are grouped by, and its seed."""
    points = [axis for axis in values if axis not in SUMMARY.columns]
    return "run-" + "--".join(slug(str(values[axis])) for axis in [*AXES, *points, "seed"])


def run_columns(summary: pd.DataFrame) -> list[tuple[str, bool]]:
    """The heads of the list of runs, and whether each is not seen at once."""
    names = list(_columns(summary).values())
    too_many = max(len(names) - len(RUN_MORE) - MOST, 0)
    return [(name, name in (*RUN_MORE, *GIVE_WAY[:too_many])) for name in names]


def _columns(summary: pd.DataFrame) -> dict[str, str]:
    """Columns of the list of runs and their heads; a study's axes stand before the seed."""
    named = list(RUN_COLUMNS.items())
    return dict([*named[:3], *((axis, axis) for axis in axes_of(summary)), *named[3:]])


def run_anchors(summary: pd.DataFrame) -> Anchors:
    """Where the runs of an experiment, a method, ... begin; missing axes are empty."""
    anchors: dict[tuple[str, ...], str] = {}
    for values in summary.to_dict("records"):
        full = [values[axis] for axis in AXES]
        for mask in range(2 ** len(full)):
            key = tuple(value if mask >> i & 1 else "" for i, value in enumerate(full))
            if key[0]:
                anchors.setdefault(key, run_id(values))
    return anchors


def run_rows(runs: pd.DataFrame, link: Callable[[Path], str], together: bool = False) -> list[RunRow]:
    """A row for each run of a summary, in its order, or ``together``, for all seeds of one."""
    named, columns = [*AXES, *axes_of(runs)], list(_columns(runs))
    cells = [own for _, own in runs.groupby(named, sort=False, dropna=False)] if together else []
    firsts = pd.DataFrame([own.iloc[0] for own in cells], columns=runs.columns) if together else runs
    if together:
        runs = pd.DataFrame([_seeds(own) for own in cells], columns=runs.columns)
    waits = wall_per_cpu(runs).map("{:.2f}".format) + np.where(contended(runs), " contended", "")
    seconds = {name: runs[name].map("{:.1f}".format) for name in ("cpu_seconds", "wall_seconds")}
    archived = np.where(runs.source == "archive", ", archived", "")
    marks = [f", other {what}" if what else "" for what in runs.outdated]
    numbers = {"rel_l2": "{:.2e}", "fresh_residual_ratio": "{:.3g}"}
    texts = {name: runs[name].map(form.format) for name, form in numbers.items()}
    shown = runs.assign(status=runs.status + archived + marks, **texts, **seconds, **{WAITS: waits})
    rows = from_frame(shown[columns].astype(str), "runs", "", {}, link).rows
    counts = [len(own) for own in cells] if together else [1] * len(runs)
    return [
        RunRow(
            id=run_id({name: first[name] for name in (*named, "seed")}),
            axes=row.axes | {"experiment": first["experiment"]},
            cells=row.cells,
            folder=link(Path(folder)) + "/",
            specification=link(Path(first["folder"]) / "run.json"),
            command=first["command"],
            runs=count,
        )
        for row, first, folder, count in zip(rows, firsts.to_dict("records"), runs.folder, counts, strict=True)
    ]


def _seeds(runs: pd.DataFrame) -> dict[str, Any]:
    """All seeds of a run as one: medians of what was measured, how many ended how, and the folder of all."""
    ended = ", ".join(f"{count} {status}" for status, count in runs.status.value_counts().items())
    row = runs.iloc[0].to_dict() | {name: median(runs[name]) for name in MEASURED} | {"status": ended}
    return row | {"seed": ";".join(map(str, runs.seed)), "folder": str(Path(runs.folder.iloc[0]).parent)}
