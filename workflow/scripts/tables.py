"""The summary -> all tables, each in four formats."""

import sys
from pathlib import Path

from solvers.configuration.catalogue import Catalogue
from workflow.analysis import register
from workflow.analysis.summary import read_summary
from workflow.analysis.writing import write_table

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
summary, catalogue = read_summary(Path(snakemake.input.summary)), Catalogue()
for path in (Path(path) for path in snakemake.output if path.endswith(".csv")):
    table = register.table(path.stem)
    write_table(table.load()(summary, catalogue), path.parent, table.name, table.caption)
