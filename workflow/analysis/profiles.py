"""Figures of costs: times to targets, trajectories of both backends from one start, performance profiles."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from workflow.analysis.backends import PARTED, parting, relative_differences
from workflow.analysis.figures import Run
from workflow.analysis.figures.style import WIDTH
from workflow.analysis.summary import TARGETS
from workflow.analysis.targets import COSTS, cost_ratios, profile

__all__ = [
    "CURVES",
    "PROFILES",
    "draw_partings",
    "draw_profiles",
    "draw_targets",
    "draw_trajectories",
    "reached_table",
]

MOST_FACTOR = 1e3
LINES = (":", "--")
COST_LABELS = {"evaluation": "evaluations of loss and gradient", "seconds": "seconds of training"}


def reached_table(runs: Sequence[Run]) -> pd.DataFrame:
    """The share of runs of each method, backend and numerics that have reached each target, at the costs where it
    changes, from none to the largest cost of the experiment. Costs: see :data:`COST_LABELS`."""
    rows = []
    for cost, label in COST_LABELS.items():
        last = max((run.history[cost].max() for run in runs if len(run.history)), default=1.0)
        for target in TARGETS:
            for (method, backend, numerics), group in _groups(runs).items():
                known = [run.history for run in group if len(run.history)]
                hits = [history[cost][history.rel_l2 <= target] for history in known]
                costs = np.sort([hit.iloc[0] for hit in hits if len(hit)])
                places = [0.0, *costs, last]
                shares = [*(np.arange(len(costs) + 1) / len(group)), len(costs) / len(group)]
                rows += [
                    (method, backend, numerics, target, label, *point)
                    for point in zip(places, shares, strict=True)
                ]
    return pd.DataFrame(rows, columns=["method", "backend", "numerics", "target", "cost", "at", "share"])


def _lines(
    table: pd.DataFrame, height: float, x: str, y: str, facet: Mapping[str, Any], **options: Any
) -> sns.FacetGrid:
    """A line through the rows of each group, as they come, in panels of ``height`` inches, beside a legend.

    ``facet`` are options of the grid, ``options`` those of :func:`seaborn.relplot`.
    """
    facet = {"legend_out": False, **facet}  # seaborn would draw the whole figure twice to find a place for it
    lines = {"kind": "line", "estimator": None, "sort": False}
    grid = sns.relplot(table, x=x, y=y, height=height, facet_kws=facet, **lines, **options)
    figure = grid.figure
    figure.set_size_inches(max(WIDTH, figure.get_figwidth()), figure.get_figheight())
    figure.set_layout_engine("constrained")
    sns.move_legend(grid, "outside right center", frameon=False)
    return grid


def _groups(runs: Sequence[Run]) -> dict[tuple[str, str, str], list[Run]]:
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        spec = run.record.spec
        groups.setdefault((spec.method, spec.backend, spec.numerics), []).append(run)
    return groups


def draw_targets(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """The share of runs that have reached each target, against evaluations and seconds."""
    table = reached_table(runs)
    shown = table.assign(
        backend=table.backend + ", " + table.numerics, target=[f"{100 * t:g} %" for t in table.target]
    )
    semantics = {"hue": "method", "style": "backend", "row": "target", "col": "cost"}
    grid = _lines(shown, 1.7, "at", "share", drawstyle="steps-post", facet={"sharex": "col"}, **semantics)
    grid.set(ylim=(-0.04, 1.04)).set_titles("to {row_name}").set_ylabels("share of runs")
    for axis, label in zip(grid.axes[-1], grid.col_names, strict=True):
        axis.set_xlabel(label)
    return grid.figure, table


def draw_trajectories(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """The objective against iterations on every backend, of the lowest seed that all of them were run with, a
    panel for each method and numerics; lines where the first two backends part."""
    runs = [run for run in runs if len(run.history)]
    if not runs:
        return _message("no run has a history"), pd.DataFrame(columns=["run", "backend", "seed", "iteration"])
    tables, partings = [], {}
    for title, by_backend in _pairs(runs).items():
        for backend, run in by_backend.items():
            kept = run.history[["iteration", "objective"]]
            tables.append(kept.assign(run=title, backend=backend, seed=run.record.spec.seed))
        if len(by_backend) > 1:
            first, second, *_ = by_backend.values()
            partings[title] = [parting(first.history, second.history, tolerance) for tolerance in PARTED]
    table = pd.concat(tables, ignore_index=True)
    facet = {"sharex": False, "sharey": False}
    semantics = {"hue": "backend", "style": "backend", "col": "run", "col_wrap": min(2, table.run.nunique())}
    grid = _lines(table, 2.2, "iteration", "objective", facet=facet, **semantics)
    grid.set(yscale="log").set_titles("{col_name}")
    for title, places in partings.items():
        for place, style in zip(places, LINES, strict=True):
            if np.isfinite(place):
                grid.axes_dict[title].axvline(place, color="0.4", linestyle=style, linewidth=0.9)
    for i, tolerance in enumerate(PARTED):
        parted = {title: places[i] for title, places in partings.items()}
        table[f"parted by {tolerance:g} at"] = table.run.map(parted).astype(float)
    return grid.figure, table


def draw_partings(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """How far the objectives of two backends are apart, against iterations, a panel for each method: from rounding
    to chaos. Horizontal lines are the differences at which they are said to have parted."""
    columns = ["method", "numerics", "backends", "seed", "iteration", "difference"]
    tables = []
    for by_backend in _pairs([run for run in runs if len(run.history)]).values():
        first, *others = by_backend.values()
        spec = first.record.spec
        for other in others:
            named = {"method": spec.method, "numerics": spec.numerics, "seed": spec.seed}
            named["backends"] = f"{spec.backend}, {other.record.spec.backend}"
            found = relative_differences(first.history, other.history)
            tables.append(found[found["same stage"]].assign(**named)[columns])
    if not tables:
        return _message("nothing to compare: no seed was run on two backends"), pd.DataFrame(columns=columns)
    table = pd.concat(tables, ignore_index=True)
    apart = table[table.difference > 0]
    if apart.empty:
        return _message("the objectives of the two backends are the same throughout"), table
    semantics = {"hue": "numerics", "style": "backends" if table.backends.nunique() > 1 else None}
    semantics |= {"col": "method", "col_wrap": min(2, apart.method.nunique())}
    grid = _lines(apart, 2.2, "iteration", "difference", facet={"sharex": False}, **semantics)
    grid.set(yscale="log").set_titles("{col_name}").set_ylabels("relative difference\nof the objectives")
    for tolerance, style in zip(PARTED, LINES, strict=True):
        for axis in grid.axes.flat:
            axis.axhline(tolerance, color="0.4", linestyle=style, linewidth=0.9)
    return grid.figure, table


def _pairs(runs: Sequence[Run]) -> dict[str, dict[str, Run]]:
    """By method and numerics, the runs of one seed by backend: the lowest seed of all its backends; if they have
    none in common, the lowest of the first backend alone."""
    chosen: dict[str, dict[str, Run]] = {}
    groups = _groups(runs)
    for method, numerics in dict.fromkeys((method, numerics) for method, _, numerics in groups):
        by_backend = {
            backend: {run.record.spec.seed: run for run in group}
            for (m, backend, n), group in groups.items()
            if (m, n) == (method, numerics)
        }
        common = set.intersection(*(set(by_seed) for by_seed in by_backend.values()))
        if not common:
            by_backend = dict([min(by_backend.items())])
            common = set(*by_backend.values())
        chosen[f"{method}, {numerics}"] = {
            backend: by_seed[min(common)] for backend, by_seed in sorted(by_backend.items())
        }
    return chosen


def profile_table(summary: pd.DataFrame, costs: Sequence[str]) -> pd.DataFrame:
    """The performance profile of each method for each cost, where it changes."""
    rows = []
    for cost in costs:
        ratios = cost_ratios(summary, cost)
        for (numerics, backend, method), runs in ratios.groupby(["numerics", "backend", "method"], sort=False):
            finite = runs.ratio[np.isfinite(runs.ratio)]
            factors = np.unique([1.0, *finite, MOST_FACTOR])
            label = f"{backend}, {numerics}"
            named = {"cost": COSTS[cost], "run": label, "method": method, "problems": len(runs)}
            named |= {"experiments": runs.experiment.nunique()}
            rows += [
                named | {"factor": factor, "share": share}
                for factor, share in zip(factors, profile(runs.ratio, factors), strict=True)
            ]
    columns = ["cost", "run", "method", "problems", "experiments", "factor", "share"]
    return pd.DataFrame(rows, columns=columns)


def draw_profiles(summary: pd.DataFrame, costs: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
    """Performance profiles, a row for each backend and numerics, a column for each cost; methods that were run
    on a single experiment are left to the table, unless all were."""
    table = profile_table(summary, costs)
    if table.empty:
        return _message("nothing to compare: no problem was run with two methods"), table
    several = table[table.experiments > 1]
    shown = several if len(several) else table
    semantics = {"hue": "method", "style": "method", "row": "run", "col": "cost", "aspect": 1.25}
    grid = _lines(
        shown, 2.2, "factor", "share", drawstyle="steps-post", facet={"margin_titles": True}, **semantics
    )
    grid.set(xscale="log", xlim=(1, MOST_FACTOR), ylim=(-0.04, 1.04))
    grid.set_titles(col_template="{col_name}", row_template="{row_name}")
    grid.set_axis_labels("times the best cost", "share of problems")
    return grid.figure, table


def _message(text: str) -> Figure:
    """A figure that says why there is none."""
    figure = Figure(figsize=(6, 1))
    figure.text(0.05, 0.5, text)
    return figure


CURVES: Mapping[str, Callable[[Sequence[Run]], tuple[Figure, pd.DataFrame]]] = {
    "targets": draw_targets,
    "trajectories": draw_trajectories,
    "partings": draw_partings,
}
"""Figures of one experiment."""

PROFILES: Mapping[str, Callable[[pd.DataFrame], tuple[Figure, pd.DataFrame]]] = {
    "profiles-evaluations": lambda summary: draw_profiles(
        summary, [cost for cost in COSTS if not cost.startswith("seconds")]
    ),
    "profiles-seconds": lambda summary: draw_profiles(
        summary, [cost for cost in COSTS if cost.startswith("seconds")]
    ),
}
"""Figures of all experiments."""
