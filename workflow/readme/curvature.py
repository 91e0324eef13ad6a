"""The generated parts of ``docs/curvature.md``: the archived runs of the studies ``curvature`` and ``unseen``."""

import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.beyond import beyond
from workflow.analysis.statistics import median
from workflow.analysis.summary import errors, summarise
from workflow.page.beyond import beyond_told
from workflow.readme.blocks import markdown, wrapped
from workflow.sweep import Sweep

__all__ = ["archived", "curvature_block", "unseen_block"]

BEST, WORST, SECONDS = "paper's best relative L2", "relative L2, worst", "CPU seconds, median"


PROMISED = 1e-3
"""The error that ``config/studies/unseen.yaml`` said beforehand, before any run: every seed ends below it."""


def archived(study: str) -> pd.DataFrame:
    """The archived runs of a study, in any number of seeds and backends."""
    return summarise(Sweep.from_config({"study": study, "runs": "archive"}).folders())


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


def unseen_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """For each method and backend how many seeds kept what was said beforehand, with the errors of all of them."""
    lines = []
    for (method, backend), runs in summary.groupby(["method", "backend"], sort=False):
        found = errors(runs)
        each = ", ".join(f"{error:.1e}" for error in found)
        text = f"{method} on {backend}: {(found < PROMISED).sum()} of {len(found)} seeds end below {PROMISED:g}"
        text += f" ({each}), in {median(runs.cpu_seconds):.0f} CPU seconds in the median."
        lines.append(wrapped(text, "* "))
    return "\n".join(lines)
