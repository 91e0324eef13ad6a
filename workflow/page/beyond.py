"""Methods that are not the paper's beside its best, in sentences, of the table ``beyond``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["BEST", "beyond_in", "beyond_told"]

TABLE = "beyond"
WORST, BEST, SECONDS = "relative L2, worst", "paper's best relative L2", "CPU seconds, median"


def beyond_in(tables: Sequence[Path]) -> list[str]:
    """What the table among ``tables`` says, a sentence for each method and backend; none without such methods."""
    path = next((path for path in tables if path.stem == TABLE), None)
    return beyond_told(pd.read_csv(path, keep_default_na=False, na_values={BEST: [""]})) if path else []


def beyond_told(table: pd.DataFrame) -> list[str]:
    """A table of :func:`workflow.analysis.beyond.beyond` in sentences. Problems without an error of the authors'
    are left out of the count."""
    if WORST not in table:
        return []
    known = table[table[BEST].notna()]
    told = []
    for (method, numerics, backend), rows in known.groupby(["method", "numerics", "backend"], sort=False):
        below = rows[WORST] < rows[BEST]
        # Over all problems: over those alone where it is below, it would rise when one more fails.
        factor = np.exp(np.log(rows[BEST] / rows[WORST]).median())
        count = rows.runs.min(), rows.runs.max()
        seeds = f"{count[0]} to {count[1]}" if count[0] != count[1] else f"{count[0]}"
        text = f"{method} on {backend}, numerics {numerics}, {seeds} seed{'s' if count[1] > 1 else ''}:"
        text += " every run is below the paper's smallest error on"
        text += f" {below.sum()} of {len(rows)} problems"
        text += f" (over all {len(rows)}, that is {factor:.3g} times the worst run's error in the median)"
        text += f", in {rows[SECONDS].median():.0f} CPU seconds of training in the median"
        left = rows[~below]
        if len(left):
            each = (f"{row.experiment} ({_pair(row)})" for _, row in left.iterrows())
            text += f"; not on {', '.join(each)}"
        told.append(text + ".")
    return told


def _pair(row: pd.Series) -> str:
    return f"{row[WORST]:.2e}, the paper's {row[BEST]:.2e}"
