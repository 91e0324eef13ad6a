"""Exact solution (or the computed reference in its place), prediction and pointwise error."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from problems.base import ReferenceProblem
from workflow.analysis.figures.runs import Run, by_panel, lowest_seeds
from workflow.analysis.figures.style import colours, legend, note, panels

__all__ = ["coordinates", "draw_fields", "field_table", "largest", "show_map"]

VALUES, ERRORS = "viridis", "magma"
DECADES = 5


def draw_fields(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """Exact solution, prediction and pointwise error, a row for each method: maps over two coordinates, curves
    over one. One colour scale for solution and prediction, one for the errors."""
    kept = [run for run in runs if run.fields]
    shown = lowest_seeds(kept)
    axes = coordinates(shown[0]) if shown else {}
    name = _solution_name(shown)
    figure = (_maps if len(axes) == 2 else _curves)(shown, name)
    note(figure, runs, kept, "prediction")
    exact = {name: shown[0].fields["exact"]} if shown else {}
    return figure, field_table(axes, exact | {run.label: run.fields["predicted"] for run in shown})


def _solution_name(shown: Sequence[Run]) -> str:
    """What the predictions are held against."""
    computed = shown and isinstance(shown[0].record.spec.build_problem(), ReferenceProblem)
    return "reference" if computed else "exact"


def coordinates(run: Run) -> dict[str, np.ndarray]:
    """Coordinates of a run's fields by name, in their order."""
    return {name: values for name, values in run.fields.items() if name not in ("exact", "predicted")}


def field_table(axes: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A row for each node of the grid of ``axes``: its coordinates, then ``columns``."""
    mesh = np.meshgrid(*axes.values(), indexing="ij") if axes else []
    places = {name: values.ravel() for name, values in zip(axes, mesh, strict=True)}
    return pd.DataFrame(places | {name: values.ravel() for name, values in columns.items()})


def _error(run: Run) -> np.ndarray:
    return np.abs(run.fields["predicted"].astype(float) - run.fields["exact"])


def largest(fields: Sequence[np.ndarray]) -> float:
    """The largest finite entry, or one if there is none above zero."""
    return max((float(f[np.isfinite(f)].max(initial=0.0)) for f in fields), default=0.0) or 1.0


def _curves(shown: Sequence[Run], name: str) -> Figure:
    """Solution and error, a row for each method, a colour for each backend."""
    grouped = by_panel(shown)
    hues = colours(sorted({run.record.spec.backend for run in shown}))
    figure, axes = panels(len(grouped), 2, 1.8, sharex=True, sharey="col")
    for (left, right), (title, members) in zip(axes, grouped.items(), strict=False):
        (x,) = coordinates(members[0]).values()
        left.plot(x, members[0].fields["exact"], color="0.65", linewidth=2)
        right.set_yscale("log")
        for i, run in enumerate(members):
            (x,) = coordinates(run).values()
            look = {"color": hues[run.record.spec.backend], "linewidth": max(1.8 - 1.1 * i, 0.7)}
            left.plot(x, run.fields["predicted"], **look)
            right.plot(x, _error(run), **look)
        left.set_title(title, fontsize="small")
        right.set_title("|error|", fontsize="small")
    if shown:
        low, high = shown[0].fields["exact"].min(), shown[0].fields["exact"].max()
        axes[0, 0].set_ylim(low - (high - low), high + (high - low))  # a failed method may leave the frame
        axes[0, 1].set_ylim(bottom=largest([_error(run) for run in shown]) * 1e-7)  # a hard constraint is exact
        for axis in axes[-1]:
            axis.set_xlabel(*coordinates(shown[0]))
    legend(figure, {name: "0.65"} | hues)
    return figure


def _maps(shown: Sequence[Run], name: str) -> Figure:
    """The exact solution, then prediction and error side by side for each backend, a row for each method."""
    grouped = by_panel(shown)
    backends = sorted({run.record.spec.backend for run in shown})
    exact = shown[0].fields["exact"]
    values, errors = Normalize(exact.min(), exact.max()), error_scale([_error(run) for run in shown])
    figure, axes = panels(1 + len(grouped), 2 * len(backends), 1.75)
    for axis in axes.flat:
        axis.set_axis_off()
    first = show_map(axes[0, 0], coordinates(shown[0]), exact, values, VALUES, name)
    last = None
    for row, (title, members) in zip(axes[1:], grouped.items(), strict=True):
        for run in members:
            column = 2 * backends.index(run.record.spec.backend)
            backend = run.record.spec.backend
            show_map(row[column], coordinates(run), run.fields["predicted"], values, VALUES, f"{title}\n{backend}")
            last = show_map(row[column + 1], coordinates(run), _error(run), errors, ERRORS, f"|error|\n{backend}")
    figure.colorbar(last, ax=axes, label="|error|", shrink=0.5, aspect=40, pad=0.01, extend="both")
    figure.colorbar(first, ax=axes, label="solution and prediction", shrink=0.5, aspect=40, pad=0.01)
    return figure


def error_scale(errors: Sequence[np.ndarray], decades: int = DECADES) -> LogNorm:
    """One logarithmic scale over some decades: methods differ by more than a linear scale can show."""
    top = largest(errors)
    return LogNorm(top * 10.0**-decades, top, clip=True)


def show_map(
    axis: Axes, axes: Mapping[str, np.ndarray], field: np.ndarray, norm: Normalize, cmap: str, title: str
) -> AxesImage:
    """A field over its two coordinates, each uniform, the first upwards."""
    (upwards, y), (across, x) = axes.items()
    axis.set_axis_on()
    axis.grid(False)
    across_half, upwards_half = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    extent = (x[0] - across_half, x[-1] + across_half, y[0] - upwards_half, y[-1] + upwards_half)
    mesh = axis.imshow(
        field, norm=norm, cmap=cmap, extent=extent, origin="lower", aspect="auto", interpolation="nearest"
    )
    axis.set_title(title, fontsize="x-small")
    place = axis.get_subplotspec()
    if place.is_last_row():
        axis.set_xlabel(across)
    if place.is_first_col():
        axis.set_ylabel(upwards)
    axis.xaxis.set_visible(place.is_last_row())  # most of the time of drawing goes into ticks
    axis.yaxis.set_visible(place.is_first_col())
    return mesh
