"""Error against cost: what entries reach over all problems with an eighth, a quarter, half and all of the
budget."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from solvers.runs.record import RecordError, read_history
from workflow.analysis.entries import ENTRY, complete, geometric, groups
from workflow.analysis.statistics import median
from workflow.analysis.summary import LOST, table_of

__all__ = ["COSTS", "SHARES", "front", "pareto"]

SHARES = (0.125, 0.25, 0.5, 1.0)
COSTS = ("evaluations", "CPU seconds")


def pareto(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """What each entry has reached with an eighth, a quarter, half and all of the evaluations that the longest run
    of the problem made: the relative L2 error (on the history's grid, at most 100 %, that of a failed run 100 %),
    the evaluations and the CPU seconds of training up to there; medians over the seeds, then geometric means over
    the problems that the table of ranks has. On the front, for either cost: no other row costs no more and has a
    smaller error, or costs less and has no larger one. CPU seconds on the way are the wall seconds of the history
    times the CPU over the wall seconds of the whole training; those of different machines do not compare."""
    rows: list[dict[str, Any]] = []
    for group, runs in groups(summary):
        wide = complete(runs)
        runs = runs[runs.experiment.isin(wide.index) & runs[ENTRY].isin(wide.columns)]
        if runs[ENTRY].nunique() < 2:
            continue
        largest = runs.groupby("experiment").function_evaluations.transform("max")
        reached = pd.concat([_course(run, budget) for run, budget in zip(runs.itertuples(), largest, strict=True)])
        cells = reached.groupby([ENTRY, "share", "experiment"], sort=False).agg(median)
        means = cells.groupby(level=[ENTRY, "share"], sort=False).agg(geometric).reset_index()
        for cost in COSTS:
            means[f"front, {cost}"] = front(means[cost].to_numpy(), means.error.to_numpy())
        means["problems"] = len(wide)
        rows += means.assign(**group)[[*group, *means.columns]].to_dict("records")
    return table_of(rows, "no two entries were run on the same problems")


def _course(run: Any, budget: int) -> pd.DataFrame:
    """Error, evaluations and CPU seconds of a row of the summary at each share of the ``budget``."""
    at = np.array(SHARES) * budget
    try:
        history = read_history(Path(run.folder))
    except RecordError:
        history = pd.DataFrame()
    if run.status != "finished" or history.empty:
        values = {"error": LOST, "evaluations": at, "CPU seconds": np.array(SHARES) * max(run.cpu_seconds, 1e-9)}
    else:
        history = history.sort_values("evaluation", kind="stable")
        rows = np.maximum(np.searchsorted(history.evaluation.to_numpy(), at, side="right") - 1, 0)
        row = history.iloc[rows]
        error = row.rel_l2.fillna(LOST).clip(upper=LOST).to_numpy()
        seconds = row.seconds.to_numpy(dtype=float) * (
            run.cpu_seconds / run.wall_seconds if run.wall_seconds else 1.0
        )
        # A stage that stops early costs no more than it took; before its first recorded row nothing is known.
        spent = np.maximum(row.evaluation.to_numpy(dtype=float), 1.0)
        values = {"error": error, "evaluations": spent, "CPU seconds": np.maximum(seconds, 1e-9)}
    return pd.DataFrame({ENTRY: run.entry, "experiment": run.experiment, "share": SHARES} | values)


def front(cost: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Which points are on the Pareto front: no other is as good in both and better in one."""
    cheaper, better = cost[:, None] <= cost[None, :], error[:, None] <= error[None, :]
    strictly = (cost[:, None] < cost[None, :]) | (error[:, None] < error[None, :])
    return ~(cheaper & better & strictly).any(axis=0)
