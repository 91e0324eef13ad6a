"""Tables: the paper's numbers beside ours, its order of the methods beside ours, why every stage stopped.

Numbers stay numbers; a list of names or numbers in one cell is joined by semicolons.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.stages import authors_iterations, by_place
from workflow.analysis.statistics import failures_infinite, median
from workflow.analysis.summary import AXES, contended, floor_of, grouped_by, seconds_of, split, table_of

__all__ = ["FRESH", "comparison", "ranking", "reasons", "stages"]

FRESH = "fresh over trained residual"


def _spread(name: str, values: Iterable[float]) -> dict[str, float]:
    """Median and range over the seeds as columns; missing values are infinite."""
    values = failures_infinite(values)
    found = {"median": median(values), "minimum": values.min(), "maximum": values.max()}
    return {f"{name}, {which}": value for which, value in found.items()}


def reasons(found: Iterable[str]) -> dict[str, str]:
    """Why stages stopped, and in how many runs, as columns."""
    counts = Counter(found)
    return {"stop reasons": ";".join(counts), "runs by reason": ";".join(map(str, counts.values()))}


def comparison(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Method x backend: the authors' relative L2 and iterations | ours over the seeds | cost. Iterations are those
    of all stages together, the authors' missing if that of one is not known; see the table of stages for each. An
    error that is not known is missing, the authors', or infinite, ours. Seconds are those of training. What a run
    took of its processor are the CPU seconds; the wall seconds also hold its waits, for other runs on the same
    core or for a GPU. Contended are runs with more than 1.1 wall seconds for a CPU second. The mean square of the
    residual at fresh points, over that at the points trained on (median): far above 1, the network fits its points
    and not the equation; missing for runs made before it was measured. The floor is the relative L2 error of a
    classical solver on the same problem, see the table of floors."""
    rows = []
    for axes, runs in summary.groupby(AXES, sort=False):
        named = dict(zip(AXES, axes, strict=True))
        entry = catalogue.experiment(named["experiment"]).methods[named["method"]]
        known = entry.authors.rel_l2
        theirs = authors_iterations(entry.authors, split(max(runs.stage_optimizers, key=len)))
        rows.append(
            named
            | {"authors' relative L2": np.nan if known is None else known}
            | _spread("relative L2", runs.rel_l2)
            | {"runs": len(runs), "finished": int((runs.status == "finished").sum())}
            | {"authors' iterations": float(np.sum(theirs)) if theirs else np.nan}
            | _spread("iterations", runs.iterations)
            | _spread("evaluations", runs.function_evaluations)
            | _spread("CPU seconds", runs.cpu_seconds)
            | _spread("wall seconds", runs.wall_seconds)
            | {"contended runs": int(contended(runs).sum())}
            | {FRESH: runs.fresh_residual_ratio.median()}
            | floor_of(runs)
            | seconds_of(runs)
            | {"source": ";".join(dict.fromkeys(runs.source)), "note": entry.note}
        )
    return pd.DataFrame(rows)


def stages(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Every optimizer stage: level (from 1), the authors' iterations if known, ours, evaluations, and why it
    stopped, in how many runs, over the runs that reached it."""
    keys, rows = grouped_by(summary), []
    for axes, runs in summary.groupby(keys, sort=False):
        named = dict(zip(keys, axes, strict=True))
        authors = catalogue.experiment(named["experiment"]).methods[named["method"]].authors
        for reached in by_place(runs, authors):
            first = reached[0]
            rows.append(
                named
                | {"level": first.level, "optimizer": first.optimizer, "runs": len(reached)}
                | {"authors' iterations": first.authors}
                | _spread("iterations", [stage.iterations for stage in reached])
                | _spread("evaluations", [stage.evaluations for stage in reached])
                | reasons(stage.reason for stage in reached)
            )
    return table_of(rows, "no run has a stage")


def ranking(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Methods from the smallest error to the largest: the authors' order, ours by the median over the seeds, and
    how many pairs of methods stand in the same order. Methods without a number of the authors do not count."""
    rows = []
    axes = ["experiment", "numerics", "backend"]
    for key, runs in summary.groupby(axes, sort=False):
        methods = catalogue.experiment(runs.experiment.iloc[0]).methods
        known = {
            m: methods[m].authors.rel_l2 for m in runs.method.unique() if methods[m].authors.rel_l2 is not None
        }
        ours = {m: median(runs[runs.method == m].rel_l2) for m in known}
        pairs = list(combinations(known, 2))
        alike = sum((known[a] < known[b]) == (ours[a] < ours[b]) for a, b in pairs)
        rows.append(
            dict(zip(axes, key, strict=True))
            | {
                "authors' order": ";".join(sorted(known, key=known.__getitem__)),
                "order here": ";".join(sorted(ours, key=ours.__getitem__)),
                "pairs": len(pairs),
                "pairs ordered alike": alike,
            }
        )
    return pd.DataFrame(rows)
