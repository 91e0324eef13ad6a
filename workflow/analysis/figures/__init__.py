"""Figures, each as PDF and PNG with the CSV of its numbers beside it; :mod:`workflow.analysis.register` has all.

A figure of an experiment's runs is a function that gives the drawing and the table of what it shows. Runs that
have not finished are marked; those without the file a figure needs are left out of its curves and named below it.
"""

from workflow.analysis.figures.runs import Run, read_runs
from workflow.analysis.figures.style import write_figure

__all__ = ["Run", "read_runs", "write_figure"]
