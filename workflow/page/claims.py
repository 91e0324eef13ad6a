"""The paper's claims in sentences, of the table of claims: what holds, on which backend, with which numerics, over
how many seeds, and what is not decided and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["Line", "Told", "times", "told", "told_in"]

Row = Mapping[str, Any]
WHY = {
    "stalled": "stalled, which says nothing for it or against it",
    "the interval holds 1": "the seeds scatter too much to tell",
    "a run did not finish": "a run did not finish",
    "all budgets were used up": "all iterations allowed were made by both",
}
POINTS = {"for": ", so far for it", "against": ", so far against it"}
TABLE = "claims"


@dataclass(frozen=True)
class Line:
    """What runs on one backend with one numerics say of a claim, in a word and in sentences; ``papers``: under the
    paper's conditions."""

    axes: dict[str, str]
    papers: bool
    word: str
    text: str


@dataclass(frozen=True)
class Told:
    """A claim with what is said of it; ``untold``: backends and numerics with which no pair of it was run; the day
    of the rules."""

    claim: str
    lines: list[Line]
    untold: str
    fixed: str


def told_in(tables: Sequence[Path]) -> list[Told]:
    """What the table of claims among ``tables`` says, if there is one and a pair of any claim was run."""
    path = next((path for path in tables if path.stem == TABLE), None)
    found = told(pd.read_csv(path, keep_default_na=False)) if path else []
    return found if any(claim.lines for claim in found) else []


def told(claims: pd.DataFrame) -> list[Told]:
    """A table of claims (:func:`workflow.analysis.claims.claims`) in sentences, claim by claim."""
    found = []
    for stated, pairs in claims.groupby("stated", sort=False):
        lines, untold = [], []
        for (backend, numerics), own in pairs.groupby(["backend", "numerics"], sort=False):
            if (own.outcome == "not run").all():
                untold.append(f"{backend} with numerics {numerics}")
            else:
                lines.append(_line({"backend": backend, "numerics": numerics}, own.to_dict("records")))
        found.append(Told(_capital(stated), lines, ", ".join(untold), str(pairs["rules fixed on"].iloc[0])))
    return found


def _line(axes: dict[str, str], rows: Sequence[Row]) -> Line:
    of = {name: [row for row in rows if row["outcome"] == name] for name in ("holds", "contradicted", "open")}
    parts = []
    for name, word in (("holds", "holds in"), ("contradicted", "contradicted in")):
        if of[name]:
            parts.append(f"{word} {len(of[name])} of {len(rows)} pairs: {'; '.join(map(_decided, of[name]))}")
    for why, own in _grouped(of["open"], _why):
        parts.append(f"open in {len(own)} ({why}): {'; '.join(map(_named, own))}")
    if left := [row for row in rows if row["outcome"] == "not run"]:
        parts.append(f"not run: {'; '.join(map(_named, left))}")
    return Line(axes, _true(rows[0]["paper's conditions"]), _word(of), ". ".join(map(_capital, parts)) + ".")


def _word(of: Mapping[str, Sequence[Row]]) -> str:
    """The claim on one backend with one numerics, by the manifest: it holds if it does in every pair decided."""
    if of["holds"] and of["contradicted"]:
        return "holds in part"
    return "holds where decided" if of["holds"] else "does not hold" if of["contradicted"] else "not decided"


def _named(row: Row) -> str:
    return f"{row['experiment']}, {row['baseline']} to {row['method']}"


def _decided(row: Row) -> str:
    """A decided pair with its numbers, interval and test."""
    whole = row["measure"] == "iterations"
    ours, theirs = (
        [f"{float(row[name.format(which)]):{',.0f' if whole else '.2e'}}" for which in ("baseline", "method")]
        for name in ("{}, median", "authors, {}")
    )
    what = "iterations" if whole else "error"
    interval = ""
    if _known(row["low"]):
        interval = f", ratio {times(row['ratio'])} (95 %: {times(row['low'])} to {times(row['high'])})"
    p, least = float(row["p, sign test"]), float(row["smallest p of the sign test"])
    seeds = f"{row['seeds']} seeds"
    test = f"sign test p = {p:.2g}" + (f", the least that {seeds} can give" if p <= least else "")
    medians = f"medians of {seeds}; the authors': {theirs[0]} to {theirs[1]}"
    return f"{_named(row)}: {what} {ours[0]} to {ours[1]} ({medians}){interval}, {test}"


def _known(value: Any) -> bool:
    return value != "" and pd.notna(value)


def times(value: Any) -> str:
    """A ratio in three digits, or all before the point."""
    number = float(value)
    return f"{number:,.0f}" if 100 <= number < 1e7 else f"{number:.3g}"


def _why(row: Row) -> str:
    if row["open because"] == "too few seeds":
        count = int(row["seeds"])
        why = "one seed: nothing can be said about spread" if count == 1 else f"{count} seeds are too few"
    else:
        why = WHY[row["open because"]]
    return why + POINTS.get(row["so far"], "")


def _grouped(rows: Sequence[Row], key: Callable[[Row], str]) -> list[tuple[str, list[Row]]]:
    """Rows of equal keys together, keys in the order of their first rows."""
    keys = list(dict.fromkeys(map(key, rows)))
    ordered = sorted(rows, key=lambda row: keys.index(key(row)))
    return [(name, list(own)) for name, own in groupby(ordered, key)]


def _true(value: Any) -> bool:
    return str(value) == "True"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
