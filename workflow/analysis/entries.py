"""What stands in a line of a leaderboard: a method, or a point of a study, on all problems."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from workflow.analysis.statistics import median
from workflow.analysis.summary import axes_of, counted_errors, label_of

__all__ = [
    "ENTRY",
    "GROUPS",
    "TRIALS_FROM",
    "complete",
    "counted",
    "geometric",
    "groups",
    "parts_of",
    "with_entries",
]

ENTRY = "entry"
GROUPS = ["numerics", "backend"]
TRIALS_FROM = 1000
"""Seeds from here on are those on which constants are chosen: their runs are trials, and no result."""


def with_entries(summary: pd.DataFrame) -> pd.DataFrame:
    """``summary`` with a column ``entry``: the values of the study's axes, or the method where there are no axes;
    both, where an experiment was run with several methods at the points of axes."""
    axes = axes_of(summary)
    if not axes:
        return summary.assign(**{ENTRY: summary.method})
    words = all(isinstance(value, str) for value in summary[axes].to_numpy().ravel())
    points = [", ".join(p) if words else label_of(axes, p) for p in summary[axes].itertuples(index=False)]
    named = pd.Series(points, index=summary.index, dtype=object)
    several = summary.groupby([*GROUPS, "experiment"]).method.nunique().max() > 1
    return summary.assign(**{ENTRY: summary.method + ", " + named if several else named})


def counted(summary: pd.DataFrame) -> pd.DataFrame:
    """The runs that count, with the columns ``entry`` and ``error``, in which nothing is worse than predicting
    nothing (:func:`workflow.analysis.summary.counted_errors`): all but trials."""
    runs = with_entries(summary)
    runs = runs[runs.seed < TRIALS_FROM]
    return runs.assign(error=counted_errors(runs))


def groups(summary: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """The runs that count on each backend with each numerics, which are named."""
    for values, runs in counted(summary).groupby(GROUPS, sort=False):
        yield dict(zip(GROUPS, values, strict=True)), runs


def complete(runs: pd.DataFrame) -> pd.DataFrame:
    """Median errors over the seeds, a row for each problem and a column for each entry, where none is missing: of
    the problems that were run with all entries, or, if these are fewer than two, of the entries that were run on
    all problems."""
    wide = runs.groupby(["experiment", ENTRY], sort=False).error.agg(median).unstack(sort=False)
    by_problem = wide.dropna(axis="index")
    return by_problem if len(by_problem) > 1 else wide.dropna(axis="columns")


def geometric(values: pd.Series | np.ndarray) -> float:
    """The geometric mean."""
    return float(np.exp(np.log(np.asarray(values, dtype=float)).mean()))


def parts_of(entry: str) -> tuple[str, str]:
    """Rule and optimizer of an entry that is called ``rule+optimizer``; without a plus the second is empty."""
    rule, _, optimizer = entry.partition("+")
    return rule, optimizer
