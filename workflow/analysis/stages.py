"""The optimizer stages of runs beside the authors', and those that rounding ended too early to count."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Authors
from workflow.analysis.summary import split
from workflow.manifest import StallRule

__all__ = ["Stage", "authors_iterations", "by_place", "stages_of", "stalls"]


@dataclass(frozen=True)
class Stage:
    """One stage of a run: its level (from 1), what it made, why it stopped, and the authors' iterations in the
    same stage, missing where not known."""

    level: int
    optimizer: str
    precision: str
    iterations: int
    evaluations: int
    reason: str
    authors: float

    def stalled(self, rule: StallRule) -> bool:
        """Whether it ended by rounding after too small a share of the authors' iterations."""
        return (
            self.reason in rule.reasons
            and self.precision == rule.precision
            and self.authors >= rule.least
            and self.iterations < rule.share * self.authors
        )

    def __str__(self) -> str:
        made = f"{self.iterations} of the authors' {self.authors:.0f} iterations"
        return f"level {self.level}, {self.optimizer}: {made}"


def authors_iterations(authors: Authors, optimizers: Iterable[str]) -> list[float]:
    """The authors' iterations in each stage, missing where not known: Adam's first, then L-BFGS by level."""
    adam, lbfgs = iter([authors.adam_steps]), iter(authors.lbfgs_iterations or ())
    counts = [next({"adam": adam, "lbfgs": lbfgs}.get(name, iter(())), None) for name in optimizers]
    return [np.nan if count is None else float(count) for count in counts]


def stages_of(run: pd.Series, authors: Authors) -> list[Stage]:
    """The stages of a row of the summary."""
    levels, names, precisions, iterations, evaluations, reasons = (
        split(run[f"stage_{column}"])
        for column in ("levels", "optimizers", "precisions", "iterations", "evaluations", "reasons")
    )
    theirs = authors_iterations(authors, names)
    columns = zip(levels, names, precisions, iterations, evaluations, reasons, theirs, strict=True)
    return [
        Stage(int(level) + 1, name, precision, int(made), int(evaluated), reason, count)
        for level, name, precision, made, evaluated, reason, count in columns
    ]


def by_place(runs: pd.DataFrame, authors: Authors) -> list[list[Stage]]:
    """The first stages of all runs, the second ones of those that reached it, and so on."""
    of_runs = [stages_of(run, authors) for _, run in runs.iterrows()]
    longest = max(map(len, of_runs), default=0)
    return [[stages[i] for stages in of_runs if i < len(stages)] for i in range(longest)]


def stalls(runs: pd.DataFrame, authors: Authors, rule: StallRule) -> list[Stage]:
    """The first stage that stalled, of each run in which one did."""
    of_runs = (stages_of(run, authors) for _, run in runs.iterrows())
    found = (next((stage for stage in stages if stage.stalled(rule)), None) for stages in of_runs)
    return [stage for stage in found if stage is not None]
