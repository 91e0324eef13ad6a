"""The leaderboard: every entry on every problem, and ranks over the problems with the tests of Friedman and
Nemenyi."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.beyond import papers_best
from workflow.analysis.entries import ENTRY, complete, geometric, groups
from workflow.analysis.statistics import LEVEL, median
from workflow.analysis.summary import LOST, errors, floor_of, table_of

__all__ = ["FLOOR", "PAPER", "Ranked", "leaderboard", "ordered", "ranked", "ranks"]

FLOOR, PAPER = "floor", "paper's best"
LEAST = 3  # entries: Friedman's test compares three at least


def leaderboard(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Every entry (a method, or a point of the study) on every problem: how many seeds, how many of these failed
    (did not finish) and how many were lost (an error of 100 % or more, or failed); median and range of the
    relative L2 error, infinite for a run that failed; the median error, at most 100 %, over that of the best entry
    on this problem, and the rank by it, ties shared; function and gradient evaluations and CPU seconds of
    training, medians. Beside it the smallest error that the authors give for the problem, whatever the method, and
    what a classical solver reaches, where these are known. Runs on seeds from 1000 up are trials and do not
    count."""
    rows = []
    for group, every in groups(summary):
        for experiment, runs in every.groupby("experiment", sort=False):
            named = group | {"experiment": experiment}
            own = pd.DataFrame([named | _cell(cell) for _, cell in runs.groupby(ENTRY, sort=False)])
            own["over the best"] = own.capped / own.capped.min()
            own["rank"] = own.capped.rank()
            known = {PAPER: papers_best(catalogue, str(experiment))[1]} | floor_of(runs)
            rows += own.drop(columns="capped").assign(**known).to_dict("records")
    return table_of(rows, "there is no run")


def ordered(table: pd.DataFrame) -> list[str]:
    """The entries of one backend and numerics in a table of the leaderboard: those on most problems first, then by
    their mean rank."""
    found = table.groupby(ENTRY, sort=False)["rank"].agg(["size", "mean"])
    return list(found.sort_values(["size", "mean"], ascending=[False, True], kind="stable").index)


def _cell(runs: pd.DataFrame) -> dict[str, Any]:
    found = errors(runs)
    return {
        ENTRY: runs[ENTRY].iloc[0],
        "method": runs.method.iloc[0],
        "seeds": len(runs),
        "failed": int((runs.status != "finished").sum()),
        "lost": int((runs.error >= LOST).sum()),
        "median": median(found),
        "minimum": found.min(),
        "maximum": found.max(),
        "capped": median(runs.error),
        "evaluations": median(runs.function_evaluations),
        "gradient evaluations": median(runs.gradient_evaluations),
        "CPU seconds": median(runs.cpu_seconds),
    }


@dataclass(frozen=True)
class Ranked:
    """Mean ranks of entries over ``problems``, the smallest first; the p-value of Friedman's test; the critical
    difference of Nemenyi's (Demsar 2006): mean ranks that differ by less are not told apart. ``table`` are the
    errors that were ranked."""

    table: pd.DataFrame
    mean: pd.Series
    problems: int
    chi_square: float
    p: float
    critical: float

    def nemenyi(self, difference: float) -> float:
        """The p-value of a difference between two mean ranks."""
        scaled = abs(difference) / _deviation(len(self.mean), self.problems) * np.sqrt(2)
        return float(stats.studentized_range.sf(scaled, len(self.mean), np.inf))

    def tied(self) -> list[tuple[int, int]]:
        """First and last place of every largest run of neighbours whose mean ranks are nearer to each other than
        the critical difference."""
        values, found = self.mean.to_numpy(), []
        for first, start in enumerate(values):
            last = int(np.searchsorted(values, start + self.critical, side="left")) - 1
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found


def _deviation(entries: int, problems: int) -> float:
    return float(np.sqrt(entries * (entries + 1) / (6 * problems)))


def ranked(runs: pd.DataFrame) -> Ranked | None:
    """The ranks of entries by their median errors over the seeds, of runs with the columns ``entry`` and
    ``error``; none for fewer than three entries or two problems, all of which have runs of all."""
    table = complete(runs)
    problems, entries = table.shape
    if problems < 2 or entries < LEAST:
        return None
    mean = table.rank(axis="columns").mean().sort_values(kind="stable")
    different = bool((table.nunique(axis="columns") > 1).any())
    chi_square, p = stats.friedmanchisquare(*(table[name] for name in table)) if different else (0.0, 1.0)
    quantile = stats.studentized_range.ppf(LEVEL, entries, np.inf) / np.sqrt(2)
    critical = float(quantile * _deviation(entries, problems))
    return Ranked(table, mean, problems, float(chi_square), float(p), critical)


def ranks(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Entries by their mean rank over the problems, of the problems that were run with all entries, or of the
    entries that were run on all problems. A rank is that of the median error over the seeds, at most 100 %; ties
    are shared. Friedman's test: whether any entry differs from another at all (p). Nemenyi's test, after that:
    mean ranks differ if they are a critical difference apart (95 %, for all pairs at once); the p-value is that
    against the first. On how many problems the entry is the best; its regret, the error over that of the best
    entry for the problem in geometric mean; its runs, how many failed, and core-hours of all of them, of training
    and of everything else."""
    rows: list[dict[str, Any]] = []
    for group, runs in groups(summary):
        found = ranked(runs)
        if found is None:
            continue
        ratios = found.table.div(found.table.min(axis="columns"), axis="index")
        first = found.mean.iloc[0]
        for name, mean in found.mean.items():
            own = runs[runs[ENTRY] == name]
            rows.append(
                group
                | {ENTRY: name, "mean rank": mean, "p against the first": found.nemenyi(mean - first)}
                | {"regret": geometric(ratios[name]), "best on": int((ratios[name] == 1).sum())}
                | {"problems": found.problems, "entries": len(found.mean)}
                | {"runs": len(own), "failed": int((own.status != "finished").sum())}
                | {"core-hours": (own.cpu_seconds.sum() + own.other_seconds.sum()) / 3600}
                | {"Friedman chi-square": found.chi_square, "Friedman p": found.p}
                | {"critical difference": found.critical}
            )
    return table_of(rows, "fewer than three entries were run on two problems or more, all on the same")
