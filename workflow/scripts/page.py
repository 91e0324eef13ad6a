"""Summary, tables and figures -> the page."""

import sys
from pathlib import Path

from workflow.page import Inputs, write_page

sys.stdout = sys.stderr = open(snakemake.log[0], "w", buffering=1)
inputs = Inputs(
    summary=Path(snakemake.input.summary),
    tables=[Path(path) for path in snakemake.input.tables],
    figures=[Path(path) for path in snakemake.input.figures],
    config=snakemake.config,
    title=snakemake.params.title,
    description=snakemake.params.description,
)
write_page(Path(snakemake.output.page), inputs, snakemake.threads)
