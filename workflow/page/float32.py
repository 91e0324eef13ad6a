"""Why float32 stalls, in sentences, of the table of stages that rounding ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflow.page.claims import times
from workflow.page.tables import Anchors, Link, Table, from_frame

__all__ = ["TABLE", "Stops", "sentences", "stops"]

TABLE = "float32-stops"
KEY = ["experiment", "method", "backend", "seed"]
SHOWN = {
    "level": "level",
    "iterations": "iterations",
    "authors' iterations": "authors'",
    "loss": "loss at the stop",
    "unit": "float32 unit",
    "units a step": "units a step",
    "float64: units a step, mean": "units a step, float64",
    "error": "error",
    "float64: error": "error, float64",
}
MEAN, AFTER, LAST = "float64: units a step, mean", "float64: iterations from there", "units a step"


@dataclass(frozen=True)
class Stops:
    """The section of the page: sentences, and the rows that stalled or went on in float64."""

    sentences: list[str]
    table: Table


def stops(tables: Sequence[Path], anchors: Anchors, link: Link) -> Stops | None:
    """The section, of the table of that name among ``tables``; none if no run stalled."""
    path = next((path for path in tables if path.stem == TABLE), None)
    frame = pd.read_csv(path) if path else pd.DataFrame()
    if "stalled" not in frame or not frame.stalled.any():
        return None
    rows = frame[frame.stalled | frame[AFTER].notna()]
    shown = rows[[*KEY, *SHOWN]].rename(columns=SHOWN).astype(object).where(rows.notna(), "-")
    caption = (
        "Stages that stalled, and others that rounding ended, if a run of the same row and seed in float64 tells"
        " how it goes on from the same loss. Float32 unit: the spacing of float32 numbers at that loss."
    )
    return Stops(sentences(frame), from_frame(shown.astype(str), "stops", caption, anchors, link, fold=True))


def sentences(frame: pd.DataFrame) -> list[str]:
    """What the table (:func:`workflow.analysis.float32.float32_stops`) tells of the stages that stalled."""
    stalled = frame[frame.stalled]
    compared, alone = stalled[stalled[AFTER].notna()], stalled[stalled[AFTER].isna()]
    runs = frame.drop_duplicates([*KEY, "numerics"])
    count = len(stalled.drop_duplicates([*KEY, "numerics"]))
    told = [
        f"In {len(runs)} runs rounding ended L-BFGS in float32; {count} of them stalled: it ended a stage before a"
        " tenth of the authors' iterations.",
        f"The losses at which they stalled are {_between(stalled.loss)}, where float32 numbers are"
        f" {_between(stalled.unit)} apart; no smaller change of the loss can be seen.",
    ]
    if (known := stalled[LAST].dropna()).size:
        told.append(
            f"The iterations recorded last before the stop, in the {len(known)} stages of more than one record,"
            f" had lowered it by {_spread(known)} of these units each, in {(known < 1).sum()} by less than one."
        )
    if len(compared):
        told += [_went_on(compared), _ended(compared)]
    if len(alone):
        rows = dict.fromkeys(f"{row.experiment} {row.method} on {row.backend}" for row in alone.itertuples())
        told.append(f"How these would have gone on from there no run in float64 tells yet: {', '.join(rows)}.")
    return told


def _went_on(compared: pd.DataFrame) -> str:
    """What float64 made of the same loss, against the unit of float32."""
    low, high = compared[MEAN].min(), compared[MEAN].max()
    told = (
        f"In float64 {_rows(len(compared))} went on from the same loss for {_between(compared[AFTER], ',.0f')}"
        f" iterations, each of which lowered it by {_spread(compared[MEAN])} of these units on the mean"
    )
    if low > 1:
        return (
            f"{told}. That is more than the least that float32 can show: there was more to gain, but the stop rule"
            " looks at a single step. Single steps, and the rounding in residuals and gradients, are not recorded."
        )
    if high < 1:
        return f"{told}. That is less than float32 can show: the spacing of the loss alone explains the stop."
    return f"{told}: less than float32 can show in some rows, more in others."


def _ended(compared: pd.DataFrame) -> str:
    """The errors at the end of both."""
    failed = (compared["float64: error"] >= compared.error).sum()
    seeds = compared.groupby(KEY[:-1]).seed.nunique().max()
    told = (
        f"Their relative L2 error was {_between(compared['float64: error'], '.3g')} at the end in float64, and"
        f" {_between(compared.error, '.3g')} where they stalled"
        f"{' (one seed a row: nothing can be said about spread)' if seeds == 1 else ''}: "
    )
    if failed == len(compared):
        return told + "so many more iterations in float64 did not lower it, and here the stall hid no success."
    if not failed:
        return told + "the stall hid a smaller error."
    return told + f"it was lower in {len(compared) - failed} of {len(compared)}."


def _spread(values: pd.Series) -> str:
    shown = [times(values.min()), times(values.max())]
    return " to ".join(dict.fromkeys(shown))


def _rows(count: int) -> str:
    return "one of these rows" if count == 1 else f"{count} of these rows"


def _between(values: Iterable[float], form: str = ".2g") -> str:
    """The smallest and the largest value, or the one that all have."""
    shown = [f"{value:{form}}" for value in (min(values), max(values))]
    return shown[0] if shown[0] == shown[1] else f"{shown[0]} to {shown[1]}"
