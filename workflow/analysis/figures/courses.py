"""Errors, and weights of the residual, along the training, of all rules of a study in one panel."""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from solvers.configuration.catalogue import Catalogue
from solvers.runs.record import read_history
from workflow.analysis.entries import ENTRY, GROUPS, parts_of, with_entries
from workflow.analysis.figures.points import Page
from workflow.analysis.figures.style import LINES, colours, hide_unused, label_ends, legend, panels
from workflow.analysis.summary import AXES, axes_of
from workflow.analysis.traces import trace

__all__ = ["draw_effective_weights", "draw_rates", "draw_weights"]

LINE_HEIGHT = 0.17  # inches: a name at the end of a line
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


def draw_effective_weights(page: Page) -> tuple[Figure, pd.DataFrame]:
    """The effective weights of all terms of one problem against the evaluations: a panel for each term, a line for
    each entry that has the optimizer of the study's first, of the lowest seed that finished."""
    runs = with_entries(page.rows)
    runs = runs[[parts_of(name)[1] == parts_of(runs[ENTRY].iloc[0])[1] for name in runs[ENTRY]]]
    columns = [*GROUPS, ENTRY, "seed", "evaluation", "term", "weight"]
    found = list(_weights(runs))
    table = pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)
    terms = list(table.term.unique())
    series = list(table.groupby(GROUPS, sort=False)) if len(table) else []
    height = max(2.4, LINE_HEIGHT * table[ENTRY].nunique())
    figure, axes = panels(max(len(terms) * len(series), 1), 1, height)
    hues = colours(list(table[ENTRY]))
    for axis, (term, (group, own)) in zip(
        hide_unused(axes, len(terms) * len(series)), product(terms, series), strict=True
    ):
        rows, ends = own[(own.term == term) & (own.weight > 0) & (own.evaluation > 0)], []
        for i, (entry, line) in enumerate(rows.groupby(ENTRY, sort=False)):
            axis.plot(line.evaluation, line.weight, color=hues[entry], linestyle=LINES[i % len(LINES)])
            ends.append((float(line.weight.iloc[-1]), parts_of(str(entry))[0], hues[entry]))
        axis.set_yscale("log")
        axis.set_title(", ".join([term, *(group[::-1] if len(series) > 1 else ())]), fontsize="medium")
        axis.set_xlabel("evaluations")
        axis.set_ylabel("effective weight")
        label_ends(axis, ends)
        sns.despine(ax=axis)
    return figure, table


def _weights(runs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The weights along the lowest seed of each entry that finished, a row for each term and recorded iterate."""
    for (*group, entry), own in runs[runs.status == "finished"].groupby([*GROUPS, ENTRY], sort=False):
        first = own.sort_values("seed").iloc[0]
        history = read_history(Path(first.folder)).sort_values("evaluation", kind="stable")
        weights = [name for name in history if name.startswith("weight.")]
        long = history.melt("evaluation", weights, "term", "weight").dropna()
        named = dict(zip(GROUPS, group, strict=True)) | {ENTRY: entry, "seed": first.seed}
        yield long.assign(term=long.term.str.removeprefix("weight."), **named)


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
