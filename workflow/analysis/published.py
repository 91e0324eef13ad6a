"""Errors that others than the paper's authors give for a problem, beside ours."""

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.statistics import median
from workflow.analysis.summary import errors, table_of

__all__ = ["WITHIN", "published"]

WITHIN = 3.0
"""A published error is met by one that is at most so many times as large."""


def published(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Relative L2 errors that others give for a problem, with networks, points and steps of their own, beside the
    method that has the smallest median error here, at whatever scale it was run, and beside the method with their
    set-up where there is one: an error within a factor of three meets theirs. They come from papers and
    repositories and, where it says so, from what others quote of them; none of them is of the paper, and no
    verdict hangs on them. An error here is infinite if half of the runs did not finish."""
    rows = []
    for (experiment, numerics, backend), runs in summary.groupby(
        ["experiment", "numerics", "backend"], sort=False
    ):
        found = {method: median(errors(own)) for method, own in runs.groupby("method", sort=False)}
        best = min(found, key=found.__getitem__)
        seeds = {method: int((runs.method == method).sum()) for method in found}
        for theirs in catalogue.experiment(experiment).published:
            same = theirs.here if theirs.here in found else None
            error = found[same] if same else np.nan
            rows.append(
                {"experiment": experiment, "published": theirs.method, "published relative L2": theirs.rel_l2}
                | {"best method here": best, "its median relative L2": found[best], "seeds": seeds[best]}
                | {"here over published": found[best] / theirs.rel_l2}
                | {
                    "their set-up here": same or "",
                    "its error": error,
                    "its seeds": seeds.get(same or "", 0),
                }
                | {"its error over published": error / theirs.rel_l2}
                | {"met": ("yes" if error <= WITHIN * theirs.rel_l2 else "no") if same else ""}
                | {"numerics": numerics, "backend": backend, "source": theirs.source}
            )
    return table_of(rows, "no error of others is known for these problems")
