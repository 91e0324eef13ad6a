"""Backends beside each other, from the same start: do they differ by more than rounding and its chaos?"""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from solvers.configuration import Catalogue
from solvers.record import read_history
from workflow.analysis.statistics import Paired, median, paired
from workflow.analysis.summary import errors, table_of

__all__ = ["PARTED", "backends", "difference", "parting", "relative_differences"]

PARTED = (1e-3, 1e-1)
"""Relative differences of the objective above which two trajectories are said to have parted."""
CHAOS = "no difference beyond rounding chaos"


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


def parting(first: pd.DataFrame, second: pd.DataFrame, tolerance: float) -> float:
    """The first iteration, recorded in both histories, at which two runs are in different stages or their
    objectives differ by more than ``tolerance`` of the larger; missing if there is none.

    If all that both recorded agrees but one run went on, they part at the end of the other. Without a history
    there is no parting.
    """
    if first.empty or second.empty:
        return np.nan
    both = relative_differences(first, second)
    parted = both[(both.difference > tolerance) | ~both["same stage"]]
    if len(parted):
        return float(parted.iteration.iloc[0])
    ends = [history.iteration.max() for history in (first, second)]
    return float(min(ends)) if ends[0] != ends[1] else np.nan


def difference(name: str, found: Paired, spread: float) -> str:
    """What pairs of runs show of a systematic difference in ``name``; empty if nothing.

    Nothing: the interval of the logarithm of the ratio holds 0, as it must for two draws from the same chaos.
    Otherwise the difference is called small if the ratio is within ``spread``, the ratio of the largest to the
    smallest value over the seeds of one backend.
    """
    if np.isnan(found.low) or found.low <= 1 <= found.high:
        return ""
    size = max(found.ratio, 1 / found.ratio)
    within = " (inside the spread of the seeds)" if size <= spread else ""
    return f"{name} x{found.ratio:.3g}{within}"


def backends(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Two backends on the same method, numerics and seeds, from equal points and weights: b / a of the relative
    L2 error and of the evaluations (geometric mean over the seeds, 95 % t interval), the iteration at which the
    objectives part, and medians of the costs of each. The verdict: no difference beyond rounding chaos, if the
    same number of runs finished and both intervals hold 1; else what differs, and whether it is inside the
    spread that the seeds have in one backend. Few seeds give wide intervals: a difference smaller than the
    interval stays unseen. Time and memory are shown, not judged."""
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


def _compared(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, object]:
    error = paired(errors(a), errors(b))
    evaluations = paired(_evaluations(a), _evaluations(b))
    histories = [
        (read_history(Path(one)), read_history(Path(other))) for one, other in zip(a.folder, b.folder, strict=True)
    ]
    return (
        {
            "seeds": len(a),
            "verdict": _verdict(a, b, error, evaluations),
            "error b / a": error.ratio,
            "error low": error.low,
            "error high": error.high,
            "evaluations b / a": evaluations.ratio,
            "evaluations low": evaluations.low,
            "evaluations high": evaluations.high,
        }
        | {
            f"parted by {tolerance:g} at iteration": _median_known(
                [parting(one, other, tolerance) for one, other in histories]
            )
            for tolerance in PARTED
        }
        | {f"{name}, {side}": value for side, runs in (("a", a), ("b", b)) for name, value in _costs(runs).items()}
    )


def _evaluations(runs: pd.DataFrame) -> pd.Series:
    """Evaluations, infinite for a run that did not finish: one that broke off is no cheaper."""
    return runs.function_evaluations.where(runs.status == "finished", np.inf)


def _median_known(values: list[float]) -> float:
    """The median, trajectories that never part last; missing if it is one of those."""
    middle = median(values)
    return middle if np.isfinite(middle) else np.nan


def _costs(runs: pd.DataFrame) -> dict[str, float]:
    return {
        "finished": int((runs.status == "finished").sum()),
        "median error": median(errors(runs)),
        "iterations": median(runs.iterations),
        "evaluations": median(runs.function_evaluations),
        "ms per evaluation": 1e3 * median(runs.training_seconds / runs.function_evaluations),
        "compile seconds": median(runs.compile_seconds),
        "start-up seconds": median(runs.startup_seconds),
        "peak memory MiB": median(runs.peak_memory_mib),
    }


def _verdict(a: pd.DataFrame, b: pd.DataFrame, error: Paired, evaluations: Paired) -> str:
    finished = [int((runs.status == "finished").sum()) for runs in (a, b)]
    if finished[0] != finished[1]:
        return f"differs: {finished[0]} of {len(a)} finished with a, {finished[1]} with b"
    if not finished[0]:
        return "cannot tell: no run finished"
    if len(a) == 1:
        return "cannot tell: one seed"
    if np.isnan(error.ratio):
        return "cannot tell: not the same seeds finished"
    found = [
        difference("error", error, _spread(errors(a), errors(b))),
        difference("evaluations", evaluations, _spread(_evaluations(a), _evaluations(b))),
    ]
    shown = "; ".join(text for text in found if text)
    return f"differs: {shown}" if shown else CHAOS


def _spread(*values: pd.Series | np.ndarray) -> float:
    """The larger of the backends' ratios of largest to smallest value over the seeds."""
    return max(float(np.max(one) / np.min(one)) for one in values)
