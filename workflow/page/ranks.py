"""What the tests over all problems decide of a leaderboard, in sentences, of the table ``ranks``."""

import pandas as pd

from workflow.analysis.entries import ENTRY, GROUPS
from workflow.analysis.statistics import LEVEL
from workflow.page.claims import times

__all__ = ["ranks_told"]

RANK, AGAINST = "mean rank", "p against the first"
MOST = 4  # entries that are named one by one


def ranks_told(table: pd.DataFrame) -> list[str]:
    """A table of :func:`workflow.analysis.leaderboard.ranks` in sentences, one for each numerics and backend.
    Rule: an entry is behind the first if Nemenyi's p-value against that is below 5 %, and only if Friedman's
    is."""
    if RANK not in table:
        return []
    return [_told(rows, group) for group, rows in table.groupby(GROUPS, sort=False)]


def _told(rows: pd.DataFrame, group: tuple[str, ...]) -> str:
    first, p = rows.iloc[0], rows["Friedman p"].iloc[0]
    failed, runs = int(rows.failed.sum()), int(rows.runs.sum())
    text = f"{len(rows)} entries on {int(first.problems)} problems ({group[1]}, numerics {group[0]}): {runs} runs,"
    text += f" of which {failed or 'none'} failed, in {rows['core-hours'].sum():.1f} core-hours; Friedman's test"
    if p >= 1 - LEVEL:
        return f"{text} says that no difference between them is beyond chance (p = {p:.2g})."
    apart = rows[AGAINST] < 1 - LEVEL
    near = list(rows[ENTRY][~apart][1:])
    text += f" says that they differ (p = {p:.1g}). The smallest mean rank, {first[RANK]:.3g}, has {first[ENTRY]},"
    text += f" the best on {int(first['best on'])}, with {times(first['regret'])} times the error of the best for"
    text += f" each problem; Nemenyi's test puts {int(apart.sum())} entries behind it"
    named = ", ".join(map(str, near[:MOST])) + (f" and {len(near) - MOST} more" if len(near) > MOST else "")
    return text + (f", and does not tell it from {named}." if near else ".")
