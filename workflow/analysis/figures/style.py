"""What all figures share: theme, colours and line styles, legend, notes, files."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from workflow.analysis.figures.runs import Run, named
from workflow.analysis.writing import harmless

__all__ = ["WIDTH", "colours", "draw_floor", "label_ends", "legend", "note", "panels", "styles", "write_figure"]

WIDTH = 8.0  # inches
DPI = 150
PALETTE = "colorblind"
DECADES_WITH_MINOR_TICKS = 2
SMALLEST_SPAN = 100  # an axis may always get two decades longer for the line of the floor
LABEL_POINTS = 11.0  # from one name at the end of a line to the next
LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1, 1, 1)))

sns.set_theme(
    context="paper",
    style="ticks",
    palette=PALETTE,
    rc={"axes.grid": True, "grid.color": "0.92", "lines.linewidth": 1.1, "axes.titley": 1.0},
)


def colours(names: Sequence[str]) -> dict[str, Any]:
    """A colour for each name, distinct in colour-blind vision."""
    names = list(dict.fromkeys(names))
    return dict(zip(names, sns.color_palette(PALETTE, max(len(names), 1)), strict=False))


def styles(runs: Sequence[Run]) -> dict[str, Any]:
    """A line style for each backend."""
    names = sorted({run.record.spec.backend for run in runs})
    return {name: LINES[i % len(LINES)] for i, name in enumerate(names)}


def panels(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure of the common width with ``rows x columns`` axes, ``height`` inches a row; at least one axis."""
    figure = Figure(figsize=(WIDTH, height * max(rows, 1)), layout="constrained")
    return figure, figure.subplots(max(rows, 1), max(columns, 1), squeeze=False, **options)


def legend(
    figure: Figure,
    coloured: Mapping[str, Any],
    styled: Mapping[str, Any] | None = None,
    more: Sequence[Line2D] = (),
) -> None:
    """One legend above the panels: what a colour is and, if there are several, what a line style is."""
    handles = [Line2D([], [], color=colour, label=name, linewidth=2) for name, colour in coloured.items()]
    handles += more
    if styled and len(styled) > 1:
        handles += [Line2D([], [], color="0.2", linestyle=line, label=name) for name, line in styled.items()]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6), frameon=False)


def label_ends(axis: Axes, ends: Sequence[tuple[float, str, Any]]) -> None:
    """Names of lines at the right of the panel, each in its colour and at the height where its line ends, moved
    apart where they would overlap: (value, name, colour). Lines that end nowhere finite are named at the top. The
    limits of the axis must be final."""
    low, high = axis.get_ylim()
    apart = LABEL_POINTS / (72 * axis.get_figure().get_figheight() / axis.get_subplotspec().get_gridspec().nrows)
    scaled = axis.get_yaxis().get_transform().transform
    bottom, top = scaled(np.array([low, high]))
    known = [(np.clip((scaled(value) - bottom) / (top - bottom), 0, 1) if np.isfinite(value) else 1.0, *rest)
             for value, *rest in ends]  # fmt: skip
    place = -np.inf
    moved = []
    for height, name, colour in sorted(known, key=lambda end: end[0]):
        place = max(height, place + apart)
        moved.append((place, name, colour))
    over = max(0.0, place - 1.0)
    for height, name, colour in moved:
        axis.annotate(
            name, (1.05, height - over), xycoords="axes fraction", va="center", fontsize="x-small", color=colour
        )


def draw_floor(axis: Axes, error: float, label: str = "") -> None:
    """A dotted horizontal line at the error of a classical solver, with a label; at the lower edge, with an arrow
    downwards, where it is so small that the line would flatten all others. The limits of the axis are final
    then."""
    low, high = axis.get_ylim()
    near = error >= low / max(high / low, SMALLEST_SPAN)
    if near:
        axis.set_ylim(min(low, error / 2), max(high, 2 * error))
        axis.axhline(error, color="0.3", linestyle=":", linewidth=0.9)
    else:
        axis.set_ylim(low, high)
    if not label:
        return
    place = (0.02, error) if near else (0.02, low)
    where = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "xytext": (0, 2)}
    text = label if near else f"\N{DOWNWARDS ARROW} {label}"
    axis.annotate(text, place, fontsize="x-small", color="0.3", va="bottom", **where)


def note(figure: Figure, runs: Sequence[Run], shown: Sequence[Run], needed: str) -> None:
    """Below the figure: runs that lack what it ``needed``; an axis without any run is emptied."""
    left_out = [run for run in runs if run not in shown]
    if left_out:
        text = f"Not shown, for there is no {needed}: {named(left_out)}."
        figure.supxlabel("\n".join(textwrap.wrap(text, 110)), fontsize="x-small", color="0.3")
    if not shown:
        for axis in figure.axes:
            axis.set_axis_off()


def hide_unused(axes: np.ndarray, used: int) -> list[Axes]:
    """The first ``used`` axes; the others are switched off."""
    for axis in axes.flat[used:]:
        axis.set_axis_off()
    return list(axes.flat[:used])


def _arrange(figure: Figure) -> None:
    """Arrange the figure once for both files, which is most of the work, and fix it.

    Most of that work goes into ticks, to find a place for labels beside them: an axis without a label needs none.
    With no layout engine left, saving does not go through the whole figure once more only to arrange it.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0.5, 0.5)
            if axis.get_scale() == "log" and _decades(axis) > DECADES_WITH_MINOR_TICKS:
                axis.set_minor_locator(NullLocator())
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)


def _decades(axis: Axis) -> float:
    low, high = axis.get_view_interval()
    return float(np.log10(high / low)) if 0 < low < high else 0.0


def write_figure(figure: Figure, table: pd.DataFrame, pdf: Path) -> None:
    """``pdf`` and, beside it, the same as PNG and the numbers as CSV; without dates, so that equal is equal."""
    pdf.parent.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(DPI)  # of the PNG: texts are measured at one size less
    _arrange(figure)
    figure.savefig(pdf, metadata={"CreationDate": None})
    figure.savefig(pdf.with_suffix(".png"), dpi=DPI)
    plt.close(figure)
    harmless(table).to_csv(pdf.with_suffix(".csv"), index=False, float_format="%.6g")
