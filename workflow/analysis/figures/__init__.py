"""Figures of one experiment, each as PDF and PNG with the CSV of its numbers beside it.

A figure is a function of the experiment's runs that gives the drawing and the table of what it shows. Runs that
have not finished are marked; those without the file a figure needs are left out of its curves and named below it.
"""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from workflow.analysis.figures.errors import draw_errors, error_table
from workflow.analysis.figures.fields import draw_fields
from workflow.analysis.figures.overview import draw_overview, overview_table
from workflow.analysis.figures.residuals import draw_residuals, pointwise_residual
from workflow.analysis.figures.runs import Run, read_runs
from workflow.analysis.figures.style import write_figure
from workflow.analysis.figures.terms import draw_balance, draw_losses, draw_subdomains

__all__ = [
    "FIGURES",
    "GROUP_FIGURES",
    "Run",
    "draw_balance",
    "draw_errors",
    "draw_fields",
    "draw_losses",
    "draw_overview",
    "draw_residuals",
    "draw_subdomains",
    "error_table",
    "overview_table",
    "pointwise_residual",
    "read_runs",
    "write_figure",
]

Draw = Callable[[Sequence[Run]], tuple[Figure, pd.DataFrame]]

FIGURES: Mapping[str, Draw] = {
    "errors": draw_errors,
    "losses": draw_losses,
    "balance": draw_balance,
    "fields": draw_fields,
    "residuals": draw_residuals,
}
GROUP_FIGURES: Mapping[str, Draw] = {"subdomains": draw_subdomains}
"""Figures of experiments in which a method groups its residual by subdomains."""
