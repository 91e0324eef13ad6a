"""All runs -> one table."""

import sys
from pathlib import Path

from workflow.analysis.summary import summarise

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
summarise(Path(path).parent for path in snakemake.input.runs).to_csv(snakemake.output.csv, index=False)
