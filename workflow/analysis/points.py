"""The points of a study: what the seeds give at each value of its axes."""

from collections.abc import Iterable

import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis import statistics
from workflow.analysis.summary import errors, floor_of, grouped_by
from workflow.analysis.tables import FRESH

__all__ = ["QUARTILES", "points", "quartiles"]

QUARTILES = ("lower quartile", "median", "upper quartile")


def quartiles(values: Iterable[float]) -> dict[str, float]:
    """Quartiles and median of ``values`` by name; missing ones are larger than any other."""
    return dict(zip(QUARTILES, statistics.quartiles(values), strict=True))


def points(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Each point of the study, for each method, backend and numerics: how many seeds it was run with and how many
    of these runs did not finish; median and quartiles over the seeds of the relative L2 error (infinite for a run
    that did not finish), of iterations and of CPU seconds of training (of all runs). The mean square of the
    residual at fresh points over that at the points trained on (median): far above 1, the network fits its points
    and not the equation. The floor is the relative L2 error of a classical solver, if the problem is the
    experiment's own: an axis may change it."""
    keys = grouped_by(summary)
    rows = []
    for values, runs in summary.groupby(keys, sort=False):
        measured = {"error": errors(runs), "iterations": runs.iterations, "CPU seconds": runs.cpu_seconds}
        rows.append(
            dict(zip(keys, values, strict=True))
            | {"seeds": len(runs), "failures": int((runs.status != "finished").sum())}
            | {
                f"{quantity}, {name}": value
                for quantity, series in measured.items()
                for name, value in quartiles(series).items()
            }
            | floor_of(runs)
            | {FRESH: runs.fresh_residual_ratio.median()}
        )
    return pd.DataFrame(rows)
