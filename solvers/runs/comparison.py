"""Two tables of runs side by side, over equal seeds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from solvers.runs.place import DEPTH, Place

__all__ = ["SideBySide", "side_by_side"]

KEYS = ["experiment", "variant", "method", "numerics", "backend", "scale"]
"""What names a run but for its seed."""
ALWAYS = ("experiment", "method")
NEEDED = (
    "experiment",
    "method",
    "numerics",
    "backend",
    "scale",
    "seed",
    "status",
    "rel_l2",
    "cpu_seconds",
    "folder",
)


@dataclass(frozen=True)
class SideBySide:
    """``table`` has a row for what both tables have, with median errors and CPU seconds over equal seeds and their
    ratios, B to A. ``first`` and ``second`` are what all runs of A, or of B, have in common and the others have
    not: ``{"backend": "jax"}``. ``alone`` counts the runs of each that have no counterpart."""

    table: pd.DataFrame
    first: dict[str, str]
    second: dict[str, str]
    alone: tuple[int, int]


def side_by_side(first: pd.DataFrame, second: pd.DataFrame) -> SideBySide:
    """Compare tables with the columns of :func:`solvers.runs.rows.row_of`, such as the pipeline's ``summary.csv``.

    Where A has one backend and B has another, they are what is compared; the same holds for numerics, scale,
    method, experiment and changed keys. A run that did not finish has an infinite error. Raises ``ValueError`` if
    a column is missing, a table has two runs of one name, or nothing is in both.
    """
    one, other = (_named(runs, name) for runs, name in ((first, "A"), (second, "B")))
    apart = [
        key for key in KEYS if one[key].nunique() == other[key].nunique() == 1 and one[key][0] != other[key][0]
    ]
    keys = [key for key in KEYS if key not in apart]
    for runs, name in ((one, "A"), (other, "B")):
        if (twice := runs.duplicated([*keys, "seed"])).any():
            raise ValueError(f"{name} has two runs of one name: {', '.join(runs.folder[twice][:2])}")
    both = one.merge(other, on=[*keys, "seed"], suffixes=(" A", " B"), sort=False)
    if both.empty:
        raise ValueError("no run of A has a counterpart in B: of the same experiment, method and seed")
    shown = [key for key in keys if key in ALWAYS or both[key].nunique() > 1]
    table = pd.DataFrame([_row(dict(zip(keys, group, strict=True)), runs) for group, runs in _groups(both, keys)])
    fixed = [{key: str(runs[key][0]) for key in apart} for runs in (one, other)]
    columns = [*shown, *(name for name in table.columns if name not in KEYS)]
    return SideBySide(table[columns], fixed[0], fixed[1], (len(one) - len(both), len(other) - len(both)))


def _groups(both: pd.DataFrame, keys: list[str]) -> list[tuple[tuple[str, ...], pd.DataFrame]]:
    return list(both.groupby(keys, sort=False))


def _named(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The needed columns, the error infinite where a run did not finish, and the variant of the folder's name."""
    if missing := [column for column in NEEDED if column not in runs]:
        raise ValueError(f"{name} has no column {', '.join(missing)}: is no table of runs")
    error = pd.to_numeric(runs.rel_l2).where(runs.status == "finished").fillna(np.inf)
    variants = [Place.parse(Path(*Path(folder).parts[-DEPTH:])).variant for folder in runs.folder]
    found: pd.DataFrame = runs[list(NEEDED)].assign(rel_l2=error, variant=variants).reset_index(drop=True)
    return found


def _row(names: dict[str, str], runs: pd.DataFrame) -> dict[str, object]:
    found: dict[str, object] = {**names, "seeds": len(runs)}
    for column, title in (("rel_l2", "error"), ("cpu_seconds", "CPU seconds")):
        one, other = (float(runs[f"{column} {side}"].median()) for side in "AB")
        known = one > 0 and np.isfinite([one, other]).all()
        found |= {f"{title} A": one, f"{title} B": other, f"{title} B / A": other / one if known else np.nan}
    return found
