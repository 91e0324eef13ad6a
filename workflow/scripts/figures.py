"""The runs of one experiment -> its figures."""

import sys
from pathlib import Path

from workflow.analysis.figures import FIGURES, GROUP_FIGURES, read_runs, write_figure
from workflow.analysis.profiles import CURVES

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
runs = read_runs([Path(path).parent for path in snakemake.input.runs])
draws = FIGURES | GROUP_FIGURES | CURVES
for name in snakemake.params.figures:
    write_figure(*draws[name](runs), Path(snakemake.output[f"{name}_pdf"]))
