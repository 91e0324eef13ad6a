"""The leaderboard as it stands on the page: entries by problems, each cell coloured by its error, marked where
runs failed or deviate from the protocol, and linked to its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.analysis.entries import ENTRY, GROUPS, TRIALS_FROM, with_entries
from workflow.analysis.leaderboard import FLOOR, PAPER, ordered
from workflow.analysis.protocol import DEVIATES
from workflow.analysis.summary import axes_of
from workflow.page.ranks import ranks_told
from workflow.page.runs import run_id
from workflow.page.subject import mmpinn_told

__all__ = ["HEAT_MAP", "PICTURES", "TOLD", "Board", "Cell", "Line", "Matrix", "board_in", "board_told"]

BOARD, RANKS, PROTOCOL, SUBJECT = "leaderboard", "ranks", "protocol", "mmpinn"
PICTURES = ("critical-differences", "pareto", "bands")
"""Figures that stand in the section."""
HEAT_MAP = "heat-map"
"""The figure that says what the matrix does, and is linked."""
SMALLEST, LEVELS = 1e-5, 10
"""Errors from this to 100 % have so many colours, at equal ratios."""
ABSENT = "–"


@dataclass(frozen=True)
class Cell:
    """A cell: its text, its number to sort by, the step of its colour, a link to its runs, what a pointer
    shows."""

    text: str
    number: float
    level: int
    href: str = ""
    title: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the matrix: its name, its mean rank if it has one, and a cell for each problem, or none."""

    name: str
    rank: float | None
    cells: list[Cell | None]


@dataclass(frozen=True)
class Matrix:
    """Entries by problems on one backend with one numerics; below them what the lines of ``beside`` say."""

    axes: dict[str, str]
    problems: list[str]
    lines: list[Line]
    beside: list[Line]


@dataclass(frozen=True)
class Board:
    """What the section says of the protocol, and shows."""

    sentences: list[str]
    matrices: list[Matrix]


def board_in(paths: Sequence[Path], summary: pd.DataFrame) -> Board | None:
    """The section, of the tables among ``paths``; none without a leaderboard."""
    tables = {path.stem: pd.read_csv(path) for path in paths if path.stem in (BOARD, RANKS, PROTOCOL, SUBJECT)}
    table = tables.get(BOARD)
    if table is None or ENTRY not in table:
        return None
    marks, anchors = _marks(tables.get(PROTOCOL)), _anchors(summary)
    matrices = [
        _matrix(dict(zip(GROUPS, group, strict=True)), own, _ranks(tables.get(RANKS), group), marks, anchors)
        for group, own in table.groupby(GROUPS, sort=False)
    ]
    return Board(_of_protocol(tables.get(PROTOCOL)), matrices)


def board_told(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The tables of a leaderboard by their names, in sentences: MMPINN if it is an entry, then the ranks."""
    return [text for name, told in TOLD.items() if name in tables for text in told(tables[name])]


TOLD = {SUBJECT: mmpinn_told, RANKS: ranks_told}


def _of_protocol(table: pd.DataFrame | None) -> list[str]:
    """How many cells were given something else than the others of their problem, and what."""
    if table is None or DEVIATES not in table:
        return []
    deviating = table[table[DEVIATES].notna() & (table[DEVIATES] != "")]
    if deviating.empty:
        return [f"All {len(table)} cells keep the protocol."]
    counts = deviating[DEVIATES].str.split(";").explode().value_counts()
    parts = ", ".join(f"{name} {count}" for name, count in counts.items())
    return [
        f"{len(deviating)} of {len(table)} cells deviate from what most entries of their problem were given, and"
        f" are marked †: {parts} (table of the protocol)."
    ]


def _marks(table: pd.DataFrame | None) -> dict[tuple[str, ...], str]:
    """What each cell deviates in, by numerics, backend, experiment and entry."""
    if table is None or DEVIATES not in table:
        return {}
    keys = table[[*GROUPS, "experiment", ENTRY]].astype(str).itertuples(index=False, name=None)
    return {key: told for key, told in zip(keys, table[DEVIATES].astype(object).fillna(""), strict=True) if told}


def _anchors(summary: pd.DataFrame) -> dict[tuple[str, ...], str]:
    """The id of the first run of each cell, as the list of runs has it."""
    runs = with_entries(summary)
    first = runs[runs.seed < TRIALS_FROM].drop_duplicates([*GROUPS, "experiment", ENTRY])
    columns = [*summary.columns[: list(summary.columns).index("seed") + 1], *axes_of(summary)]
    return {
        (row["numerics"], row["backend"], row["experiment"], str(row[ENTRY])): run_id({k: row[k] for k in columns})
        for row in first.to_dict("records")
    }


def _ranks(table: pd.DataFrame | None, group: tuple[str, ...]) -> dict[str, float]:
    if table is None or ENTRY not in table:
        return {}
    own = table[(table[GROUPS] == list(group)).all(axis=1)]
    return dict(zip(own[ENTRY].astype(str), own["mean rank"], strict=True))


def _matrix(
    group: dict[str, str],
    table: pd.DataFrame,
    ranks: Mapping[str, float],
    marks: Mapping[tuple[str, ...], str],
    anchors: Mapping[tuple[str, ...], str],
) -> Matrix:
    problems = list(table.experiment.unique())
    table = table.assign(**{ENTRY: table[ENTRY].astype(str)})
    names = [name for name in ranks if name in set(table[ENTRY])]
    names += [name for name in ordered(table) if name not in ranks]
    rows = {(row[ENTRY], row["experiment"]): row for row in table.to_dict("records")}
    lines = []
    for name in names:
        cells: list[Cell | None] = []
        for problem in problems:
            key = (group["numerics"], group["backend"], problem, name)
            row = rows.get((name, problem))
            cells.append(_cell(row, marks.get(key, ""), anchors.get(key, "")) if row else None)
        lines.append(Line(name, ranks.get(name), cells))
    of_problem = table.drop_duplicates("experiment").set_index("experiment")
    beside = [Line(name, None, [_known(of_problem[name][p]) for p in problems]) for name in (PAPER, FLOOR)]
    return Matrix(group, problems, lines, [line for line in beside if any(line.cells)])


def _cell(row: Mapping[str, float], deviates: str, anchor: str) -> Cell:
    median, failed = float(row["median"]), int(row["failed"])
    text = f"{median:.1e}" if np.isfinite(median) else "failed"
    text += f" ×{failed}" if failed else ""
    title = (
        f"{row['seeds']:.0f} seeds, {failed} failed, {row['lost']:.0f} lost; {row['evaluations']:.0f} evaluations"
    )
    title += f", {row['CPU seconds']:.1f} CPU seconds" + (f"; deviates in {deviates}" if deviates else "")
    return Cell(text + (" †" if deviates else ""), median, _level(median), f"#{anchor}" if anchor else "", title)


def _known(value: float) -> Cell | None:
    return Cell(f"{value:.1e}", value, _level(value)) if np.isfinite(value) else None


def _level(value: float) -> int:
    """The step of the colour, 0 for the smallest errors."""
    if not np.isfinite(value):
        return LEVELS - 1
    place = 1 - np.log10(max(value, SMALLEST)) / np.log10(SMALLEST)
    return int(np.clip(place * LEVELS, 0, LEVELS - 1))
