"""The generated part of ``docs/results.md`` on floors: what a classical solver reaches on each problem."""

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.floor import floor
from workflow.readme.blocks import UP, markdown

__all__ = ["floor_block"]


def floor_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """A row for each problem: error and seconds of a classical solver, and the method that comes nearest to it."""
    rows = []
    for experiment, own in floor(summary, catalogue).groupby("experiment", sort=False):
        nearest = own.sort_values("its median", kind="stable").iloc[0]
        known = np.isfinite(nearest["floor"])
        shown = f"{nearest['floor']:.1e}" if known else "none"
        ratio = nearest["its median over the floor"]
        best = f"{nearest['its median']:.1e}, {nearest['best method']}, {nearest.backend}"
        rows.append(
            {"experiment": experiment}
            | {"floor": f"[{shown}]({UP}{nearest.folder}/floor.json)"}
            | {"its CPU seconds": f"{nearest['floor, CPU seconds']:.2g}" if known else "-"}
            | {"solver": nearest.solver.partition(": ")[2]}
            | {"smallest median error": best}
            | {"over the floor": f"{ratio:.1e}" if known else "-"}
            | {"its CPU seconds of training": f"{nearest['its CPU seconds, median']:.0f}"}
        )
    return markdown(pd.DataFrame(rows))
