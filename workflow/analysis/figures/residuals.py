"""The pointwise residual of the PDE, computed from the saved weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from problems.base import Problem
from solvers.configuration.assembly import build_model
from solvers.configuration.spec import RunSpec
from solvers.model.jets import numpy_ops
from solvers.model.terms import CollocationPoints, build_terms, chunked, constraint_arrays, residuals
from solvers.points.grids import uniform_grid
from solvers.runs.record import read_weights
from workflow.analysis.figures.fields import field_table
from workflow.analysis.figures.maps import colour_bars, cuts, decades, map_height, show_map
from workflow.analysis.figures.runs import Run, by_panel, lowest_seeds
from workflow.analysis.figures.style import colours, hide_unused, legend, note, panels, styles

__all__ = ["draw_residuals", "pointwise_residual"]

DECADES = 8  # of curves, below the forcing
ACROSS = 4  # maps in a row
AT_ONCE = 500  # points that stay in the cache
FORCING = "forcing"
WEIGHTS = "weights.safetensors"


def has_weights(run: Run) -> bool:
    """Whether a run has its last weights: the archive leaves them out where they are large, and a run that came to
    no iterate has none."""
    return (run.folder / WEIGHTS).exists() and any(n.startswith("last/") for n in read_weights(run.folder))


def pointwise_residual(folder: Path, spec: RunSpec, problem: Problem, points: np.ndarray) -> np.ndarray:
    """operator(u) - forcing of the last iterate saved in ``folder`` at ``points`` (N, d): (N,), in float64.

    ``problem`` is that of ``spec``; it compiles its functions once for all runs."""
    model = build_model(spec, problem)
    saved = read_weights(folder)
    parameters = {name: saved[f"last/{name}"].astype(float) for name in model.shapes}
    (constraint,) = build_terms([CollocationPoints("residual", problem.residual, points)])[0].constraints
    chunks = chunked(constraint_arrays(model, constraint), AT_ONCE)
    found = [
        residuals(model, constraint, parameters, model.constants(constraint.layout) | chunk, numpy_ops)
        for chunk in (dict(zip(chunks, one, strict=True)) for one in zip(*chunks.values(), strict=True))
    ]
    return np.concatenate(found)[: len(points)]


def draw_residuals(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """|operator(u) - forcing| of the last iterate of each method, and |forcing|, the residual of u = 0."""
    kept = [run for run in runs if has_weights(run)]
    shown = lowest_seeds(kept)
    axes, values = _computed(shown) if shown else ({}, {})
    figure = (_maps if len(axes) > 1 else _curves)(shown, axes, values)
    note(figure, runs, kept, "file of weights")
    return figure, field_table(axes, values)


def _computed(shown: Sequence[Run]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The coordinates of the experiment's grid for fields, and on it |forcing| and the residual of each run."""
    spec = shown[0].record.spec
    problem, shape = spec.build_problem(), spec.evaluation.field_grid
    points = uniform_grid(problem.lower, problem.upper, shape)
    ends = zip(problem.coordinates, problem.lower, problem.upper, shape, strict=True)
    axes = {name: np.linspace(low, high, count) for name, low, high, count in ends}
    forcing = {FORCING: problem.residual.target(points)}
    values = forcing | {
        run.label: pointwise_residual(run.folder, run.record.spec, problem, points) for run in shown
    }
    return axes, {name: np.abs(array).reshape(shape) for name, array in values.items()}


def _curves(shown: Sequence[Run], axes: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> Figure:
    grouped = by_panel(shown)
    hues, lines = colours(sorted({run.record.spec.backend for run in shown})), styles(shown)
    figure, grid = panels(len(grouped), 1, 1.8, sharex=True, sharey=True)
    for (axis,), (title, members) in zip(grid, grouped.items(), strict=False):
        axis.set_yscale("log")
        (x,) = axes.values()
        axis.plot(x, values[FORCING], color="0.75", linewidth=0.8)
        for i, run in enumerate(members):
            backend = run.record.spec.backend
            look = {"color": hues[backend], "linestyle": lines[backend], "linewidth": max(1.4 - 0.6 * i, 0.7)}
            axis.plot(x, values[run.label], **look)
        axis.set_title(title, fontsize="small")
        axis.set_ylabel("|residual|")
    if shown:
        grid[-1, 0].set_xlabel(*axes)
        grid[0, 0].set_ylim(bottom=values[FORCING].max() * 10.0**-DECADES)
    legend(figure, {"|forcing|, the residual of u = 0": "0.75"} | hues, lines)
    return figure


def _maps(shown: Sequence[Run], axes: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> Figure:
    """|forcing|, then the residual of each run, slice by slice if there are three coordinates."""
    several = len({run.record.spec.backend for run in shown}) > 1
    titles = {"|forcing|": values[FORCING]} | {
        f"{title}, {run.record.spec.backend}" if several else title: values[run.label]
        for title, members in by_panel(shown).items()
        for run in members
    }
    parts = cuts(axes)
    shown_maps = [(title, part, field) for title, field in titles.items() for part in parts]
    columns = min(len(parts) if len(parts) > 1 else ACROSS, len(shown_maps))
    scale = decades(list(values.values()))
    figure, grid = panels(-(-len(shown_maps) // columns), columns, map_height(parts[0], columns))
    for axis, (title, part, field) in zip(hide_unused(grid, len(shown_maps)), shown_maps, strict=True):
        mesh = show_map(axis, part, field, scale, title)
    colour_bars(figure, grid, [(mesh, "|residual|")])
    return figure
