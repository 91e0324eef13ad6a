"""The summary -> one table in four formats."""

import sys
from pathlib import Path

from solvers.configuration import Catalogue
from workflow.analysis.summary import read_summary
from workflow.analysis.tables import TABLES, write_table

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
name = snakemake.wildcards.table
table = TABLES[name](read_summary(Path(snakemake.input.summary)), Catalogue())
write_table(table, Path(snakemake.output.csv).parent, name)
