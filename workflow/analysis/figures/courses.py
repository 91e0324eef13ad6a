"""Errors, and weights of the residual, along the training, of all rules of a study in one panel."""

from collections.abc import Callable, Iterator

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.figures.style import LINES, colours, hide_unused, legend, panels
from workflow.analysis.summary import AXES, axes_of
from workflow.analysis.traces import trace

__all__ = ["draw_rates", "draw_weights"]

Quantity = Callable[[pd.DataFrame], pd.Series | None]
"""A quantity of a trace; none if it has not what is needed."""


def draw_rates(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """The relative L2 error against the evaluations, both in logarithms: a panel for each problem and method, a
    line for each point of the study, of the lowest seed that finished."""
    figure, table = _draw(summary, "error", lambda own: own.error, "relative L2 error")
    for axis in figure.axes:
        axis.set_xscale("log")
    return figure, table


def draw_weights(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """The weight of the residual over that of the supervised terms against the evaluations: a panel for each
    problem and method, a line for each point of the study, of the lowest seed that finished."""
    return _draw(summary, "ratio", _ratio, "weight of the residual\n/ of the supervised terms")


def _ratio(own: pd.DataFrame) -> pd.Series | None:
    names = ("weight of residual", "weight of supervised")
    return own[names[0]] / own[names[1]] if set(names) <= set(own) else None


def _draw(summary: pd.DataFrame, name: str, quantity: Quantity, label: str) -> tuple[Figure, pd.DataFrame]:
    found = list(_courses(summary, name, quantity))
    columns = [*AXES, *axes_of(summary), "point", "seed", "evaluation", name]
    table = pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)
    cases = list(table.groupby(AXES, sort=False))
    hues = colours(list(table.point))
    across = 2 if len(cases) > 1 else 1
    figure, axes = panels(-(-len(cases) // across), across, 2.4, sharey=True)
    several = table.drop_duplicates(["numerics", "backend"])
    for axis, (case, rows) in zip(hide_unused(axes, len(cases)), cases, strict=True):
        axis.set_yscale("log")
        axis.set_title(", ".join(case if len(several) > 1 else case[:2]), fontsize="medium")
        axis.set_xlabel("evaluations")
        for i, (point, own) in enumerate(rows.groupby("point", sort=False)):
            # Rules that have the same weights, such as a sum and its logarithm, are both seen.
            own = own[own.evaluation > 0]
            axis.plot(own.evaluation, own[name], color=hues[point], linestyle=LINES[i % len(LINES)])
        sns.despine(ax=axis)
    for axis in axes[:, 0]:
        axis.set_ylabel(label)
    legend(figure, hues)
    return figure, table


def _courses(summary: pd.DataFrame, name: str, quantity: Quantity) -> Iterator[pd.DataFrame]:
    """The quantity along the lowest seed of each point."""
    keys = [*AXES, *axes_of(summary)]
    for values, runs in summary.groupby(keys, sort=False):
        # A run that came to nothing has an empty history, or none.
        finished = runs[runs.status == "finished"].sort_values("seed")
        for seed, folder in finished[["seed", "folder"]].itertuples(index=False):
            own = trace(folder)
            if len(own) and (found := quantity(own)) is not None:
                point = ", ".join(map(str, values[len(AXES) :]))
                named = dict(zip(keys, values, strict=True)) | {"point": point, "seed": seed}
                yield own[["evaluation"]].assign(**{name: found}, **named)
                break
