"""Which columns of a table are seen at once, and in which order: the others stand behind "all columns"."""

from collections.abc import Sequence

import pandas as pd

from workflow.analysis.summary import AXES

__all__ = ["MOST", "NAMES", "in_order"]

MOST = 8
MISSING = ("", "nan", "NaN", "None", "-")
FIRST = {
    "verdict-counts": (
        *("backend", "numerics", "rows run", "reproduced", "better", "worse", "failed as in the paper"),
        "too few seeds",
    ),
    "verdicts": (
        *("experiment", "method", "authors", "median", "verdict", "floor", "seeds", "backend", "numerics"),
        *("median / authors", "so far"),
    ),
    "claims": (
        *("claim", "experiment", "baseline", "method", "outcome", "ratio", "backend", "numerics", "seeds"),
        "open because",
    ),
    "coverage": ("of the paper", "authors", "rule", "runs here", "because", "figure"),
    "beyond": (
        *("experiment", "method", "relative L2, median", "relative L2, worst", "paper's best relative L2"),
        *("paper's best method", "floor", "runs", "backend", "CPU seconds, median"),
    ),
    "published": (
        *("experiment", "published", "published relative L2", "best method here", "its median relative L2"),
        *(
            "here over published",
            "seeds",
            "their set-up here",
            "its error",
            "met",
            "backend",
            "numerics",
            "source",
        ),
    ),
    "comparison": (
        *("experiment", "method", "authors' relative L2", "relative L2, median", "floor", "runs", "backend"),
        "numerics",
        *("CPU seconds, median", "iterations, median", "finished", "relative L2, maximum"),
    ),
    "statistics": ("experiment", "method", "median", "minimum", "maximum", "floor", "runs", "backend", "numerics"),
    "floor": (
        *("experiment", "floor", "floor, CPU seconds", "best method", "its median", "its median over the floor"),
        *("its CPU seconds, median", "backend", "numerics"),
    ),
    "tests": ("experiment", "a", "b", "shown at 5 %", "error of b / a", "low", "high", "seeds"),
    "targets": (
        *("experiment", "method", "target", "reached", "runs", "evaluations, median", "CPU seconds, median"),
        *("backend", "numerics"),
    ),
    "backends-overall": (
        *("numerics", "a", "b", "rows", "error b / a", "error low", "error high", "CPU ms per evaluation b / a"),
    ),
    "backends": (
        *("experiment", "method", "verdict", "seeds", "error b / a", "error low", "error high", "numerics"),
    ),
    "stops": (
        *("experiment", "method", "backend", "iterations", "authors'", "units a step", "units a step, float64"),
        "error, float64",
    ),
    "conclusions": ("experiment", "a", "b", "conclusion", "authors' error of b / a", "backend"),
    "stages": (
        *("experiment", "method", "level", "optimizer", "authors' iterations", "iterations, median"),
        *("stop reasons", "backend", "numerics"),
    ),
}
"""By table the columns that are seen first, in their order, of which those that say nothing are passed over."""

BEHIND_AXES = {
    "points": ("error, median", "error, lower quartile", "error, upper quartile", "floor", "seeds", "failures"),
}
"""By table of a study, whose axes come first, the columns that are seen first behind these: what was found before
how often, for a narrow window."""

NAMES = {
    "verdicts": {"authors": "authors' error", "median": "our median"},
    "comparison": {"authors' relative L2": "authors' error", "relative L2, median": "our median"},
}
"""Columns of the table that gives the answer, as the page calls them."""


def in_order(frame: pd.DataFrame, name: str) -> tuple[list[str], int]:
    """All columns of a frame of texts, those first that are seen at once, and how many these are.

    Of more than :data:`MOST` columns, axes with the same value throughout are not among them, nor columns that are
    empty. A table that nobody ordered begins as it is written.
    """
    columns = list(frame.columns)
    if len(columns) <= MOST:
        return columns, len(columns)
    wanted = FIRST.get(name, columns)
    if behind := [column for column in BEHIND_AXES.get(name, ()) if column in columns]:
        wanted = [*columns[: min(map(columns.index, behind))], *behind]
    first = [column for column in wanted if column in columns and _tells(frame, column)][:MOST]
    return [*first, *(column for column in columns if column not in first)], len(first)


def _tells(frame: pd.DataFrame, column: str) -> bool:
    values: Sequence[str] = frame[column].unique()
    same = column in AXES[2:] and len(values) == 1  # numerics, backend: the page says them once
    return not same and any(value not in MISSING for value in values)
