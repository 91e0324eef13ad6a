"""The pointwise residual of the PDE, computed from the saved weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from problems.base import Problem
from solvers.assembly import build_model
from solvers.jets import numpy_ops
from solvers.record import read_weights
from solvers.sampling import uniform_grid
from solvers.spec import RunSpec
from solvers.terms import Piece, block_arrays, build_terms, chunked, residuals
from workflow.analysis.figures.fields import error_scale, field_table, show_map
from workflow.analysis.figures.runs import Run, by_panel, lowest_seeds
from workflow.analysis.figures.style import colours, hide_unused, legend, note, panels

__all__ = ["draw_residuals", "pointwise_residual"]

DECADES = 7
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
    (block,) = build_terms([Piece("residual", problem.residual, points)])[0].blocks
    chunks = chunked(block_arrays(model, block), AT_ONCE)
    found = [
        residuals(model, block, parameters, model.constants(block.layout) | chunk, numpy_ops)
        for chunk in (dict(zip(chunks, one, strict=True)) for one in zip(*chunks.values(), strict=True))
    ]
    return np.concatenate(found)[: len(points)]


def draw_residuals(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """|operator(u) - forcing| of the last iterate of each method, and |forcing|, the residual of u = 0."""
    kept = [run for run in runs if has_weights(run)]
    shown = lowest_seeds(kept)
    axes, values = _computed(shown) if shown else ({}, {})
    figure = (_maps if len(axes) == 2 else _curves)(shown, axes, values)
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
    hues = colours(sorted({run.record.spec.backend for run in shown}))
    figure, grid = panels(len(grouped), 1, 1.8, sharex=True, sharey=True)
    for (axis,), (title, members) in zip(grid, grouped.items(), strict=False):
        axis.set_yscale("log")
        (x,) = axes.values()
        axis.plot(x, values[FORCING], color="0.75", linewidth=0.8)
        for i, run in enumerate(members):
            look = {"color": hues[run.record.spec.backend], "linewidth": max(1.4 - 0.8 * i, 0.6)}
            axis.plot(x, values[run.label], **look)
        axis.set_title(title, fontsize="small")
        axis.set_ylabel("|residual|")
    if shown:
        grid[-1, 0].set_xlabel(*axes)
        grid[0, 0].set_ylim(bottom=values[FORCING].max() * 10.0**-DECADES)
    legend(figure, {"|forcing|, the residual of u = 0": "0.75"} | hues)
    return figure


def _maps(shown: Sequence[Run], axes: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> Figure:
    """|forcing|, then the residual of each run."""
    titles = {"|forcing|": values[FORCING]} | {
        f"{title}\n{run.record.spec.backend}": values[run.label]
        for title, members in by_panel(shown).items()
        for run in members
    }
    columns = min(ACROSS, len(titles))
    scale = error_scale(list(values.values()), DECADES)
    figure, grid = panels(-(-len(titles) // columns), columns, 1.8)
    for axis, (title, field) in zip(hide_unused(grid, len(titles)), titles.items(), strict=True):
        mesh = show_map(axis, axes, field, scale, "magma", title)
    figure.colorbar(mesh, ax=grid, label="|residual|", shrink=0.8, aspect=30, pad=0.01, extend="both")
    return figure
