"""``reports/archive``: tables and main figures of the archived runs at the paper's scale, kept by git."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from solvers.configuration.catalogue import Catalogue
from solvers.runs.record import sha256
from workflow.analysis import register
from workflow.analysis.figures import read_runs
from workflow.analysis.figures.fields import coordinates, field_table
from workflow.analysis.figures.maps import cuts, decades, map_height, show_map, value_scale
from workflow.analysis.figures.overview import draw_overview
from workflow.analysis.figures.style import panels
from workflow.analysis.summary import summarise
from workflow.analysis.writing import harmless, write_table
from workflow.sweep import REPORTS, Sweep

__all__ = ["FIGURES", "FOLDER", "archive", "summary_of", "tables_of", "write_archive", "write_figures"]

FOLDER = REPORTS / "archive"
MAPPED = ("helmholtz-1-8", "mmpinn-mff")
DPI = 150
FORMATS = ("csv", "md")
INDEX = """# The archived runs

Tables and main figures of the {runs} runs of `results/archive` at the paper's scale, made by `make readme`; a test
holds them to the runs. What they mean: [docs/results.md](../../docs/results.md). With all figures, as one page:
`make show`.

{figures}

All runs, a row for each: [summary.csv](summary.csv).

| table | what it shows | |
|---|---|---|
{tables}
"""


def archive() -> Sweep:
    """The archived runs at the paper's scale, of all numerics, in any number of seeds and backends."""
    return Sweep.from_config({"scale": "paper", "runs": "archive", "numerics": "all"})


def summary_of(sweep: Sweep) -> pd.DataFrame:
    """The summary of the sweep's runs. What of them is outdated is not in it: that changes with the code."""
    return summarise(sweep.folders(), sweep.axes, floors=sweep.floors().values())


def tables_of(sweep: Sweep, summary: pd.DataFrame, catalogue: Catalogue) -> dict[str, pd.DataFrame]:
    """All tables of the register that apply, by name."""
    return {name: register.table(name).load()(summary, catalogue) for name in sweep.tables()}


def draw_map(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """Exact solution, prediction and pointwise error of the first archived run of ``MAPPED``."""
    own = summary[(summary.experiment == MAPPED[0]) & (summary.method == MAPPED[1])]
    (run,) = read_runs([Path(own.folder.iloc[0])])
    exact, predicted = (run.fields[name].astype(float) for name in ("exact", "predicted"))
    error, axes = np.abs(predicted - exact), coordinates(run)
    (cut,) = cuts(axes)
    figure, (row,) = panels(1, 3, map_height(cut, 3) + 0.4)
    values, errors = value_scale(exact), decades([error])
    show_map(row[0], cut, exact, values, f"{catalogue.experiment(MAPPED[0]).title}: exact")
    figure.colorbar(show_map(row[1], cut, predicted, values, run.title), ax=row[:2], label="u", pad=0.02)
    figure.colorbar(show_map(row[2], cut, error, errors, "|error|"), ax=row[2], pad=0.04, extend="min")
    return figure, field_table(axes, {"exact": exact, "predicted": predicted, "error": error})


CAPTIONS = {
    "overview": "Relative L2 error of every archived run, and the authors', by experiment and method",
    MAPPED[0]: "Helmholtz: exact solution, prediction of MMPINN with Fourier features, and pointwise error",
}
FIGURES: Mapping[str, Callable[[pd.DataFrame, Catalogue], tuple[Figure, pd.DataFrame]]] = {
    "overview": draw_overview,
    MAPPED[0]: draw_map,
}


def write_figures(folder: Path, summary: pd.DataFrame, catalogue: Catalogue) -> None:
    """Each figure as PNG, the numbers behind it as CSV; the picture names the SHA-256 of its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        figure, table = draw(summary, catalogue)
        numbers = harmless(table).to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
        (folder / f"{name}.csv").write_bytes(numbers)
        told = {"Description": f"numbers: SHA-256 {sha256(numbers)}", "Software": None}
        figure.savefig(folder / f"{name}.png", dpi=DPI, metadata=told)


def write_archive(folder: Path, summary: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> None:
    """The summary as CSV, each table as CSV and Markdown, and a page that lists them, in ``folder``."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    harmless(summary).to_csv(folder / "summary.csv", index=False, float_format="%.6g", lineterminator="\n")
    for name, table in tables.items():
        write_table(table, folder / "tables", name, register.table(name).caption, FORMATS)
    shown = (f"![{text}](figures/{name}.png)\n([numbers](figures/{name}.csv))" for name, text in CAPTIONS.items())
    text = INDEX.format(runs=len(summary), figures="\n\n".join(shown), tables=_listed(tables))
    (folder / "README.md").write_text(text, encoding="utf-8")


def _listed(tables: Mapping[str, pd.DataFrame]) -> str:
    """A line for each table: its name, the first sentence of its caption, its files."""
    rows = []
    for name in tables:
        first = register.table(name).caption.partition(". ")[0].rstrip(".")
        files = ", ".join(f"[{suffix}](tables/{name}.{suffix})" for suffix in FORMATS)
        rows.append(f"| {name} | {first.replace('|', '/')} | {files} |")
    return "\n".join(rows)
