"""One choice for all problems: what each point of a study costs against the best point of every problem."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.statistics import LEVEL, holm, median, paired
from workflow.analysis.summary import LOST, axes_of, counted_errors, table_of

__all__ = ["choices"]

GROUPS = ["numerics", "backend"]
CASES = ["experiment", "method"]


def choices(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """What each point of the study costs if it is chosen for all problems. *Regret*: the median error over the
    seeds divided by that of the best point for the same problem, in geometric mean over the problems, with a
    bootstrap interval over them (95 %); the largest of these ratios; on how many problems the point is the best.
    Beside it, the error over that of the study's first point: geometric mean over the problems, t interval, and
    p-value after Holm. Errors above 100 %, and runs that did not finish, count as 100 %, that of predicting
    nothing, and as *lost*."""
    axes = axes_of(summary)
    rows: list[dict[str, Any]] = []
    for group, runs in summary.groupby(GROUPS, sort=False):
        found = list(_points(runs, axes))
        for row, p in zip(found, holm([row["p"] for row in found]), strict=True):
            row["p, Holm"] = p
        rows += [dict(zip(GROUPS, group, strict=True)) | row for row in found]
    return table_of(rows, "no problem was run at all points of the study")


def _points(runs: pd.DataFrame, axes: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each point, of the problems that were run at all of them."""
    runs = runs.assign(error=counted_errors(runs))
    runs = runs.assign(lost=runs.error >= LOST)
    cells = runs.groupby([*CASES, *axes], sort=False)
    medians = _wide(cells.error.agg(median), axes)
    runs = runs[[case in medians.index for case in zip(*(runs[name] for name in CASES), strict=True)]]
    means = _wide(cells.error.agg(lambda each: np.exp(np.log(each).mean())), axes)
    ratios = medians.div(medians.min(axis=1), axis=0)
    seeds = runs.groupby([*CASES, *axes], sort=False).seed.nunique()
    for i, point in enumerate(medians.columns if len(medians) else ()):
        own = ratios[point].to_numpy()
        low, high = _interval(own)
        first = paired(means.iloc[:, 0], means[point])
        # The first point beside itself: there is nothing to test.
        against = (first.ratio, first.low, first.high, first.t) if i else (1.0, np.nan, np.nan, np.nan)
        at = runs[(runs[list(axes)] == list(point)).all(axis=1)]
        yield (
            dict(zip(axes, point, strict=True))
            | {
                "problems": len(own),
                "seeds, fewest": int(seeds.min()),
                "runs": len(at),
                "lost": int(at.lost.sum()),
            }
            | {"regret": float(np.exp(np.log(own).mean())), "regret, low": low, "regret, high": high}
            | {"regret, largest": own.max(), "best on": int((own == 1).sum())}
            | dict(zip(("error over the first's", "low", "high", "p"), against, strict=True))
        )


def _wide(cells: pd.Series, axes: Sequence[str]) -> pd.DataFrame:
    """A row for each problem, a column for each point in the study's order; without problems that lack a point."""
    wide = cells.unstack(list(range(-len(axes), 0)), sort=False).dropna()
    return wide.set_axis([column if isinstance(column, tuple) else (column,) for column in wide.columns], axis=1)


def _interval(ratios: np.ndarray) -> tuple[float, float]:
    """Percentile bootstrap interval of the geometric mean over the problems; missing for fewer than three."""
    if len(ratios) < 3:
        return np.nan, np.nan
    found = stats.bootstrap(
        (np.log(ratios),), np.mean, confidence_level=LEVEL, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(np.exp(found.low)), float(np.exp(found.high))
