"""Errors that others than the paper's authors give for a problem, beside ours."""

import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.statistics import median
from workflow.analysis.summary import errors, table_of

__all__ = ["published"]


def published(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Relative L2 errors that others give for a problem, with networks, points and steps of their own, beside the
    method that has the smallest median error here, at whatever scale it was run. They come from papers and
    repositories and, where it says so, from what others quote of them; none of them is of the paper or was checked
    here, and no verdict hangs on them. An error here is infinite if half of the runs did not finish."""
    rows = []
    for (experiment, numerics, backend), runs in summary.groupby(
        ["experiment", "numerics", "backend"], sort=False
    ):
        found = {method: median(errors(own)) for method, own in runs.groupby("method", sort=False)}
        best = min(found, key=found.__getitem__)
        seeds = int((runs.method == best).sum())
        for theirs in catalogue.experiment(experiment).published:
            rows.append(
                {"experiment": experiment, "published": theirs.method, "published relative L2": theirs.rel_l2}
                | {"best method here": best, "its median relative L2": found[best], "seeds": seeds}
                | {"here over published": found[best] / theirs.rel_l2}
                | {"numerics": numerics, "backend": backend, "source": theirs.source}
            )
    return table_of(rows, "no error of others is known for these problems")
