"""The runs of one experiment -> its figures."""

import sys
from pathlib import Path

from workflow.analysis import register
from workflow.analysis.figures import read_runs, write_figure

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
floors = [Path(path).parent for path in snakemake.input.floors]
runs = read_runs([Path(path).parent for path in snakemake.input.runs], floors)
for path in (Path(path) for path in snakemake.output if path.endswith(".pdf")):
    write_figure(*register.figure(path.stem).load()(runs), path)
