"""How fast errors and terms fall: slopes over the last decade of evaluations."""

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.statistics import median
from workflow.analysis.summary import errors, table_of
from workflow.analysis.traces import KINDS, mean_and_interval, points_of, trace

__all__ = ["LATE", "QUANTITIES", "rates", "slope"]

QUANTITIES = ("error", *KINDS)
LATE = "late slope of error"
DECADE, HALF = 0.1, 0.5
"""The share of a run's evaluations from which on a slope is taken."""
PLACES = 33
"""So many places, at equal ratios of evaluations, stand for the last decade: rows of a history are nearer to each
other at its end, which would count for most of the slope."""


def rates(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """How fast the error (relative L2, on the history's grid) and the raw terms, the sum of the supervised ones
    and that of the residuals, fall: the slope of the logarithm against that of the evaluations, by least squares
    over the last decade of a run's evaluations, from a tenth of them on. -1 is a tenth for ten times as many. A
    decade may begin with a first-order stage that has not got anywhere, and the slope is then steeper than at any
    time after it: the late slope is that over the second half of the evaluations. Means over the seeds with t
    intervals (95 %); of runs that finished. Beside them the median error at the end, in which a run that did not
    finish is infinite."""
    rows = []
    for point, runs in points_of(summary):
        same = (summary[list(point)] == pd.Series(point)).all(axis=1)
        named = {f"slope of {name}": name for name in QUANTITIES}
        found = pd.DataFrame(
            [
                {column: slope(own, name) for column, name in named.items()} | {LATE: slope(own, "error", HALF)}
                for own in map(trace, runs.folder)
            ],
            columns=[*named, LATE],
        )
        row = point | {"seeds": int(same.sum()), "finished": len(runs)}
        row["median error"] = median(errors(summary[same]))
        for column, slopes in found.items():
            mean, low, high = mean_and_interval(slopes.to_numpy(dtype=float))
            row |= {str(column): mean, f"{column}, low": low, f"{column}, high": high}
        rows.append(row)
    return table_of(rows, "there is no run")


def slope(run: pd.DataFrame, name: str, since: float = DECADE) -> float:
    """The slope of one quantity of a :func:`~workflow.analysis.traces.trace`, between rows linear in the
    logarithms, from the share ``since`` of the evaluations on; missing if it is not above zero throughout, or if
    there are fewer than two rows."""
    if name not in run or len(run) < 2:
        return np.nan
    own = run[["evaluation", name]].groupby("evaluation", as_index=False).last()
    own = own[own.evaluation > 0]
    values = own[name].to_numpy(dtype=float)
    if len(own) < 2 or not (np.isfinite(values) & (values > 0)).all():
        return np.nan
    at, logs = np.log10(own.evaluation.to_numpy(dtype=float)), np.log10(values)
    places = np.linspace(max(at[-1] + np.log10(since), at[0]), at[-1], PLACES)
    return float(np.polyfit(places, np.interp(places, at, logs), 1)[0])
