"""Whether the rules of a study come to one solution, how fast, and how many powers bring their terms together, in
sentences, of the tables ``solutions``, ``rates`` and ``synchronised``."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.analysis.summary import LOST, label_of
from workflow.page.claims import times

__all__ = ["rates_told", "rules_in", "rules_told", "solutions_told", "synchronised_told"]

SAME = 0.01
"""Predictions are the same if their distance is at most so much of the solution's norm."""
SHARED = 0.5
"""Two predictions have their error in common if their distance is at most so much of the larger error."""
AXES = ["experiment", "method", "numerics", "backend"]
SLOPE, LATE = "slope of error", "late slope of error"
ERROR, DISTANCE, TERMS = "median error", "distance", "terms over the first's"


def rules_in(tables: Sequence[Path]) -> list[str]:
    """What the three tables among ``tables`` say."""
    return rules_told({path.stem: pd.read_csv(path) for path in tables if path.stem in TOLD})


def rules_told(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The tables by their names, in sentences, for each numerics and backend."""
    return [text for name, told in TOLD.items() if name in tables for text in told(tables[name])]


def solutions_told(table: pd.DataFrame) -> list[str]:
    """A table of :func:`workflow.analysis.solutions.solutions` in sentences. The rule: two predictions are the
    same if their distance is at most 1 % of the solution's norm; they share their error, too, if it is at most
    half of the larger of their errors. Pairs of which one errs by 100 % or more are left out: two useless
    predictions may well be alike."""
    if DISTANCE not in table:
        return []
    told = []
    for where, every in _parts(table):
        rows = every[every[["error of the first", "error"]].max(axis=1) < LOST]
        useless = len(every) - len(rows)
        left_out = f" ({useless} more, in which a rule errs by 100 % or more, are left out)" if useless else ""
        if rows.empty:
            told.append(
                f"In each of {len(every)} comparisons with the first rule ({where}) a rule errs by 100 % or more."
            )
            continue
        same, shared = rows[DISTANCE] <= SAME, rows[f"{DISTANCE} over the larger error"] <= SHARED
        text = f"Of {len(rows)} comparisons with the first rule ({where}){left_out} {int(same.sum())} end at"
        text += f" the same solution, within {100 * SAME:g} % of each other; in {int((same & shared).sum())} of"
        text += f" these the two share their error as well, nearer to each other than {SHARED:g} times the larger"
        text += " error to the solution"
        told.append(f"{text}. {_by_method(rows)}")
    return told


def _by_method(rows: pd.DataFrame) -> str:
    """How the distance goes along with the errors, from method to method."""
    parts = []
    for method, own in rows.groupby("method", sort=False):
        larger = own[["error of the first", "error"]].max(axis=1)
        parts.append(
            f"{_mean(own[DISTANCE])} with {method}, where the larger error is {_mean(larger)} and the terms are"
            f" {times(_logs(own[TERMS]))} times those of the first rule"
        )
    return f"The distance is in geometric mean {'; '.join(parts)}."


def rates_told(table: pd.DataFrame) -> list[str]:
    """A table of :func:`workflow.analysis.rates.rates` in sentences. The rule: of the points whose median error is
    below 100 %, the one of the steepest slope of the error is the fastest; it is faster than the first if their
    intervals do not meet."""
    if SLOPE not in table:
        return []
    axes = _axes(table)
    return [
        _fastest(rows, axes, f"{experiment}, {method}", where)
        for where, part in _parts(table)
        for (experiment, method), rows in part.groupby(AXES[:2], sort=False)
        if rows[SLOPE].notna().any()
    ]


def _fastest(rows: pd.DataFrame, axes: Sequence[str], case: str, where: str) -> str:
    first, useful = rows.iloc[0], rows[(rows[ERROR] < LOST) & rows[SLOPE].notna()]
    if useful.empty:
        return f"{case} ({where}): no rule ends below an error of 100 %, so that no rate is told."
    best = useful.loc[useful[SLOPE].idxmin()]
    text = f"{case} ({where}): over the last decade of evaluations E the error falls fastest with"
    text += f" {_point(best, axes)}, as {_power(best)}, to {best[ERROR]:.1e}"
    if best.name != first.name and np.isfinite(first[SLOPE]):
        apart = best[f"{SLOPE}, high"] < first[f"{SLOPE}, low"]
        text += f"; with {_point(first, axes)} as {_power(first)}, to {first[ERROR]:.1e}"
        text += "; the intervals do not meet" if apart else "; the intervals meet, or are not known: not decided"
    late = useful.loc[useful[LATE].idxmin()] if useful[LATE].notna().any() else None
    if late is None:
        return text + "."
    text += f". Over the second half of the evaluations alone {_point(late, axes)} is it, as {_power(late, LATE)}"
    return text + "."


def _power(row: pd.Series, name: str = SLOPE) -> str:
    low, high = row[f"{name}, low"], row[f"{name}, high"]
    between = f" (95 %: {low:.2f} to {high:.2f})" if np.isfinite([low, high]).all() else ""
    return f"E^{row[name]:.2f}{between}"


def synchronised_told(table: pd.DataFrame) -> list[str]:
    """A table of :func:`workflow.analysis.synchronised.synchronised` in sentences. The rule: the sizes of the
    terms predict the number of powers of a problem if it is the one measured by the gradients."""
    predicted, measured = "powers, predicted", "powers, measured"
    if predicted not in table:
        return []
    told = []
    for where, rows in _parts(table):
        problems = rows.drop_duplicates("experiment")
        right = int((problems[predicted] == problems[measured]).sum())
        each = [
            f"{row['experiment']} {_number(row[predicted])}, {_number(row[measured])}"
            for row in problems.to_dict("records")
        ]
        told.append(
            "Powers of the residual that bring it within a factor of ten of the supervised terms before the"
            f" training ({where}), predicted by the sizes of the terms and measured by their weighted gradients:"
            f" {'; '.join(each)}; predicted rightly on {right} of {len(problems)}"
            f" problem{'s' if len(problems) > 1 else ''}."
        )
        told.append(_weights(rows, _axes(table)))
    return told


def _weights(rows: pd.DataFrame, axes: Sequence[str]) -> str:
    parts = []
    for _, own in rows.groupby(axes, sort=False):
        first, last = (_logs(own[f"weight ratio, {end}"]) for end in ("first", "last"))
        share = 100 * own["in step"].mean()
        parts.append(f"{_point(own.iloc[0], axes)}: {first:.1e} to {last:.1e}, {share:.0f} %")
    return (
        "The weight of the residual over that of the supervised terms, first and last (geometric mean over"
        " problems and methods), and the share of the recorded evaluations at which the weighted gradients are"
        f" within a factor of ten: {'; '.join(parts)}."
    )


def _number(count: float) -> str:
    return f"{count:g}" if count else "none"


def _mean(values: pd.Series) -> str:
    return f"{_logs(values):.1e}"


def _logs(values: pd.Series) -> float:
    """The geometric mean."""
    return float(np.exp(np.log(values.astype(float)).mean()))


def _parts(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Numerics, backend and seeds in words, and their rows."""
    parts = []
    for (numerics, backend), rows in table.groupby(["numerics", "backend"], sort=False):
        seeds = int(rows.seeds.min())
        told = f"{seeds} seeds" if seeds > 1 else "one seed, so not decided"
        parts.append((f"{backend}, numerics {numerics}, {told}", rows))
    return parts


def _axes(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns[: list(table.columns).index("seeds")] if name not in AXES]


def _point(row: pd.Series, axes: Sequence[str]) -> str:
    return label_of(axes, row[list(axes)])


TOLD: dict[str, Callable[[pd.DataFrame], list[str]]] = {
    "solutions": solutions_told,
    "rates": rates_told,
    "synchronised": synchronised_told,
}
