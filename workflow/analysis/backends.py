"""Backends beside each other, from the same start: do they differ by more than rounding and its chaos?"""

from enum import StrEnum
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from solvers.runs.checked import checked_record
from solvers.runs.record import read_history
from workflow.analysis.statistics import Paired, median, paired
from workflow.analysis.summary import contended, errors, table_of, wall_per_cpu

__all__ = [
    "TOLERANCES",
    "Difference",
    "backends",
    "backends_overall",
    "differs",
    "first_difference",
    "relative_differences",
]

TOLERANCES = (1e-3, 1e-1)
"""Relative differences of the objective from which on two trajectories are said to differ."""


class Difference(StrEnum):
    """What pairs of runs on two backends show of a systematic difference."""

    NONE = "no-difference"
    ERROR = "error-differs"
    EVALUATIONS = "evaluations-differ"
    BOTH = "error-and-evaluations-differ"
    FINISHED = "finished-differ"
    NONE_FINISHED = "none-finished"
    ONE_SEED = "one-seed"
    OTHER_SEEDS = "other-seeds-finished"


DIFFERENT = (Difference.ERROR, Difference.EVALUATIONS, Difference.BOTH, Difference.FINISHED)


def relative_differences(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """``iteration``, ``difference`` of the objectives relative to the larger, and whether the runs are in the same
    stage, at every iteration that both histories have."""
    columns = ["iteration", "stage", "objective"]
    a, b = (history.drop_duplicates("iteration", keep="last")[columns] for history in (first, second))
    both = a.merge(b, on="iteration", suffixes=("_a", "_b"))
    larger = both[["objective_a", "objective_b"]].abs().max(axis=1)
    difference = ((both.objective_a - both.objective_b).abs() / larger).where(larger > 0, 0.0)
    same = both.stage_a == both.stage_b
    return pd.DataFrame({"iteration": both.iteration, "difference": difference, "same stage": same})


def first_difference(first: pd.DataFrame, second: pd.DataFrame, tolerance: float) -> float:
    """The first iteration, recorded in both histories, at which two runs are in different stages or their
    objectives differ by more than ``tolerance`` of the larger; missing if there is none.

    If all that both recorded agrees but one run went on, they differ from the end of the other. Without a history
    there is no difference.
    """
    if first.empty or second.empty:
        return np.nan
    both = relative_differences(first, second)
    apart = both[(both.difference > tolerance) | ~both["same stage"]]
    if len(apart):
        return float(apart.iteration.iloc[0])
    ends = [history.iteration.max() for history in (first, second)]
    return float(min(ends)) if ends[0] != ends[1] else np.nan


def differs(found: Paired) -> bool:
    """Whether pairs of runs show a systematic difference: not if the interval of the logarithm of the ratio holds
    0, as it must for two draws from the same chaos."""
    return not (np.isnan(found.low) or found.low <= 1 <= found.high)


def backends(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Two backends on the same method, numerics and seeds, from equal points and weights: b / a of the relative L2
    error and of the evaluations (geometric mean over the seeds, 95 % t interval), the iteration from which the
    objectives differ, and medians of the costs of each. The verdict: no difference beyond rounding chaos, if
    the same number of runs finished and both intervals hold 1; else what differs. A difference is small if it
    is inside the spread: the largest over the smallest value that the seeds have in one backend. Few seeds give
    wide intervals: a difference smaller than the interval stays unseen. Time and memory are shown, not judged:
    CPU time, since wall time also holds the waits for other runs on the same core (contended: more than 1.1
    wall seconds for a CPU second). On a GPU it is the wall time that counts."""
    rows = []
    for axes, runs in summary.groupby(["experiment", "method", "numerics"], sort=False):
        by_backend = {name: part.set_index("seed") for name, part in runs.groupby("backend", sort=False)}
        for a, b in combinations(sorted(by_backend), 2):
            seeds = by_backend[a].index.intersection(by_backend[b].index)
            if len(seeds):
                named = dict(zip(("experiment", "method", "numerics"), axes, strict=True))
                pair = by_backend[a].loc[seeds], by_backend[b].loc[seeds]
                rows.append(named | {"a": a, "b": b} | _compared(*pair))
    names = ", ".join(sorted(summary.backend.unique()))
    return table_of(
        rows, f"nothing to compare: no method and seed was run on two backends; there are runs on {names}"
    )


def backends_overall(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Two backends over all methods that both were run with, numerics by numerics: of the relative L2 error, of
    the evaluations and of the CPU milliseconds of an evaluation the ratio b / a. It is the geometric mean over the
    rows (a method of an experiment, whose own ratio is that over its seeds) with the 95 % t interval over these
    rows, which takes them for a sample of all problems. Rows that differ: those of several seeds, by more than the
    chaos of rounding. Rows in which a run did not finish have no ratio of errors, and are counted. Start-up,
    compilation and peak memory: medians over the rows."""
    rows = []
    single = backends(summary, catalogue)
    for (numerics, a, b), own in single.groupby(["numerics", "a", "b"], sort=False) if "a" in single else ():
        differ, judged = own.verdict.isin(DIFFERENT), own.verdict.isin([Difference.NONE, *DIFFERENT])
        spent = {side: own[f"CPU ms per evaluation, {side}"] for side in ("a", "b")}
        rows.append(
            {"numerics": numerics, "a": a, "b": b, "rows": len(own), "pairs of runs": int(own.seeds.sum())}
            | {"rows of several seeds": int(judged.sum()), "rows that differ": int(differ.sum())}
            | {"rows without a ratio": int(own["error b / a"].isna().sum())}
            | _over_rows("error", own["error b / a"])
            | _over_rows("evaluations", own["evaluations b / a"])
            | _over_rows("CPU ms per evaluation", spent["b"] / spent["a"])
            | {
                f"{name}, {side}": own[f"{name}, {side}"].median()
                for name in ("start-up seconds", "compile seconds", "peak memory MiB")
                for side in ("a", "b")
            }
        )
    return table_of(rows, "nothing to compare: no method and seed was run on two backends")


def _over_rows(name: str, ratios: pd.Series) -> dict[str, float]:
    """The geometric mean of the known ratios with its interval, the smallest and the largest."""
    known = ratios[np.isfinite(ratios)]
    found = paired(np.ones(len(known)), known)
    return {f"{name} b / a": found.ratio, f"{name} low": found.low, f"{name} high": found.high} | {
        f"{name} {which}": getattr(known, which)() if len(known) else np.nan for which in ("min", "max")
    }


def _compared(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, object]:
    error = paired(errors(a), errors(b))
    evaluations = paired(_evaluations(a), _evaluations(b))
    histories = [(_history(one), _history(other)) for one, other in zip(a.folder, b.folder, strict=True)]
    return (
        {
            "seeds": len(a),
            "verdict": _verdict(a, b, error, evaluations),
            "error b / a": error.ratio,
            "error low": error.low,
            "error high": error.high,
            "error spread": _spread(errors(a), errors(b)),
            "evaluations b / a": evaluations.ratio,
            "evaluations low": evaluations.low,
            "evaluations high": evaluations.high,
            "evaluations spread": _spread(_evaluations(a), _evaluations(b)),
        }
        | {
            f"differ by {tolerance:g} from iteration": _median_known(
                [first_difference(one, other, tolerance) for one, other in histories]
            )
            for tolerance in TOLERANCES
        }
        | {f"{name}, {side}": value for side, runs in (("a", a), ("b", b)) for name, value in _costs(runs).items()}
    )


def _history(folder: str) -> pd.DataFrame:
    """The history of a run whose files are as they were written."""
    checked_record(Path(folder))
    return read_history(Path(folder))


def _evaluations(runs: pd.DataFrame) -> pd.Series:
    """Evaluations, infinite for a run that did not finish: one that broke off is no cheaper."""
    return runs.function_evaluations.where(runs.status == "finished", np.inf)


def _median_known(values: list[float]) -> float:
    """The median, trajectories that never differ last; missing if it is one of those."""
    middle = median(values)
    return middle if np.isfinite(middle) else np.nan


def _costs(runs: pd.DataFrame) -> dict[str, float]:
    return {
        "finished": int((runs.status == "finished").sum()),
        "median error": median(errors(runs)),
        "iterations": median(runs.iterations),
        "evaluations": median(runs.function_evaluations),
        "CPU ms per evaluation": 1e3 * median(runs.cpu_seconds / runs.function_evaluations),
        "wall / CPU": median(wall_per_cpu(runs)),
        "contended runs": int(contended(runs).sum()),
        "compile seconds": median(runs.compile_seconds),
        "start-up seconds": median(runs.startup_seconds),
        "peak memory MiB": median(runs.peak_memory_mib),
    }


def _verdict(a: pd.DataFrame, b: pd.DataFrame, error: Paired, evaluations: Paired) -> Difference:
    finished = [int((runs.status == "finished").sum()) for runs in (a, b)]
    if finished[0] != finished[1]:
        return Difference.FINISHED
    if not finished[0]:
        return Difference.NONE_FINISHED
    if len(a) == 1:
        return Difference.ONE_SEED
    if np.isnan(error.ratio):
        return Difference.OTHER_SEEDS
    if differs(error):
        return Difference.BOTH if differs(evaluations) else Difference.ERROR
    return Difference.EVALUATIONS if differs(evaluations) else Difference.NONE


def _spread(*values: pd.Series | np.ndarray) -> float:
    """The larger of the backends' ratios of largest to smallest value over the seeds."""
    with np.errstate(invalid="ignore", divide="ignore"):  # those that failed are infinite
        return max(float(np.max(one) / np.min(one)) for one in values)
