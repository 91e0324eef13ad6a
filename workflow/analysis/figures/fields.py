"""Exact solution (or the computed reference in its place), prediction and pointwise error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from problems.base import ReferenceProblem
from workflow.analysis.figures.maps import Cut, colour_bars, cuts, decades, map_height, show_map, value_scale
from workflow.analysis.figures.runs import Run, by_panel, lowest_seeds
from workflow.analysis.figures.style import colours, legend, note, panels, styles

__all__ = ["coordinates", "draw_fields", "field_table"]

MAPS_IN_A_ROW = 4


def draw_fields(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """Exact solution, prediction and pointwise error of each method: maps over two coordinates, curves over one,
    slices through three or more. One colour scale for solution and prediction, one in whole decades for the
    errors."""
    kept = [run for run in runs if run.fields]
    shown = lowest_seeds(kept)
    axes = coordinates(shown[0]) if shown else {}
    name = _solution_name(shown)
    figure = (_maps if len(axes) > 1 else _curves)(shown, name)
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
    """A row for each node of the grid of ``axes`` that a figure shows, all or those of the slices: its
    coordinates, then ``columns``."""
    if not axes:
        return pd.DataFrame()
    return pd.concat([_rows(cut, columns) for cut in cuts(axes)], ignore_index=True)


def _rows(cut: Cut, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    mesh = np.meshgrid(*cut.axes.values(), indexing="ij")
    places = {name: values.ravel() for name, values in zip(cut.axes, mesh, strict=True)}
    return pd.DataFrame(places).assign(**cut.fixed, **{name: cut.of(v).ravel() for name, v in columns.items()})


def _error(run: Run) -> np.ndarray:
    return np.abs(run.fields["predicted"].astype(float) - run.fields["exact"])


def _curves(shown: Sequence[Run], name: str) -> Figure:
    """Solution and error, a row for each method, a colour and a line style for each backend."""
    grouped = by_panel(shown)
    hues, lines = colours(sorted({run.record.spec.backend for run in shown})), styles(shown)
    figure, axes = panels(len(grouped), 2, 1.8, sharex=True, sharey="col")
    for (left, right), (title, members) in zip(axes, grouped.items(), strict=False):
        ((across, x),) = coordinates(members[0]).items()
        left.plot(x, members[0].fields["exact"], color="0.65", linewidth=2)
        right.set_yscale("log")
        for i, run in enumerate(members):
            backend = run.record.spec.backend
            look = {"color": hues[backend], "linestyle": lines[backend], "linewidth": max(1.8 - 0.7 * i, 0.9)}
            left.plot(x, run.fields["predicted"], **look)
            right.plot(x, _error(run), **look)
        left.set_title(f"{title}: u({across})", fontsize="small")
        right.set_title(f"{title}: |error|{_l2(members)}", fontsize="small")
    if shown:
        low, high = shown[0].fields["exact"].min(), shown[0].fields["exact"].max()
        axes[0, 0].set_ylim(low - (high - low), high + (high - low))  # a failed method may leave the frame
        axes[0, 1].set_ylim(bottom=decades([_error(run) for run in shown]).norm.vmin)  # a hard constraint is exact
        for axis in axes[-1]:
            axis.set_xlabel(*coordinates(shown[0]))
    legend(figure, {name: "0.65"} | hues, lines)
    return figure


def _l2(runs: Sequence[Run]) -> str:
    """The relative L2 errors of runs that have one, in words."""
    known = [
        f"{run.record.last.rel_l2:.1e}" for run in runs if run.record.last and run.record.last.rel_l2 is not None
    ]
    return f", L2 {', '.join(dict.fromkeys(known))}" if known else ""


@dataclass(frozen=True)
class _Block:
    """Maps that stand side by side: of the solution, or of a run's prediction and error."""

    title: str
    values: np.ndarray
    error: np.ndarray | None = None
    note: str = ""


def _blocks(shown: Sequence[Run], name: str) -> list[_Block | None]:
    """The solution, then prediction and error of each run; with several backends the runs of a method stand in one
    row, and what is missing there is none."""
    backends = sorted({run.record.spec.backend for run in shown})
    blocks: list[_Block | None] = [_Block(name, shown[0].fields["exact"])]
    blocks += [None] * (len(backends) - 1)
    for title, members in by_panel(shown).items():
        by_backend = {run.record.spec.backend: run for run in members}
        for backend in backends:
            run = by_backend.get(backend)
            named = f"{title}, {backend}" if len(backends) > 1 else title
            blocks.append(run and _Block(named, run.fields["predicted"], _error(run), _l2([run])))
    return blocks


def _maps(shown: Sequence[Run], name: str) -> Figure:
    """The solution, then prediction and error side by side of every run, slice by slice if there are three
    coordinates."""
    blocks, parts = _blocks(shown, name), cuts(coordinates(shown[0]))
    width = 2 * len(parts)
    abreast = max(1, MAPS_IN_A_ROW // width)
    if abreast == 1:
        blocks = [block for block in blocks if block]
    values = value_scale(shown[0].fields["exact"])
    errors = decades([_error(run) for run in shown])
    rows = -(-len(blocks) // abreast)
    figure, axes = panels(rows, width * abreast, map_height(parts[0], width * abreast))
    for axis in axes.flat:
        axis.set_axis_off()
    first = last = None
    for i, block in enumerate(blocks):
        if block is None:
            continue
        own = axes[i // abreast, width * (i % abreast) : width * (i % abreast + 1)]
        for axis, part in zip(own, parts, strict=False):
            first = show_map(axis, part, block.values, values, block.title)
        if block.error is not None:
            for axis, part in zip(own[len(parts) :], parts, strict=True):
                last = show_map(axis, part, block.error, errors, f"|error|{block.note}")
    colour_bars(figure, axes, [(last, "|error|"), (first, "u")])
    return figure
