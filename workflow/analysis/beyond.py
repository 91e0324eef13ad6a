"""Methods that are not in the paper beside the paper's best."""

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.statistics import failures_infinite, median
from workflow.analysis.summary import AXES, floor_of, table_of

__all__ = ["beyond", "papers_best"]


def papers_best(catalogue: Catalogue, experiment: str) -> tuple[str, float]:
    """The method with the authors' smallest relative L2 error, and that error; ``("", nan)`` if none is known."""
    methods = catalogue.experiment(experiment).methods.items()
    known = {name: method.authors.rel_l2 for name, method in methods if method.authors.rel_l2 is not None}
    return min(known.items(), key=lambda item: item[1]) if known else ("", np.nan)


def beyond(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Methods that are not in the paper: relative L2 error over the seeds, beside the smallest error that the
    authors give for this problem, whatever the method. Below 1, the worst seed is better than that. The conditions
    are not the paper's: precision, network and points are the method's own, as its configuration says. The floor
    is the relative L2 error of a classical solver."""
    rows = []
    for axes, runs in summary.groupby(AXES, sort=False):
        named = dict(zip(AXES, axes, strict=True))
        if catalogue.experiment(named["experiment"]).methods[named["method"]].in_paper:
            continue
        best, theirs = papers_best(catalogue, named["experiment"])
        errors = failures_infinite(runs.rel_l2)
        rows.append(
            named
            | {"runs": len(runs), "finished": int((runs.status == "finished").sum())}
            | {"relative L2, median": median(errors), "relative L2, worst": errors.max()}
            | {"paper's best method": best, "paper's best relative L2": theirs}
            | {"worst over paper's best": errors.max() / theirs}
            | floor_of(runs)
            | {"CPU seconds, median": median(runs.cpu_seconds), "CPU seconds, worst": runs.cpu_seconds.max()}
        )
    return table_of(rows, "every method here is the paper's")
