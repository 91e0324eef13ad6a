"""The summary -> figures of all runs, and of the points of each experiment."""

import sys
from pathlib import Path

from solvers.configuration.catalogue import Catalogue
from workflow.analysis import register
from workflow.analysis.figures import write_figure
from workflow.analysis.figures.points import page_of
from workflow.analysis.summary import read_summary

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
summary, catalogue = read_summary(Path(snakemake.input.summary)), Catalogue()
for path in (Path(path) for path in snakemake.output if path.endswith(".pdf")):
    figure = register.figure(path.stem)
    if figure.source == register.POINTS:
        own = summary[summary.experiment == path.parent.name]
        write_figure(*figure.load()(page_of(own, path.stem)), path)
    else:
        write_figure(*figure.load()(summary, catalogue), path)
