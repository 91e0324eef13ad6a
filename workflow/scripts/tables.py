"""The summary -> all tables, each in four formats."""

import sys
from pathlib import Path

from solvers.configuration import Catalogue
from workflow.analysis.summary import read_summary
from workflow.analysis.tables import TABLES, caption, write_table

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
summary, catalogue = read_summary(Path(snakemake.input.summary)), Catalogue()
for name, make in TABLES.items():
    write_table(make(summary, catalogue), Path(snakemake.output[f"{name}_csv"]).parent, name, caption(name))
