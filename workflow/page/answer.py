"""How many of the authors' rows have which verdict, as the page begins with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflow.analysis.judging import UNDECIDED, Verdict

__all__ = ["Answer", "answers"]


@dataclass(frozen=True)
class Answer:
    """How many rows of the authors have which verdict, on one backend with one numerics, and how many are not
    decided; ``papers``: under the paper's conditions; ``fixed``: the day of the rules."""

    axes: dict[str, str]
    papers: bool
    fixed: str
    of: int
    run: int
    counts: dict[str, int]
    undecided: int


def answers(tables: Sequence[Path]) -> list[Answer]:
    """The rows of the table of verdict counts, if there is one."""
    path = next((path for path in tables if path.stem == "verdict-counts"), None)
    rows = pd.read_csv(path).to_dict("records") if path else []
    named = [str(verdict) for verdict in Verdict]
    return [
        Answer(
            axes={axis: row[axis] for axis in ("backend", "numerics")},
            papers=bool(row["paper's conditions"]),
            fixed=row["rules fixed on"],
            of=int(row["rows of the authors"]),
            run=int(row["rows run"]),
            counts={name: int(row[name]) for name in named},
            undecided=sum(int(row[str(verdict)]) for verdict in UNDECIDED),
        )
        for row in rows
        if "backend" in row
    ]
