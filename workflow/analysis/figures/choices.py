"""What each point of a study costs if it is chosen for all problems."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.choices import choices
from workflow.analysis.figures.style import colours, legend, panels
from workflow.analysis.summary import axes_of, label_of

__all__ = ["draw_choices"]

MOST = 40  # points of the lowest regret: a line for each


def draw_choices(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """A line for each point, the cheapest first: a mark at its regret in the geometric mean over the problems with
    the bootstrap interval, and a fainter one at the largest regret."""
    table = choices(summary, catalogue)
    if "regret" not in table:
        figure, ((axis,),) = panels(1, 1, 1.0)
        axis.set_axis_off()
        return figure, table.iloc[:0]
    axes = axes_of(summary)
    points = [tuple(point) for point in table.sort_values("regret", kind="stable")[axes].to_numpy()]
    points = list(dict.fromkeys(points))[:MOST]
    series = list(table.groupby(["numerics", "backend"], sort=False))
    hues = colours([f"{backend}, {numerics}" for (numerics, backend), _ in series])
    figure, ((axis,),) = panels(1, 1, 0.8 + 0.2 * len(points))
    axis.set_xscale("log")
    for i, ((numerics, backend), rows) in enumerate(series):
        own = rows[[tuple(point) in points for point in rows[axes].to_numpy()]]
        places = np.array([points.index(tuple(point)) for point in own[axes].to_numpy()], dtype=float)
        places += 0.5 * ((i + 0.5) / len(series) - 0.5)
        colour = hues[f"{backend}, {numerics}"]
        axis.hlines(places, own["regret, low"], own["regret, high"], color=colour, linewidth=1.2)
        axis.scatter(own.regret, places, s=18, color=colour, linewidths=0, zorder=3)
        axis.scatter(own["regret, largest"], places, s=18, marker="|", color=colour, alpha=0.6)
    axis.set_ylim(len(points) - 0.5, -0.5)
    axis.set_yticks(range(len(points)), [label_of(axes, point) for point in points], fontsize="x-small")
    axis.set_xlabel("median error / that of the best choice for each problem")
    if len(series) > 1:
        legend(figure, hues)
    sns.despine(ax=axis, left=True)
    return figure, table
