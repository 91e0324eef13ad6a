"""The runs of one experiment -> its costs to reach an error, and the trajectories of its backends."""

import sys
from pathlib import Path

from workflow.analysis.figures import read_runs, write_figure
from workflow.analysis.profiles import CURVES

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
runs = read_runs([Path(path).parent for path in snakemake.input.runs])
for name, draw in CURVES.items():
    write_figure(*draw(runs), Path(snakemake.output[f"{name}_pdf"]))
