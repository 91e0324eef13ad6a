"""The runs of one experiment -> all its figures."""

from pathlib import Path

from workflow.analysis import figures

runs = figures.read_runs([Path(path).parent for path in snakemake.input.runs])
for name, draw in figures.FIGURES.items():
    figures.write_figure(*draw(runs), Path(snakemake.output[f"{name}_pdf"]))
