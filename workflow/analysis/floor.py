"""The floor in tables: the error of a classical solver on the same problem, and its seconds."""

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.statistics import median
from workflow.analysis.summary import errors, floor_of, seconds_of, table_of

__all__ = ["floor"]


def floor(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """What a classical solver reaches on each problem, on one core: its relative L2 error on the grid that runs
    are measured on, and the CPU seconds from the problem to the solution, all resolutions that were tried
    included. It is given the equation, its forcing and its data. A problem whose solution is computed has the
    solver of that: its floor is an estimate of that solution's error, below which no error means anything. Beside
    it the method with the smallest median error over its seeds, by backend and numerics: how many times the floor
    that is, and its CPU seconds of training. Where there is no floor, the column says why."""
    rows, asked = [], summary[summary.floor_solver != ""]
    for (experiment, numerics, backend), runs in asked.groupby(["experiment", "numerics", "backend"], sort=False):
        medians = {method: median(errors(own)) for method, own in runs.groupby("method", sort=False)}
        best = min(medians, key=medians.__getitem__)
        found = runs.iloc[0]
        rows.append(
            {"experiment": experiment, "numerics": numerics, "backend": backend}
            | floor_of(runs)
            | seconds_of(runs)
            | {"solver": found.floor_solver, "best method": best, "its median": medians[best]}
            | {"its median over the floor": medians[best] / found.floor_rel_l2 if found.floor_rel_l2 else np.nan}
            | {"its CPU seconds, median": median(runs.cpu_seconds[runs.method == best])}
            | {"folder": found.floor_folder}
        )
    return table_of(rows, "no floor of these problems was asked for")
