"""All runs -> one table."""

import sys
from pathlib import Path

from workflow.analysis.summary import summarise
from workflow.analysis.writing import harmless
from workflow.sweep import Sweep

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
sweep = Sweep.from_config(snakemake.config)
folders = (Path(path).parent for path in snakemake.input.runs)
floors = (Path(path).parent for path in snakemake.input.floors)
harmless(summarise(folders, sweep.axes, sweep.wanted, floors)).to_csv(snakemake.output.csv, index=False)
