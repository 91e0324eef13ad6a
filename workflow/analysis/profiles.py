"""Figures of costs: times to targets, trajectories of both backends from one start, performance profiles."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from solvers.configuration.catalogue import Catalogue
from solvers.runs.rows import TARGETS
from workflow.analysis.backends import TOLERANCES, first_difference, relative_differences
from workflow.analysis.entries import ENTRY
from workflow.analysis.figures.runs import Run, method_title
from workflow.analysis.figures.style import WIDTH
from workflow.analysis.summary import axes_of
from workflow.analysis.targets import COSTS, cost_ratios, profile

__all__ = [
    "draw_differences",
    "draw_evaluation_profiles",
    "draw_profiles",
    "draw_seconds_profiles",
    "draw_targets",
    "draw_trajectories",
    "reached_table",
]

MOST_FACTOR = 1e3
LEAST_EXPERIMENTS = 4  # a profile over fewer says more of the choice of problems than of the methods
MOST_LINES = 12
LINES = (":", "--")
COST_LABELS = {"evaluation": "evaluations of loss and gradient", "seconds": "CPU seconds of training"}


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
    """The share of runs that have reached each target, against evaluations and CPU seconds."""
    table = reached_table(runs)
    titles = {run.record.spec.method: run.title for run in runs}
    shown = table.assign(
        method=table.method.map(titles),
        backend=table.backend + ", " + table.numerics,
        target=[f"{100 * t:g} %" for t in table.target],
    )
    semantics = {"hue": "method", "style": "backend", "row": "target", "col": "cost"}
    grid = _lines(shown, 1.7, "at", "share", drawstyle="steps-post", facet={"sharex": "col"}, **semantics)
    grid.set(ylim=(-0.04, 1.04)).set_titles("to {row_name}").set_ylabels("share of runs")
    for axis, label in zip(grid.axes[-1], grid.col_names, strict=True):
        axis.set_xlabel(label)
    return grid.figure, table


def draw_trajectories(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """The objective against iterations on every backend, of the lowest seed that all of them were run with, a
    panel for each method and numerics; lines where the first two backends begin to differ."""
    runs = [run for run in runs if len(run.history)]
    if not runs:
        return _message("no run has a history"), pd.DataFrame(columns=["run", "backend", "seed", "iteration"])
    tables, differing = [], {}
    for title, by_backend in _pairs(runs).items():
        for run in by_backend.values():
            kept = run.history[["iteration", "objective"]]
            named = {name: run.axes[name] for name in ("method", "numerics", "backend", "seed")}
            tables.append(kept.assign(run=title, **named))
        if len(by_backend) > 1:
            first, second, *_ = by_backend.values()
            differing[title] = [first_difference(first.history, second.history, t) for t in TOLERANCES]
    table = pd.concat(tables, ignore_index=True)
    facet = {"sharex": False, "sharey": False}
    semantics = {"hue": "backend", "style": "backend", "col": "run", "col_wrap": min(2, table.run.nunique())}
    grid = _lines(table, 2.2, "iteration", "objective", facet=facet, **semantics)
    grid.set(yscale="log").set_titles("{col_name}")
    for title, places in differing.items():
        for place, style in zip(places, LINES, strict=True):
            if np.isfinite(place):
                grid.axes_dict[title].axvline(place, color="0.4", linestyle=style, linewidth=0.9)
    for i, tolerance in enumerate(TOLERANCES):
        first_at = {title: places[i] for title, places in differing.items()}
        table[f"differ by {tolerance:g} from iteration"] = table.run.map(first_at).astype(float)
    return grid.figure, table


def draw_differences(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """How far the objectives of two backends are apart, against iterations, a panel for each method: from rounding
    to chaos. Horizontal lines are the tolerances of the table of backends."""
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
    apart = apart.assign(method=apart.method.map({run.record.spec.method: run.title for run in runs}))
    grid = _lines(apart, 2.2, "iteration", "difference", facet={"sharex": False}, **semantics)
    grid.set(yscale="log").set_titles("{col_name}").set_ylabels("relative difference\nof the objectives")
    for tolerance, style in zip(TOLERANCES, LINES, strict=True):
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
        several = len({numerics for _, _, numerics in groups}) > 1
        (title,) = {run.title for run in groups[method, min(by_backend), numerics]}
        chosen[f"{title}, {numerics}" if several else title] = {
            backend: by_seed[min(common)] for backend, by_seed in sorted(by_backend.items())
        }
    return chosen


def profile_table(summary: pd.DataFrame, costs: Sequence[str]) -> pd.DataFrame:
    """The performance profile of each method for each cost, where it changes."""
    rows = []
    for cost in costs:
        ratios = cost_ratios(summary, cost)
        for (numerics, backend, method), runs in ratios.groupby(["numerics", "backend", ENTRY], sort=False):
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
    """Performance profiles, a row for each backend and numerics, a column for each cost, of the methods that were
    run on four experiments or more, where there are two of them; all others are left to the table of profiles. Of
    a study with axes its points, the twelve with the largest mean share of the final error's profile."""
    table = profile_table(summary, costs)
    wide = table[table.experiments >= LEAST_EXPERIMENTS]
    several = wide.groupby("run").method.transform("nunique") > 1
    if not several.any():
        why = f"no two methods were run on {LEAST_EXPERIMENTS} experiments, on one backend with one numerics"
        return _message(f"nothing to compare: {why}"), table.iloc[:0]
    shown = wide[several]
    named = {method: method for method in shown.method.unique()}
    if axes_of(summary):
        shown = shown[shown.method.isin(_steepest(summary, named))]
    else:
        titles = summary.drop_duplicates("method").set_index("method").experiment
        named = {method: method_title(titles[method], method) for method in named}
    count = shown.groupby("run").experiments.agg(["min", "max"])
    over = {
        run: " to ".join(dict.fromkeys(map(str, row))) for run, row in zip(count.index, count.values, strict=True)
    }
    panels = shown.assign(
        method=shown.method.map(named), run=[f"{run}\n{over[run]} experiments" for run in shown.run]
    )
    semantics = {"hue": "method", "style": "method", "row": "run", "col": "cost", "aspect": 1.25}
    grid = _lines(
        panels, 2.4, "factor", "share", drawstyle="steps-post", facet={"margin_titles": True}, **semantics
    )
    grid.set(xscale="log", xlim=(1, MOST_FACTOR), ylim=(-0.04, 1.04))
    grid.set_titles(col_template="{col_name}", row_template="{row_name}")
    grid.set_axis_labels("times the best cost", "share of problems")
    return grid.figure, shown


def _steepest(summary: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """The entries that are drawn where there are many: those whose final errors are soonest near the best."""
    factors = np.geomspace(1, MOST_FACTOR)
    ratios = cost_ratios(summary, "error").groupby(ENTRY, sort=False).ratio
    means = ratios.agg(lambda own: profile(own.to_numpy(), factors).mean())
    return list(means[list(names)].sort_values(ascending=False, kind="stable").index[:MOST_LINES])


def draw_evaluation_profiles(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """Performance profiles of the final error and of evaluations to the targets."""
    return draw_profiles(summary, [cost for cost in COSTS if not cost.startswith("seconds")])


def draw_seconds_profiles(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """Performance profiles of CPU seconds to the targets."""
    return draw_profiles(summary, [cost for cost in COSTS if cost.startswith("seconds")])


def _message(text: str) -> Figure:
    """A figure that says why there is none."""
    figure = Figure(figsize=(6, 1))
    figure.text(0.05, 0.5, text)
    return figure
