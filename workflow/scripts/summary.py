"""All runs -> one table."""

from pathlib import Path

from workflow.analysis.summary import summarise

summarise(Path(path).parent for path in snakemake.input.runs).to_csv(snakemake.output.csv, index=False)
