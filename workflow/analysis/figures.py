"""Figures, each as PDF and PNG with the CSV of its numbers beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from solvers.record import RunRecord, read_fields, read_history, read_run

__all__ = [
    "FIGURES",
    "Run",
    "draw_errors",
    "draw_fields",
    "draw_losses",
    "error_table",
    "read_runs",
    "write_figure",
]

EVALUATION_POINTS = 200
sns.set_theme(context="paper", style="ticks", palette="colorblind", rc={"savefig.bbox": "tight"})


@dataclass(frozen=True)
class Run:
    """A run as figures need it: its record, history and fields."""

    record: RunRecord
    history: pd.DataFrame
    fields: Mapping[str, np.ndarray]

    @property
    def label(self) -> str:
        """Method, backend and numerics."""
        spec = self.record.spec
        mark = "" if self.record.status == "finished" else f" ({self.record.status})"
        return f"{spec.method}, {spec.backend}, {spec.numerics}{mark}"


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs in ``folders``."""
    return [Run(read_run(folder), read_history(folder), read_fields(folder)) for folder in folders]


def _lowest_seed(runs: Sequence[Run]) -> list[Run]:
    seed = min(run.record.spec.seed for run in runs)
    return [run for run in runs if run.record.spec.seed == seed]


def draw_losses(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """Raw loss terms against iterations, a panel for each method, backend and numerics."""
    shown = _lowest_seed(runs)
    long = pd.concat([_long(run) for run in shown], ignore_index=True)
    grid = sns.relplot(
        long,
        x="iteration",
        y="mean square",
        hue="term",
        style="term",
        col="run",
        col_wrap=min(2, len(shown)),
        kind="line",
        errorbar=None,
        height=2.4,
        aspect=1.6,
        facet_kws={"sharex": False},
    )
    grid.set(yscale="log").set_titles("{col_name}")
    for run in shown:
        starts = run.history.groupby("level").iteration.min()
        for iteration in starts[starts > 0]:
            grid.axes_dict[run.label].axvline(iteration, color="0.5", linestyle="--", linewidth=0.8)
    return grid.figure, long


def _long(run: Run) -> pd.DataFrame:
    terms = [name for name in run.history.columns if name.startswith("term.")]
    kept = run.history[["iteration", "level", *terms]].rename(columns=lambda name: name.removeprefix("term."))
    return kept.melt(["iteration", "level"], var_name="term", value_name="mean square").assign(run=run.label)


def draw_fields(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """Exact solution, prediction and pointwise error, a row for each run: maps over two coordinates, curves over
    one."""
    shown = _lowest_seed(runs)
    names = [name for name in shown[0].fields if name not in ("exact", "predicted")]
    draw = _maps if len(names) == 2 else _curves
    return draw(shown, names), _field_table(shown, names, shown[0].fields["exact"])


def _curves(shown: Sequence[Run], names: list[str]) -> Figure:
    (name,) = names
    figure, axes = plt.subplots(
        len(shown),
        2,
        figsize=(8, 1.7 * len(shown)),
        sharex=True,
        sharey="col",
        squeeze=False,
        layout="constrained",
    )
    for (left, right), run in zip(axes, shown, strict=True):
        x, exact, predicted = (run.fields[key] for key in (name, "exact", "predicted"))
        left.plot(x, exact, color="0.6", linewidth=1.5, label="exact")
        left.plot(x, predicted, linewidth=0.8, label="predicted")
        right.semilogy(x, np.abs(predicted - exact), linewidth=0.8)
        left.set_title(run.label, fontsize="small")
        right.set_title("|error|", fontsize="small")
    errors = [np.abs(run.fields["predicted"] - run.fields["exact"]) for run in shown]
    axes[0, 1].set_ylim(bottom=_largest(errors) * 1e-7)  # a hard constraint is exact at the ends
    axes[0, 0].legend(fontsize="x-small", loc="upper right")
    for axis in axes[-1]:
        axis.set_xlabel(name)
    return figure


def _maps(shown: Sequence[Run], names: list[str]) -> Figure:
    axes_values = [shown[0].fields[name] for name in names]
    exact = shown[0].fields["exact"]
    errors = [np.abs(run.fields["predicted"] - exact) for run in shown]
    colours = _error_colours(errors)
    figure, axes = plt.subplots(
        len(shown), 3, figsize=(8, 1.9 * len(shown)), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    values = Normalize(exact.min(), exact.max())
    for row, run, error in zip(axes, shown, errors, strict=True):
        panels = [
            ("exact", exact, values),
            (run.label, run.fields["predicted"], values),
            ("|error|", error, colours),
        ]
        for axis, (title, field, norm) in zip(row, panels, strict=True):
            cmap = "viridis" if norm is values else "magma"
            mesh = axis.pcolormesh(*axes_values[::-1], field, norm=norm, cmap=cmap, rasterized=True)
            axis.set_title(title, fontsize="small")
            if axis is not row[1]:
                figure.colorbar(mesh, ax=axis)
        row[0].set_ylabel(names[0])
    for axis in axes[-1]:
        axis.set_xlabel(names[1])
    return figure


def _error_colours(errors: Sequence[np.ndarray]) -> LogNorm:
    """One logarithmic scale over five decades: methods differ by more than a linear scale can show."""
    largest = _largest(errors)
    return LogNorm(largest * 1e-5, largest, clip=True)


def _largest(errors: Sequence[np.ndarray]) -> float:
    """The largest finite entry, or one if there is none above zero."""
    return max((float(e[np.isfinite(e)].max(initial=0.0)) for e in errors), default=0.0) or 1.0


def _field_table(shown: Sequence[Run], names: list[str], exact: np.ndarray) -> pd.DataFrame:
    mesh = np.meshgrid(*(shown[0].fields[name] for name in names), indexing="ij")
    columns = {name: values.ravel() for name, values in zip(names, mesh, strict=True)} | {"exact": exact.ravel()}
    return pd.DataFrame(columns | {run.label: run.fields["predicted"].ravel() for run in shown})


def error_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Relative L2 error of every run at common numbers of evaluations.

    The error at an evaluation is that of the last recorded iterate before it; a run that has ended keeps its last.
    """
    last = max(run.history.evaluation.max() for run in runs)
    common = np.unique(np.linspace(1, last, EVALUATION_POINTS).round())
    tables = []
    for run in runs:
        spec = run.record.spec
        place = np.searchsorted(run.history.evaluation, common, side="right") - 1
        known = place >= 0
        tables.append(
            pd.DataFrame(
                {"evaluation": common[known], "rel_l2": run.history.rel_l2.to_numpy()[place[known]]}
            ).assign(method=spec.method, backend=spec.backend, numerics=spec.numerics, seed=spec.seed)
        )
    return pd.concat(tables, ignore_index=True)


def draw_errors(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """Relative L2 error against evaluations: median and range over the seeds."""
    table = error_table(runs)
    grid = sns.relplot(
        table,
        x="evaluation",
        y="rel_l2",
        hue="method",
        style="backend",
        col="numerics",
        kind="line",
        estimator="median",
        errorbar=("pi", 100),
        height=3.2,
        aspect=1.4,
    )
    grid.set(yscale="log").set_axis_labels("evaluations of loss and gradient", "relative L2 error")
    return grid.figure, table


def write_figure(figure: Figure, table: pd.DataFrame, pdf: Path) -> None:
    """``pdf`` and, beside it, the same as PNG and the numbers as CSV; without dates, so that equal is equal."""
    pdf.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(pdf, metadata={"CreationDate": None})
    figure.savefig(pdf.with_suffix(".png"), dpi=150)
    plt.close(figure)
    table.to_csv(pdf.with_suffix(".csv"), index=False, float_format="%.6g")


FIGURES: Mapping[str, Callable[[Sequence[Run]], tuple[Figure, pd.DataFrame]]] = {
    "losses": draw_losses,
    "fields": draw_fields,
    "errors": draw_errors,
}
