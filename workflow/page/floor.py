"""What the page says of floors: the error of a classical solver on the same problem, and its seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.analysis.statistics import median
from workflow.analysis.summary import errors

__all__ = ["FloorTold", "floor_told", "floors_told"]


@dataclass(frozen=True)
class FloorTold:
    """A sentence about the floor of an experiment, and the place of its record."""

    text: str
    record: str


def floor_told(runs: pd.DataFrame, link: Callable[[Path], str]) -> FloorTold | None:
    """What a classical solver reaches on the problem of these runs of one experiment, or why there is no such
    number; ``None`` where it was not asked for."""
    asked = runs[runs.floor_solver != ""]
    if asked.empty:
        return None
    found = asked.iloc[0]
    how = f"({found.floor_solver})"
    text = f"Floor: no error of a classical solver is known {how}"
    if np.isfinite(found.floor_rel_l2):
        text = (
            f"Floor: a classical solver has the relative L2 error {found.floor_rel_l2:.1e} after"
            f" {found.floor_cpu_seconds:.2g} CPU seconds on one core {how}"
        )
    return FloorTold(text, link(Path(found.floor_folder) / "floor.json"))


def floors_told(summary: pd.DataFrame) -> str:
    """What classical solvers reach on all problems of a summary, beside the best method of each, in a sentence;
    empty if there is no floor."""
    known = summary[summary.floor_rel_l2 > 0]
    if known.empty:
        return ""
    by_problem = known.groupby("experiment", sort=False)
    floor, seconds = (by_problem[name].first() for name in ("floor_rel_l2", "floor_cpu_seconds"))
    best = {
        name: min(median(errors(own)) for _, own in runs.groupby(["method", "numerics", "backend"], sort=False))
        for name, runs in by_problem
    }
    ratio = pd.Series(best)[floor.index] / floor
    below, all_problems = int((ratio < 1).sum()), summary.experiment.nunique()
    where = "this problem" if all_problems == 1 else f"these {all_problems} problems"
    if len(floor) < all_problems:
        where = f"{len(floor)} of {where}"
    nearer = f"; on {below} it is below that" if below else ""
    return (
        f"A classical solver, on one core, has the relative L2 error {_range(floor, '.1e')} on {where}, after"
        f" {_range(seconds, '.2g')} CPU seconds; the smallest median error of a method here is"
        f" {_range(ratio, '.2g')} times that{nearer}."
    )


def _range(values: pd.Series, form: str) -> str:
    return " to ".join(dict.fromkeys(f"{value:{form}}" for value in (values.min(), values.max())))
