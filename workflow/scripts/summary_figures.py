"""The summary -> figures of all runs: their errors beside the authors', and performance profiles."""

import sys
from pathlib import Path

from solvers.configuration import Catalogue
from workflow.analysis.figures import draw_overview, write_figure
from workflow.analysis.profiles import PROFILES
from workflow.analysis.summary import read_summary

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
summary = read_summary(Path(snakemake.input.summary))
write_figure(*draw_overview(summary, Catalogue()), Path(snakemake.output.overview_pdf))
for name, draw in PROFILES.items():
    write_figure(*draw(summary), Path(snakemake.output[f"{name}_pdf"]))
