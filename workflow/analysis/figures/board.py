"""Figures of a leaderboard: heat map, critical differences, Pareto fronts, errors by frequency."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.bands import BANDS, bands
from workflow.analysis.entries import ENTRY, GROUPS, groups
from workflow.analysis.figures.style import colours, hide_unused, label_ends, panels
from workflow.analysis.leaderboard import FLOOR, PAPER, Ranked, leaderboard, ordered, ranked
from workflow.analysis.pareto import COSTS, pareto

__all__ = ["draw_bands", "draw_critical_differences", "draw_heat_map", "draw_pareto"]

LINE = 0.19  # inches a line of text
ABOVE = 1.1  # inches above and below them
SCALE = LogNorm(1e-5, 1.0)
MAP = colormaps["viridis_r"].with_extremes(bad="0.85")
LIGHT = 0.45  # of the scale, from which on letters are white
NAMED = 8  # lines of a figure that have a name


def _nothing(columns: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
    figure, ((axis,),) = panels(1, 1, 1.0)
    axis.set_axis_off()
    return figure, pd.DataFrame(columns=list(columns))


def draw_heat_map(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """A cell for each entry and problem, coloured by the median error; below them the paper's best and the
    floor."""
    table = leaderboard(summary, catalogue)
    parts = list(table.groupby(GROUPS, sort=False))
    lines = max(own[ENTRY].nunique() for _, own in parts)
    figure, axes = panels(len(parts), 1, ABOVE + LINE * (lines + 2))
    image = None
    for axis, (group, own) in zip(axes[:, 0], parts, strict=True):
        image = _heat(axis, own)
        axis.set_title(f"{group[1]}, numerics {group[0]}", fontsize="medium")
    if image is not None:
        figure.colorbar(image, ax=axes, label="median relative L2 error", pad=0.01, shrink=0.4, extend="both")
    return figure, table


def _heat(axis: Axes, own: pd.DataFrame) -> Any:
    names, problems = ordered(own), list(own.experiment.unique())
    errors = own.pivot(index=ENTRY, columns="experiment", values="median").loc[names, problems]
    failed = own.pivot(index=ENTRY, columns="experiment", values="failed").loc[names, problems]
    by_problem = own.drop_duplicates("experiment").set_index("experiment").loc[problems]
    known = [name for name in (PAPER, FLOOR) if by_problem[name].notna().any()]
    values = np.vstack([errors.to_numpy(), *(by_problem[name].to_numpy()[None] for name in known)])
    image = axis.imshow(np.ma.masked_invalid(values), norm=SCALE, cmap=MAP, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        count = failed.iloc[i, j] if i < len(names) else 0
        text = "" if np.isnan(value) else "failed" if np.isinf(value) else f"{value:.1e}"
        text += f" ×{count:.0f}" if count > 0 else ""
        dark = np.isfinite(value) and float(SCALE(max(value, 1e-300))) > LIGHT
        axis.text(j, i, text, ha="center", va="center", fontsize=5, color="white" if dark else "black")
    axis.set_yticks(range(len(values)), [*names, *known], fontsize="x-small")
    axis.set_xticks(range(len(problems)), problems, fontsize="x-small", rotation=30, ha="right")
    axis.axhline(len(names) - 0.5, color="black", linewidth=1)
    axis.grid(False)
    return image


def draw_critical_differences(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """A mark for each entry at its mean rank, and bars through entries that Nemenyi's test does not tell apart."""
    found = [(group, result) for group, runs in groups(summary) if (result := ranked(runs)) is not None]
    columns = [*GROUPS, ENTRY, "mean rank", "critical difference"]
    if not found:
        return _nothing(columns)
    lines = max(len(result.mean) for _, result in found)
    figure, axes = panels(len(found), 1, ABOVE + LINE * lines)
    rows = []
    for axis, (group, result) in zip(axes[:, 0], found, strict=True):
        _critical(axis, result)
        told = f"{group['backend']}, numerics {group['numerics']}: {result.problems} problems"
        axis.set_title(f"{told}, Friedman p = {result.p:.2g}", fontsize="medium")
        named = {"mean rank": result.mean.to_numpy(), "critical difference": result.critical}
        rows.append(pd.DataFrame({ENTRY: list(result.mean.index)} | named).assign(**group))
    return figure, pd.concat(rows, ignore_index=True)[columns]


def _critical(axis: Axes, result: Ranked) -> None:
    places = np.arange(len(result.mean))
    axis.scatter(result.mean, places, s=16, color="black", zorder=3)
    tied = result.tied()
    step = 0.02 * max(len(result.mean) - 1, 1)
    for i, (first, last) in enumerate(tied):
        at = result.mean.iloc[last] + step * (1 + i % 6)
        axis.plot([at, at], [first - 0.2, last + 0.2], color="0.35", linewidth=2.2, solid_capstyle="round")
    start = float(result.mean.min())
    axis.plot([start, start + result.critical], [-1, -1], color="C3", linewidth=2.2)
    axis.annotate(f" critical difference {result.critical:.2f}", (start + result.critical, -1), va="center")
    axis.set_ylim(len(result.mean) - 0.5, -1.8)
    axis.set_yticks(places, list(result.mean.index), fontsize="x-small")
    axis.set_xlabel("mean rank of the median error, 1 is the best")
    sns.despine(ax=axis, left=True)


def draw_pareto(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """A line for each entry from an eighth of its budget to all of it, for evaluations and for CPU seconds; what
    is on the front is marked, and named."""
    table = pareto(summary, catalogue)
    if ENTRY not in table:
        return _nothing([*GROUPS, ENTRY])
    parts = list(table.groupby(GROUPS, sort=False))
    figure, axes = panels(len(parts), len(COSTS), 3.6, sharey=True)
    for row, (group, own) in zip(axes, parts, strict=True):
        for axis, cost in zip(row, COSTS, strict=True):
            on = own[own[f"front, {cost}"]].sort_values(cost, kind="stable")
            hues = colours(list(on[ENTRY]))
            for entry, line in own.groupby(ENTRY, sort=False):
                axis.plot(line[cost], line.error, color=hues.get(entry, "0.8"), linewidth=0.8, zorder=1)
            axis.plot(on[cost], on.error, color="black", linewidth=1.2, zorder=2)
            axis.scatter(on[cost], on.error, s=14, color=[hues[name] for name in on[ENTRY]], zorder=3)
            axis.set(xscale="log", yscale="log", xlabel=cost)
            last = on.drop_duplicates(ENTRY, keep="last")
            label_ends(axis, [(float(r["error"]), r[ENTRY], hues[r[ENTRY]]) for r in last.to_dict("records")])
            axis.set_title(f"{group[1]}, numerics {group[0]}", fontsize="medium")
            sns.despine(ax=axis)
        row[0].set_ylabel("relative L2 error,\ngeometric mean over the problems")
    return figure, table


def draw_bands(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """A panel for each problem: the error of each entry by frequency, beside the solution; the eight of the
    smallest error are named."""
    table = bands(summary, catalogue)
    if ENTRY not in table:
        return _nothing([*GROUPS, ENTRY])
    cases = list(table.groupby([*GROUPS, "experiment"], sort=False))
    several = len(table.drop_duplicates(GROUPS)) > 1
    across = 2 if len(cases) > 1 else 1
    figure, axes = panels(-(-len(cases) // across), across, 2.6)
    for axis, (case, own) in zip(hide_unused(axes, len(cases)), cases, strict=True):
        wrong = own[[f"error, {band}" for band in BANDS]].to_numpy(dtype=float)
        order = np.argsort(np.linalg.norm(wrong, axis=1), kind="stable")
        best = [own[ENTRY].iloc[i] for i in order[:NAMED]]
        hues, ends = colours(best), []
        for name, line in zip(own[ENTRY], wrong, strict=True):
            axis.plot(range(len(BANDS)), line, color=hues.get(name, "0.85"), zorder=2 if name in hues else 1)
            if name in hues:
                ends.append((float(line[-1]), name, hues[name]))
        solution = own[[f"solution, {band}" for band in BANDS]].iloc[0].to_numpy(dtype=float)
        axis.plot(range(len(BANDS)), solution, color="black", linestyle=":", linewidth=1.6)
        axis.set_yscale("log")
        axis.set_xticks(range(len(BANDS)), BANDS, fontsize="x-small")
        axis.set_title(", ".join([case[2], *(case[1::-1] if several else ())]), fontsize="medium")
        label_ends(axis, ends)
        sns.despine(ax=axis)
    for axis in axes[-1]:
        axis.set_xlabel("half waves across the domain")
    for axis in axes[:, 0]:
        axis.set_ylabel("share of the solution's norm")
    return figure, table
