"""The generated part of ``docs/curvature.md``: the archived runs of the study ``curvature``."""

import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.beyond import beyond
from workflow.analysis.summary import summarise
from workflow.page.beyond import beyond_told
from workflow.readme.blocks import markdown, wrapped
from workflow.sweep import Sweep

__all__ = ["curvature_block", "curvature_summary"]

BEST, WORST, SECONDS = "paper's best relative L2", "relative L2, worst", "CPU seconds, median"


def curvature_summary() -> pd.DataFrame:
    """The archived runs of the study, in any number of seeds and backends."""
    return summarise(Sweep.from_config({"study": "curvature", "runs": "archive"}).folders())


def curvature_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """In sentences on how many problems each method is below the paper's best, and a table: the worst relative L2
    error of so many seeds, and the median of the CPU seconds of training."""
    table = beyond(summary, catalogue)
    lines = [wrapped(text, "* ") for text in beyond_told(table)]
    rows = []
    for (experiment, backend), own in table.groupby(["experiment", "backend"], sort=False):
        best = own[BEST].iloc[0]
        row = {
            "experiment": experiment,
            "backend": backend,
            "paper's best": "-" if best != best else f"{best:.1e}",
        }
        row |= dict.fromkeys(dict.fromkeys(table.method), "-")
        for cell in own.to_dict("records"):
            row[cell["method"]] = f"{cell[WORST]:.1e} ({cell['runs']}; {cell[SECONDS]:.0f} s)"
        rows.append(row)
    return "\n".join([*lines, "", markdown(pd.DataFrame(rows))])
