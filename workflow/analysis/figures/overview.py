"""Every run's error beside the authors' number: the whole sweep at a glance."""

import textwrap
from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.figures.runs import method_title
from workflow.analysis.figures.style import colours, panels

__all__ = ["draw_overview", "overview_table"]

MARKERS = "o^sDv"
COLUMNS = ["experiment", "method", "backend", "numerics", "seed", "status", "rel_l2", "authors"]
FLOORS = {"floor_rel_l2": "floor", "floor_cpu_seconds": "floor seconds"}


def overview_table(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """A row for each run: its relative L2 error, the authors' and that of a classical solver with its CPU seconds,
    missing where there is none."""

    def authors(row: pd.Series) -> float | None:
        return catalogue.experiment(row.experiment).methods[row.method].authors.rel_l2

    return summary.assign(authors=summary.apply(authors, axis=1).astype(float))[[*COLUMNS, *FLOORS]].rename(
        columns=FLOORS
    )


def draw_overview(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """A line for each method of each experiment: a mark for each run, coloured by backend and shaped by
    backend and numerics, and a bar for the authors; below each experiment's title the error of a classical solver,
    and a dotted line where that is on the axis."""
    table = overview_table(summary, catalogue)
    lines = list(dict.fromkeys(zip(table.experiment, table.method, strict=True)))
    figure, axes = panels(1, 1, 0.9 + 0.2 * len(lines))
    axis = axes[0, 0]
    axis.set_xscale("log")
    known = pd.concat([table.rel_l2, table.authors]).replace(np.inf, np.nan).dropna()
    edge = 3 * known.max() if len(known) else 1.0
    places = np.array([lines.index(key) for key in zip(table.experiment, table.method, strict=True)], dtype=float)
    series = list(dict.fromkeys(zip(table.backend, table.numerics, strict=True)))
    hues = colours(sorted(set(table.backend)))
    shapes = dict(zip(series, cycle(MARKERS), strict=False))
    for i, (backend, numerics) in enumerate(series):
        shift = 0.5 * ((i + 0.5) / len(series) - 0.5)
        own = (table.backend == backend) & (table.numerics == numerics)
        for done, look in (
            (True, {"marker": shapes[backend, numerics], "linewidths": 0}),
            (False, {"marker": "x"}),
        ):
            rows = (own & ((table.status == "finished") == done)).to_numpy()
            error = table.rel_l2[rows].fillna(edge).clip(upper=edge)
            axis.scatter(error, places[rows] + shift, s=14, color=hues[backend], alpha=0.8, **look)
    axis.scatter(table.authors, places, marker="|", s=90, color="black", linewidths=1.6, zorder=3)
    _label(axis, lines, catalogue, table.drop_duplicates("experiment").set_index("experiment"))
    handles = [
        Line2D([], [], marker=shapes[b, n], color=hues[b], linestyle="", label=f"{b}, {n}") for b, n in series
    ]
    if table.authors.notna().any():
        bar = {"markersize": 9, "markeredgewidth": 1.6, "linestyle": ""}
        handles.append(Line2D([], [], marker="|", color="black", label="the authors", **bar))
    figure.legend(handles=handles, loc="outside upper center", ncols=5, frameon=False)
    return figure, table


def _label(axis: Axes, lines: Sequence[tuple[str, str]], catalogue: Catalogue, experiments: pd.DataFrame) -> None:
    """Methods as ticks, experiments at the right with their floors, a rule between two of them."""
    axis.set_xlim(axis.get_xlim())
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.set_yticks(range(len(lines)), [method_title(*line) for line in lines], fontsize="x-small")
    axis.set_xlabel("relative L2 error")
    for experiment in dict.fromkeys(name for name, _ in lines):
        own = [i for i, (name, _) in enumerate(lines) if name == experiment]
        axis.axhline(own[0] - 0.5, color="0.6", linewidth=0.8)
        title = "\n".join(textwrap.wrap(catalogue.experiment(experiment).title, 26))
        floor = experiments.loc[experiment]
        if floor["floor"] > 0:
            title += f"\nclassical: {floor['floor']:.1e} in {floor['floor seconds']:.2g} s"
            if axis.get_xlim()[0] <= floor["floor"] <= axis.get_xlim()[1]:
                axis.vlines(floor["floor"], own[0] - 0.5, own[-1] + 0.5, color="0.3", linestyle=":", linewidth=0.9)
        place = {"xycoords": ("axes fraction", "data"), "va": "center"}
        axis.annotate(title, (1.01, float(np.mean(own))), fontsize="x-small", linespacing=0.95, **place)
    sns.despine(ax=axis, left=True)
