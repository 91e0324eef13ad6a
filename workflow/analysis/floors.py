"""What a classical solver reaches on each problem: the floor beneath every method of a leaderboard."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from solvers.paths import ROOT

__all__ = ["FLOORS", "floors"]

FLOORS = ROOT / "reports/floors.csv"


def floors(path: Path = FLOORS) -> Mapping[str, float]:
    """Relative L2 errors of classical solvers by experiment: the smallest of each in the CSV file at ``path``,
    which has the columns ``experiment`` and ``rel_l2`` and may have others. None are known if there is no such
    file. Raises :class:`ValueError` naming the file and the column that it lacks."""
    if not path.exists():
        return {}
    table = pd.read_csv(path)
    for column in ("experiment", "rel_l2"):
        if column not in table:
            raise ValueError(f"{path}: {column}: is missing; a table of floors has experiment and rel_l2")
    return table.groupby("experiment").rel_l2.min().to_dict()
