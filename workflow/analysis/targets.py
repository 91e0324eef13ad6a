"""What it costs to reach an error, so that no method is judged at one budget: times to targets, performance
profiles."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from solvers.runs.rows import TARGETS
from workflow.analysis.entries import ENTRY, with_entries
from workflow.analysis.statistics import failures_infinite, median
from workflow.analysis.summary import axes_of, errors, grouped_by, table_of

__all__ = ["COSTS", "cost_ratios", "profile", "profiles", "targets"]

FACTORS = (1, 2, 5, 10, 100)
SHOWN = {"evaluations": "evaluations", "seconds": "CPU seconds"}
COSTS: Mapping[str, str] = {"error": "final error"} | {
    f"{cost}_to_{target:g}": f"{shown} to {100 * target:g} %"
    for target in TARGETS
    for cost, shown in SHOWN.items()
}
"""What is compared in a performance profile: the summary's column (or ``error``) and its name."""


def targets(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Evaluations of loss and gradient, and CPU seconds of training, until the relative L2 error is first at or
    below 10 %, 1 % and 0.1 %: how many runs get there, median and range over all runs. A run that never does
    costs infinitely much. Errors are those of the history, on its grid and every few iterations (archived
    histories: at most 200 rows), so that costs are upper bounds. CPU seconds are the history's wall seconds times
    the CPU over the wall seconds of the whole training; those of different machines do not compare."""
    rows = []
    keys = grouped_by(summary)
    for axes, runs in summary.groupby(keys, sort=False):
        for target in TARGETS:
            costs = {name: runs[f"{name}_to_{target:g}"] for name in SHOWN}
            row = {"target": target, "runs": len(runs), "reached": int(costs["evaluations"].notna().sum())}
            for name, cost in costs.items():
                infinite, shown = failures_infinite(cost), SHOWN[name]
                row |= {
                    f"{shown}, median": median(cost),
                    f"{shown}, minimum": infinite.min(),
                    f"{shown}, maximum": infinite.max(),
                }
            rows.append(dict(zip(keys, axes, strict=True)) | row)
    return pd.DataFrame(rows)


def cost_ratios(summary: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The cost of each run over the smallest of its problem, as the column ``ratio`` beside the summary's.

    A problem is an experiment and a seed, on one backend with one numerics; one that a single method, or point of
    a study, was run on is left out. ``cost``: a key of :data:`COSTS`. A cost that is missing, or of a run that did
    not finish if it is the error, is infinite, and so is its ratio, also where no method has a finite one."""
    values = errors(summary) if cost == "error" else failures_infinite(summary[cost])
    table = with_entries(summary).assign(cost=values)
    problems = table.groupby(["numerics", "backend", "experiment", "seed"])
    best, methods = problems.cost.transform("min"), problems[ENTRY].transform("nunique")
    ratio = np.where(np.isfinite(values), values / best.where(np.isfinite(best), 1.0), np.inf)
    return table.assign(ratio=ratio)[methods > 1]


def profile(ratios: Sequence[float], factors: Sequence[float]) -> np.ndarray:
    """The share of problems solved at no more than so many times the best cost (Dolan and More, 2002)."""
    return (np.asarray(ratios)[:, None] <= np.asarray(factors)).mean(axis=0)


def profiles(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Performance profiles (Dolan and More, 2002) over all problems that at least two methods were run on (of a
    study with axes: points); a problem is an experiment with a seed. Each row: the share of its problems that a
    method solves at no more than 1, 2, 5, 10, 100 times the cost of the best method there. Methods are not all run
    on the same problems: the column says on how many. A target that was not reached costs infinitely much."""
    rows, line = [], ENTRY if axes_of(summary) else "method"
    for cost, title in COSTS.items():
        table = cost_ratios(summary, cost)
        for axes, runs in table.groupby(["numerics", "backend", ENTRY], sort=False):
            shares = profile(runs.ratio, FACTORS)
            rows.append(
                {"cost": title}
                | dict(zip(("numerics", "backend", line), axes, strict=True))
                | {"problems": len(runs), "experiments": runs.experiment.nunique()}
                | {f"within {factor} x": share for factor, share in zip(FACTORS, shares, strict=True)}
                | {"solved": np.isfinite(runs.ratio).mean()}
            )
    return table_of(rows, "nothing to compare: no problem was run with two methods")
