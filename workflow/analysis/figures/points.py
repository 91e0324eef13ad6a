"""Figures of a study's axes: lines over one, maps over two, one map for each point of any further axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from workflow.analysis.figures.runs import floor_label
from workflow.analysis.figures.style import LINES, colours, draw_floor, hide_unused, legend, panels
from workflow.analysis.points import quartiles
from workflow.analysis.summary import axes_of, errors

__all__ = ["Page", "draw_lines", "draw_maps", "draw_spreads", "page_of"]

SERIES = ["method", "backend", "numerics"]
ACROSS = 3  # maps in a row
MOST_NUMBERS = 36  # cells of a map with their numbers in them
SEVERAL = 1.0001


@dataclass(frozen=True)
class Page:
    """Rows of the summary of one experiment, the axes that a figure shows, and the values of all others."""

    rows: pd.DataFrame
    axes: list[str]
    fixed: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The values of the axes that are not shown."""
        return ", ".join(f"{name} = {value}" for name, value in self.fixed.items())


def page_of(summary: pd.DataFrame, name: str) -> Page:
    """What the figure ``name`` shows of an experiment's rows: the first two axes at one point of the others, whose
    number stands behind the name."""
    axes = axes_of(summary)
    shown, rest = axes[:2], axes[2:]
    points = list(product(*(summary[axis].unique() for axis in rest)))
    number = name.rpartition("-")[2]
    fixed = dict(zip(rest, points[int(number) - 1 if number.isdecimal() else 0], strict=True))
    own = summary
    for axis, value in fixed.items():
        own = own[own[axis] == value]
    return Page(own, shown, fixed)


def _points(page: Page) -> pd.DataFrame:
    """A row for each point of each series: seeds, failures, median and quartiles of the error, and its spread, the
    ratio of the largest to the smallest error of the runs that finished."""
    rows = []
    for values, runs in page.rows.groupby([*SERIES, *page.axes], sort=False):
        error = errors(runs)
        known = error[np.isfinite(error)]
        rows.append(
            dict(zip([*SERIES, *page.axes], values, strict=True))
            | {"seeds": len(runs), "failures": int((runs.status != "finished").sum())}
            | quartiles(error)
            | {"spread": float(known.max() / known.min()) if len(known) else np.nan}
        )
    return pd.DataFrame(rows)


def _is_numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in values)


def draw_lines(page: Page) -> tuple[Figure, pd.DataFrame]:
    """The relative L2 error against the values of one axis: the median over the seeds, and a band between the
    quartiles. A cross marks a point at which runs failed, a dotted line the error of a classical solver."""
    (name,) = page.axes
    table = _points(page)
    values = list(dict.fromkeys(table[name]))
    places = {value: float(value) if _is_numeric(values) else float(i) for i, value in enumerate(values)}
    series = dict(list(table.groupby(SERIES, sort=False)))
    hues = colours([method for method, _, _ in series])
    lines = dict(zip(dict.fromkeys((b, n) for _, b, n in series), LINES, strict=False))
    figure, ((axis,),) = panels(1, 1, 3.2)
    axis.set_yscale("log")
    for (method, backend, numerics), own in series.items():
        _line(axis, own.assign(at=own[name].map(places)), hues[method], lines[backend, numerics])
    if not _is_numeric(values):
        axis.set_xticks(list(places.values()), list(map(str, places)))
    axis.set_xlabel(name)
    axis.set_ylabel("relative L2 error")
    floors = page.rows[["floor_rel_l2", "floor_cpu_seconds"]].dropna().drop_duplicates()
    if len(floors) == 1 and floors.floor_rel_l2.item() > 0:
        draw_floor(axis, floors.floor_rel_l2.item(), floor_label(*floors.iloc[0]))
    legend(figure, hues, {f"{backend}, {numerics}": line for (backend, numerics), line in lines.items()})
    return figure, table


def _line(axis: Axes, points: pd.DataFrame, colour: Any, line: Any) -> None:
    points = points.sort_values("at").replace(np.inf, np.nan)
    look = {"color": colour, "linestyle": line}
    axis.plot(points["at"], points["median"], marker="o", markersize=3, **look)
    axis.fill_between(points["at"], points["lower quartile"], points["upper quartile"], alpha=0.15, color=colour)
    failed = points[points.failures > 0]
    top = np.nanmax([*points["median"].fillna(0), *points["upper quartile"].fillna(0), 1e-16])
    axis.scatter(failed["at"], failed["median"].fillna(top), marker="x", color=colour, zorder=3)


def draw_maps(page: Page) -> tuple[Figure, pd.DataFrame]:
    """The median relative L2 error over the seeds at every pair of values of two axes, a map for each method,
    backend and numerics. Where runs failed, a cell says how many of how many."""
    table = _points(page)
    return _maps(page, table, "median", "median of the relative L2 error"), table


def draw_spreads(page: Page) -> tuple[Figure, pd.DataFrame]:
    """The ratio of the largest to the smallest relative L2 error over the seeds that finished, as in the map of
    medians."""
    table = _points(page)
    return _maps(page, table, "spread", "largest / smallest error of the seeds"), table


def _maps(page: Page, table: pd.DataFrame, shown: str, label: str) -> Figure:
    series = dict(list(table.groupby(SERIES, sort=False)))
    columns = min(ACROSS, len(series))
    figure, grid = panels(-(-len(series) // columns), columns, 2.6)
    known = table[shown][np.isfinite(table[shown])]
    low, high = (float(known.min()), float(known.max())) if len(known) else (1.0, 1.0)
    norm = LogNorm(low, max(high, low * SEVERAL))
    for axis, (names, own) in zip(hide_unused(grid, len(series)), series.items(), strict=True):
        mesh = _map(axis, own, page.axes, shown, norm)
        axis.set_title(", ".join(names), fontsize="small")
    figure.colorbar(mesh, ax=grid, label=label, shrink=0.8, aspect=30, pad=0.02)
    if page.title:
        figure.suptitle(page.title, fontsize="small")
    return figure


def _in_cell(point: Mapping[str, Any], shown: str, cells: int) -> str:
    """The number, unless there are too many of them, and how many runs failed."""
    number = [f"{point[shown]:.2g}"] if cells <= MOST_NUMBERS and np.isfinite(point[shown]) else []
    failed = [f"{point['failures']} of {point['seeds']} failed"] if point["failures"] else []
    return "\n".join(number + failed)


def _map(axis: Axes, table: pd.DataFrame, names: Sequence[str], shown: str, norm: LogNorm) -> Any:
    """One map; the first axis upwards. A cell without a finite value stays empty."""
    upwards, across = names
    rows, columns = (list(dict.fromkeys(table[name])) for name in names)
    field = np.full((len(rows), len(columns)), np.nan)
    axis.grid(False)
    for point in table.to_dict("records"):
        i, j = rows.index(point[upwards]), columns.index(point[across])
        field[i, j] = point[shown] if np.isfinite(point[shown]) else np.nan
        if text := _in_cell(point, shown, len(table)):
            axis.text(j, i, text, ha="center", va="center", fontsize="x-small", bbox={"fc": "white", "alpha": 0.8})
    mesh = axis.imshow(field, norm=norm, cmap="viridis", origin="lower", aspect="auto")
    axis.set_xticks(range(len(columns)), list(map(str, columns)))
    axis.set_yticks(range(len(rows)), list(map(str, rows)))
    axis.set_xlabel(across)
    axis.set_ylabel(upwards)
    return mesh
