"""Where MMPINN wins on a leaderboard, where it loses, and what it is worth once the optimizer has curvature, in
sentences, of the table ``mmpinn``."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.analysis.entries import GROUPS
from workflow.analysis.statistics import LEVEL
from workflow.analysis.subject import ALL
from workflow.page.claims import times

__all__ = ["mmpinn_told"]

RATIO, HOLM = "ratio", "p, Holm"
NAMES = {"lbfgs": "Adam and L-BFGS", "adam": "Adam alone", "bfgs": "Adam and BFGS"}
CURVATURE = "bfgs"
"""The optimizer that has curvature: the whole inverse Hessian."""


def mmpinn_told(table: pd.DataFrame) -> list[str]:
    """A table of :func:`workflow.analysis.subject.mmpinn` in three sentences for each numerics and backend, as far
    as the table has what they are about. Rules: on a problem MMPINN wins, or loses, beside the plain sum under the
    study's first optimizer, if the p-value of the paired t test over the seeds is below 5 % after Holm; over the
    problems, and from one optimizer to another, if that of the t test over the problems is."""
    if RATIO not in table:
        return []
    told: list[str] = []
    for group, rows in table.groupby(GROUPS, sort=False):
        where, first = f"{group[1]}, numerics {group[0]}", rows[rows.optimizer == rows.optimizer.iloc[0]]
        one, over = first[first.experiment != ALL], first[first.experiment == ALL].iloc[0]
        if one.p.notna().any():
            told += [_wins(one, over, where), _loses(one, where)]
        told += _worth(rows[rows.experiment == ALL], where)
    return told


def _wins(rows: pd.DataFrame, over: pd.Series, where: str) -> str:
    won = rows[(rows[HOLM] < 1 - LEVEL) & (rows[RATIO] < 1)]
    text = f"Where MMPINN wins ({where}, {_seeds(rows)}): under {_optimizer(rows)} its error is smaller than that"
    text += f" of the plain sum beyond chance on {len(won) or 'none'} of {len(rows)} problems{_named(won)}"
    decided = "beyond chance" if over.p < 1 - LEVEL else "within chance"
    over_all = f"over all problems it is {_interval(over)}, {decided} (t test over the problems, p = {over.p:.2g})"
    return f"{text}; {over_all}."


def _loses(rows: pd.DataFrame, where: str) -> str:
    lost = rows[(rows[HOLM] < 1 - LEVEL) & (rows[RATIO] > 1)]
    text = (
        f"Where it loses ({where}, {_seeds(rows)}): its error is larger than that of the plain sum beyond chance"
    )
    text += f" on {len(lost) or 'none'} of {len(rows)} problems{_named(lost)}"
    if not rows.others.max() > 0:
        return text + "."
    each = [
        f"{row['experiment']} {row['others smaller']:.0f} smaller, {row['others larger']:.0f} larger"
        for row in rows.to_dict("records")
        if row["others smaller"] or row["others larger"]
    ]
    text += f"; of up to {int(rows.others.max())} other entries under this optimizer, beyond chance:"
    return f"{text} {'; '.join(each) or 'none with another error on any problem'}."


def _worth(rows: pd.DataFrame, where: str) -> list[str]:
    """What the ratio is under each optimizer, and how it changes with curvature."""
    with_curvature = rows[rows.optimizer == CURVATURE]
    if with_curvature.empty or not np.isfinite(with_curvature["change, low"].iloc[0]):
        return []
    parts = [
        f"under {NAMES.get(row['optimizer'], row['optimizer'])} {_interval(row)}"
        for row in rows.to_dict("records")
    ]
    last, first = with_curvature.iloc[0], rows.iloc[0]
    decided = "beyond chance" if last["change, p"] < 1 - LEVEL else "within chance"
    change = _between(last["change"], last["change, low"], last["change, high"])
    return [
        f"What it is worth once the optimizer has curvature ({where}): over the problems its error is"
        f" {', '.join(parts)}; from {NAMES.get(first.optimizer, first.optimizer)} to {NAMES[CURVATURE]} this ratio"
        f" changes by a factor of {change}, {decided} (paired t test over {last['change, problems']:.0f} problems,"
        f" p = {last['change, p']:.2g}); the ratio under {NAMES[CURVATURE]} itself has p = {last.p:.2g}."
    ]


def _seeds(rows: pd.DataFrame) -> str:
    low, high = int(rows.pairs.min()), int(rows.pairs.max())
    return f"{low} seeds" if low == high else f"{low} to {high} seeds"


def _optimizer(rows: pd.DataFrame) -> str:
    name = str(rows.optimizer.iloc[0])
    return NAMES.get(name, name)


def _named(rows: pd.DataFrame) -> str:
    """Problems with ratio, interval and p-value."""
    each: Sequence[str] = [
        f"{row['experiment']} {_between(row[RATIO], row['low'], row['high'])}, p = {row[HOLM]:.2g}"
        for row in rows.to_dict("records")
    ]
    return f" ({'; '.join(each)}; paired t test over the seeds, Holm)" if each else ""


def _interval(row: pd.Series | dict[str, float]) -> str:
    return f"{_between(row[RATIO], row['low'], row['high'])} times that of the sum"


def _between(ratio: float, low: float, high: float) -> str:
    known = np.isfinite([low, high]).all()
    return f"{times(ratio)}" + (f" [{100 * LEVEL:g} %: {times(low)} to {times(high)}]" if known else "")
