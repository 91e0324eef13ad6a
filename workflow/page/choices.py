"""Which point of a study to choose for all problems, in sentences, of the table ``choices``."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from workflow.analysis.statistics import LEVEL
from workflow.analysis.summary import label_of
from workflow.page.claims import times

__all__ = ["choices_in", "choices_told"]

TABLE, REGRET, LARGEST, FIRST, P = "choices", "regret", "regret, largest", "error over the first's", "p, Holm"
NOT_AXES = {"numerics", "backend"}
MOST = 6  # points that are named one by one


def choices_in(tables: Sequence[Path]) -> list[str]:
    """What the table among ``tables`` says, for each numerics and backend; nothing of a study without axes."""
    path = next((path for path in tables if path.stem == TABLE), None)
    return choices_told(pd.read_csv(path)) if path else []


def choices_told(table: pd.DataFrame) -> list[str]:
    """A table of :func:`workflow.analysis.choices.choices` in sentences. Rule: the point of the smallest regret is
    the one to take, and a difference from the first point is shown if its p-value after Holm is below 5 %."""
    if REGRET not in table or len(table) < 2:
        return []
    axes = [name for name in table.columns[: list(table.columns).index("problems")] if name not in NOT_AXES]
    told = []
    for (numerics, backend), rows in table.groupby(["numerics", "backend"], sort=False):
        where = f"{backend}, numerics {numerics}"
        told += [_best(rows, axes, where), _against_first(rows, axes, where)]
    return [text for text in told if text]


def _best(rows: pd.DataFrame, axes: Sequence[str], where: str) -> str:
    ranked = rows.sort_values(REGRET, kind="stable")
    best, last = ranked.iloc[0], ranked.iloc[-1]
    problems, seeds = int(best.problems), int(best["seeds, fewest"])
    told = f"{seeds} seeds" if seeds > 1 else "one seed, so not decided"
    text = f"One choice for {f'all {problems} problems' if problems > 1 else 'one problem'} ({where}, {told}):"
    if problems > 1 and best["best on"] == problems:
        text += f" {_point(best, axes)} is the best on every one of them"
        return f"{text}; {_point(last, axes)} costs most, {times(last[REGRET])} times the best choice's error."
    text += f" {_point(best, axes)} costs least; its median"
    text += f" error is {times(best[REGRET])} times that of the best choice for each problem"
    if pd.notna(best["regret, low"]):
        text += f" ({_percent()}: {times(best['regret, low'])} to {times(best['regret, high'])})"
    text += f", {times(best[LARGEST])} times at most; {_point(last, axes)} costs most, {times(last[REGRET])} times"
    return f"{text}; no choice is the best on more than {int(rows['best on'].max())} of the problems."


def _against_first(rows: pd.DataFrame, axes: Sequence[str], where: str) -> str:
    """Which points differ from the first, as far as the problems decide it."""
    first, others = rows.iloc[0], rows.iloc[1:]
    shown = others[others[P] < 1 - LEVEL]
    if int(first.problems) < 2:
        return ""
    if shown.empty:
        return f"No choice differs from {_point(first, axes)} beyond chance over the problems ({where})."
    parts = []
    for word, own in (("larger", shown[shown[FIRST] > 1]), ("smaller", shown[shown[FIRST] < 1])):
        each = [f"{_point(row, axes)} ({times(row[FIRST])} times)" for _, row in own.iterrows()]
        named = ", ".join(each[:MOST]) + (f" and {len(each) - MOST} more" if len(each) > MOST else "")
        if each:
            parts.append(f"{word} with {named}")
    undecided = len(others) - len(shown)
    text = f"Beside {_point(first, axes)} ({where}), errors are {'; '.join(parts)}"
    return (
        f"{text}; {undecided} of {len(others)} choices {'differs' if undecided == 1 else 'differ'} within chance."
    )


def _point(row: pd.Series, axes: Sequence[str]) -> str:
    return label_of(axes, row[list(axes)])


def _percent() -> str:
    return f"{100 * LEVEL:g} %"
