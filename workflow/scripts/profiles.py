"""The summary -> performance profiles over all experiments."""

import sys
from pathlib import Path

from workflow.analysis.figures import write_figure
from workflow.analysis.profiles import PROFILES
from workflow.analysis.summary import read_summary

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
summary = read_summary(Path(snakemake.input.summary))
for name, draw in PROFILES.items():
    write_figure(*draw(summary), Path(snakemake.output[f"{name}_pdf"]))
