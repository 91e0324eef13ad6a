"""The error of every method against what it has cost."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow.analysis.figures.runs import Run, authors_error, known_floor, method_title
from workflow.analysis.figures.style import colours, draw_floor, label_ends, legend, note, panels, styles

__all__ = ["AGAINST", "draw_errors", "error_table"]

AGAINST = {
    "iteration": "iterations",
    "evaluation": "evaluations",
    "seconds": "CPU seconds",
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
    """Relative L2 error against iterations, evaluations and CPU seconds: median and range over the seeds. At the
    right of each row the methods by name, with the number of their seeds, and the authors' errors as triangles;
    the error of a classical solver as a dotted line."""
    numerics = list(dict.fromkeys(run.record.spec.numerics for run in runs))
    hues, lines = colours([run.record.spec.method for run in runs]), styles(runs)
    theirs = {run.record.spec.method: authors_error(*_key(run)) for run in runs}
    titles = {run.record.spec.method: method_title(*_key(run)) for run in runs}
    height = max(2.9, 0.7 + 0.17 * len(titles))  # there is a name for each method beside the panels
    figure, axes = panels(len(numerics), len(AGAINST), height, sharey=True, sharex="col")
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
    for axis, name in zip(axes[:, -1], numerics, strict=True):
        own = tables[-1][tables[-1].numerics == name]
        _authors(axis, {method: theirs[method] for method in own.method.unique()}, hues)
    if known := known_floor(runs):
        for first, *others in axes:
            draw_floor(first, *known)
            for axis in others:
                draw_floor(axis, known[0])
    for axis, name in zip(axes[:, -1], numerics, strict=True):
        _name(axis, tables[-1][tables[-1].numerics == name], titles, hues)
    mark = {"marker": "<", "color": "0.3", "linestyle": "", "label": "the authors' error"}
    legend(figure, {}, lines, [Line2D([], [], **mark)] if any(map(np.isfinite, theirs.values())) else [])
    note(figure, runs, [run for run in runs if len(run.history)], "history")
    table = pd.concat(tables, ignore_index=True)[["against", "at", *AXES, "rel_l2"]]
    return figure, table.assign(authors=table.method.map(theirs), floor=known[0] if known else np.nan)


def _key(run: Run) -> tuple[str, str]:
    return run.record.spec.experiment, run.record.spec.method


def _authors(axis: Axes, theirs: dict[str, float], hues: dict) -> None:
    """A triangle at the right edge for each error of the authors."""
    for method, error in theirs.items():
        if np.isfinite(error):
            where = {"transform": axis.get_yaxis_transform(), "clip_on": False, "zorder": 4}
            axis.plot([1.0], [error], marker="<", color=hues[method], markersize=5, **where)


def _name(axis: Axes, table: pd.DataFrame, titles: dict[str, str], hues: dict) -> None:
    """Every method at the height of its last error, the median of all its runs, with the seeds of each backend."""
    ends = []
    for method, own in table.groupby("method", sort=False):
        seeds = list(dict.fromkeys(own.groupby("backend").seed.nunique()))
        count = " and ".join(map(str, seeds)) + (" seeds" if seeds != [1] else " seed")
        last = own.groupby(["backend", "seed"]).rel_l2.last().median() if len(own) else np.inf
        ends.append((last, f"{titles[method]}, {count}", hues[method]))
    label_ends(axis, ends)


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
