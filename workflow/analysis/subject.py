"""MMPINN among the entries of a leaderboard: beside the plain sum, and beside all other rules, optimizer by
optimizer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.entries import ENTRY, groups, parts_of
from workflow.analysis.statistics import LEVEL, Paired, holm, paired
from workflow.analysis.summary import table_of

__all__ = ["ALL", "PLAIN", "SUBJECT", "mmpinn"]

SUBJECT, PLAIN = "mmpinn", "sum"
ALL = "all"
"""Stands for the experiment in the row over all problems."""


def mmpinn(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """MMPINN beside the plain sum of the loss terms, both under the same optimizer, on each problem: the error of
    MMPINN over that of the sum, geometric mean over the seeds with t interval (95 %) and the p-value of the paired
    t test of the logarithms, corrected after Holm over the problems. In the rows of all problems these are the
    pairs: geometric means over the problems of each problem's ratio. Change: this ratio over that under the first
    optimizer of the study, with interval and p-value over the problems that were run under both. Others: the rules
    other than these two under the same optimizer; on how many of them the problem decides, by the same test with
    Holm's correction over them, that their error is smaller than MMPINN's, or larger. Errors above 100 %, and runs
    that did not finish, count as 100 %; in a tie of all seeds there is nothing to test."""
    rows: list[dict[str, Any]] = []
    for group, runs in groups(summary):
        parts = [parts_of(name) for name in runs[ENTRY]]
        runs = runs.assign(rule=[rule for rule, _ in parts], optimizer=[optimizer for _, optimizer in parts])
        first: pd.Series | None = None
        for optimizer, own in runs.groupby("optimizer", sort=False):
            found = list(_problems(own))
            if not found:
                continue
            named = group | {"optimizer": optimizer}
            for row, p in zip(found, holm([row["p"] for row in found]), strict=True):
                rows.append(named | row | {"p, Holm": p})
            ratios = pd.Series({row["experiment"]: row["ratio"] for row in found})
            rows.append(named | {"experiment": ALL} | _over(ratios) | _change(ratios, first))
            first = ratios if first is None else first
    return table_of(rows, f"no problem was run with {SUBJECT} and with {PLAIN} under the same optimizer")


def _problems(runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A row for each problem that was run with both on the same seeds."""
    for experiment, own in runs.groupby("experiment", sort=False):
        wide = own.pivot_table(index="seed", columns="rule", values="error", aggfunc="first", sort=False)
        if not {SUBJECT, PLAIN} <= set(wide):
            continue
        both = wide[[PLAIN, SUBJECT]].dropna()
        if both.empty:
            continue
        against = paired(both[PLAIN], both[SUBJECT])
        yield {"experiment": experiment, "pairs": against.pairs} | _tested(against) | _others(wide)


def _tested(found: Paired) -> dict[str, float]:
    return {"ratio": found.ratio, "low": found.low, "high": found.high, "p": found.t}


def _others(wide: pd.DataFrame) -> dict[str, int]:
    """Of all other rules, how many have a smaller error than MMPINN, and how many a larger one, by the test."""
    names = [name for name in wide if name not in (SUBJECT, PLAIN)]
    found = []
    for name in names:
        both = wide[[SUBJECT, name]].dropna()
        found.append(paired(both[SUBJECT], both[name]))
    shown = holm([each.t for each in found]) < 1 - LEVEL
    ratios = np.array([each.ratio for each in found])
    return {
        "others": len(names),
        "others smaller": int((shown & (ratios < 1)).sum()),
        "others larger": int((shown & (ratios > 1)).sum()),
    }


def _over(ratios: pd.Series) -> dict[str, float]:
    """The ratio over the problems, with its test."""
    return {"pairs": len(ratios)} | _tested(paired(np.ones(len(ratios)), ratios.to_numpy()))


def _change(ratios: pd.Series, first: pd.Series | None) -> dict[str, float]:
    if first is None:
        return {}
    common = [name for name in ratios.index if name in first.index]
    if not common:
        return {}
    found = paired(first[common].to_numpy(), ratios[common].to_numpy())
    named = {"change": found.ratio, "change, low": found.low, "change, high": found.high, "change, p": found.t}
    return named | {"change, problems": found.pairs}
