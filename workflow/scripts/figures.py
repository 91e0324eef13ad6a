"""The runs of one experiment -> its figures."""

import sys
from pathlib import Path

from workflow.analysis import figures

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
runs = figures.read_runs([Path(path).parent for path in snakemake.input.runs])
for name in snakemake.params.figures:
    draw = (figures.FIGURES | figures.GROUP_FIGURES)[name]
    figures.write_figure(*draw(runs), Path(snakemake.output[f"{name}_pdf"]))
