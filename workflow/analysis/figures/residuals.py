"""The pointwise residual of the PDE, computed from the saved weights."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from safetensors.numpy import load_file

from solvers.jets import numpy_ops
from solvers.run import build_model
from solvers.terms import Piece, block_arrays, build_terms
from workflow.analysis.figures.fields import coordinates, error_scale, field_table, show_map
from workflow.analysis.figures.runs import Run, by_panel, lowest_seeds
from workflow.analysis.figures.style import colours, legend, note, panels

__all__ = ["draw_residuals", "pointwise_residual"]

DECADES = 7
FORCING = "forcing"


def has_weights(run: Run) -> bool:
    """Whether a run has fields and has kept its weights, which the archive leaves out where they are large."""
    return bool(run.fields) and (run.folder / "weights.safetensors").exists()


def _points(run: Run) -> np.ndarray:
    """Nodes (N, d) of the run's fields."""
    mesh = np.meshgrid(*(run.fields[name].astype(float) for name in coordinates(run)), indexing="ij")
    return np.stack([values.ravel() for values in mesh], axis=1)


def pointwise_residual(run: Run) -> np.ndarray:
    """operator(u) - forcing of the last iterate at the nodes of the run's fields, in their shape, in float64."""
    spec = run.record.spec
    problem = spec.build_problem()
    model = build_model(spec, problem)
    saved = load_file(run.folder / "weights.safetensors")
    parameters = {name: saved[f"last/{name}"].astype(float) for name in model.shapes}
    (block,) = build_terms([Piece("residual", problem.residual, _points(run))])[0].blocks
    given = model.constants(block.layout) | block_arrays(model, block)
    jet = model.output(block.points, block.layout, parameters, given, numpy_ops)
    if model.trial:
        jet = model.trial.jet(jet, given)
    return block.mismatch(jet, block.points, block.target).reshape(run.fields["exact"].shape)


def draw_residuals(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """|operator(u) - forcing| of the last iterate of each method, and |forcing|, the residual of u = 0."""
    kept = [run for run in runs if has_weights(run)]
    shown = lowest_seeds(kept)
    residuals = {run.label: np.abs(pointwise_residual(run)) for run in shown}
    forcing = {}
    if shown:
        values = shown[0].record.spec.build_problem().residual.target(_points(shown[0]))
        forcing = {FORCING: np.abs(values).reshape(shown[0].fields["exact"].shape)}
    draw = _maps if shown and len(coordinates(shown[0])) == 2 else _curves
    figure = draw(shown, forcing | residuals)
    note(figure, runs, kept, "file of weights")
    return figure, field_table(shown, forcing | residuals)


def _curves(shown: Sequence[Run], values: dict[str, np.ndarray]) -> Figure:
    grouped = by_panel(shown)
    hues = colours(sorted({run.record.spec.backend for run in shown}))
    figure, axes = panels(len(grouped), 1, 1.8, sharex=True, sharey=True)
    for (axis,), (title, members) in zip(axes, grouped.items(), strict=False):
        axis.set_yscale("log")
        x = members[0].fields[coordinates(members[0])[0]]
        axis.plot(x, values[FORCING], color="0.75", linewidth=0.8)
        for run in members:
            axis.plot(x, values[run.label], color=hues[run.record.spec.backend], linewidth=0.7)
        axis.set_title(title, fontsize="small")
        axis.set_ylabel("|residual|")
    if shown:
        axes[-1, 0].set_xlabel(coordinates(shown[0])[0])
        axes[0, 0].set_ylim(bottom=values[FORCING].max() * 10.0**-DECADES)
    legend(figure, {"|forcing|, the residual of u = 0": "0.75"} | hues)
    return figure


def _maps(shown: Sequence[Run], values: dict[str, np.ndarray]) -> Figure:
    """|forcing|, then the residual of each backend, methods side by side."""
    grouped = by_panel(shown)
    backends = sorted({run.record.spec.backend for run in shown})
    scale = error_scale(list(values.values()), DECADES)
    figure, axes = panels(len(backends), 1 + len(grouped), 2.0, sharex=True, sharey=True)
    for axis in axes.flat:
        axis.set_axis_off()
    mesh = show_map(axes[0, 0], shown[0], values[FORCING], scale, "magma", "|forcing|")
    for column, (title, members) in zip(axes.T[1:], grouped.items(), strict=True):
        for run in members:
            name = run.record.spec.backend
            axis = column[backends.index(name)]
            show_map(axis, run, values[run.label], scale, "magma", f"{title}\n{name}")
    figure.colorbar(mesh, ax=axes, label="|residual|", shrink=0.8, aspect=30, pad=0.01, extend="both")
    return figure
