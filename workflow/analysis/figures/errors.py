"""The error of every method against what it has cost."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.analysis.figures.runs import Run
from workflow.analysis.figures.style import colours, legend, note, panels, styles

__all__ = ["AGAINST", "draw_errors", "error_table"]

AGAINST = {
    "iteration": "iterations",
    "evaluation": "evaluations of loss and gradient",
    "seconds": "seconds of training",
}
POINTS = 200
LOGARITHMIC = 8  # from this ratio of the longest run to the shortest on, the axis is logarithmic
AXES = ["method", "backend", "numerics", "seed"]


def error_table(runs: Sequence[Run], against: str = "evaluation") -> pd.DataFrame:
    """Relative L2 error of every run at common values of ``against``, a key of :data:`AGAINST`.

    The error at a value is that of the last recorded iterate before it; a run that has ended keeps its last. A run
    without a history has the error infinity throughout, and so has an error that is not finite.
    """
    kept = [run for run in runs if len(run.history)]
    common = _common([run.history[against].to_numpy(dtype=float) for run in kept])
    tables = []
    for run in runs:
        errors = np.full(len(common), np.inf)
        if len(run.history):
            place = np.searchsorted(run.history[against], common, side="right") - 1
            errors = np.nan_to_num(run.history.rel_l2.to_numpy(dtype=float)[place], nan=np.inf)
        tables.append(pd.DataFrame({against: common, "rel_l2": errors}).assign(**run.axes))
    return pd.concat(tables, ignore_index=True)


def _common(values: Sequence[np.ndarray]) -> np.ndarray:
    """At most ``POINTS`` values, from where every run has begun to where the last one ends."""
    if not values:
        return np.empty(0)
    first, last = max(v[0] for v in values), max(v[-1] for v in values)
    ends = [v[-1] for v in values]
    if max(ends) <= LOGARITHMIC * min(ends):
        return np.unique(np.linspace(first, last, POINTS))
    start = max(first, min(min(v[v > 0], default=last) for v in values))
    return np.unique(np.geomspace(start, last, POINTS))


def draw_errors(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """Relative L2 error against iterations, evaluations and seconds: median and range over the seeds."""
    numerics = list(dict.fromkeys(run.record.spec.numerics for run in runs))
    hues, lines = colours([run.record.spec.method for run in runs]), styles(runs)
    figure, axes = panels(len(numerics), len(AGAINST), 2.9, sharey=True, sharex="col")
    tables = []
    for column, (against, label) in zip(axes.T, AGAINST.items(), strict=True):
        table = error_table(runs, against)
        tables.append(table.rename(columns={against: "at"}).assign(against=against))
        for axis, name in zip(column, numerics, strict=True):
            _draw(axis, table[table.numerics == name], against, hues, lines)
            axis.set_title(f"numerics {name}" if len(numerics) > 1 else "")
        column[-1].set_xlabel(label)
    for axis in axes[:, 0]:
        axis.set_ylabel("relative L2 error")
    legend(figure, hues, lines)
    note(figure, runs, [run for run in runs if len(run.history)], "history")
    return figure, pd.concat(tables, ignore_index=True)[["against", "at", *AXES, "rel_l2"]]


def _draw(axis: Axes, table: pd.DataFrame, against: str, hues: dict, lines: dict) -> None:
    axis.set_yscale("log")
    common = table[against].unique()
    if len(common) > 2 and not np.allclose(np.diff(common), common[1] - common[0], rtol=1e-3):
        axis.set_xscale("log")
    top = 3 * table.rel_l2[np.isfinite(table.rel_l2)].max()
    over_seeds = table.groupby(["method", "backend", against], sort=False).rel_l2
    for (method, backend), curve in over_seeds.agg(["median", "min", "max"]).groupby(level=[0, 1], sort=False):
        at = curve.index.get_level_values(against)
        look = {"color": hues[method], "linestyle": lines[backend]}
        axis.plot(at, curve["median"].replace(np.inf, np.nan), **look)
        if (curve["max"] > curve["min"]).any():
            axis.fill_between(at, curve["min"].clip(upper=top), curve["max"].clip(upper=top), alpha=0.13, **look)
