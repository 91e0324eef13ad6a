"""Numerics beside each other: what is the method's, and what the stop rule's or the precision's."""

from enum import StrEnum
from itertools import combinations

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.statistics import median
from workflow.analysis.summary import errors, split, table_of
from workflow.analysis.tables import reasons
from workflow.manifest import read_manifest

__all__ = ["Conclusion", "conclusions", "lbfgs_stages", "numerics"]

KEY = ["experiment", "method", "backend"]


class Conclusion(StrEnum):
    """With which numerics the paper's order of two methods holds."""

    ALL = "holds-with-all"
    SOME = "holds-with-some"
    NONE = "holds-with-none"
    ONE_NUMERICS = "one-numerics"


def only_one(summary: pd.DataFrame) -> pd.DataFrame | None:
    """A table that says why there is nothing to compare, if so."""
    names = list(summary.numerics.unique())
    if len(names) > 1:
        return None
    return pd.DataFrame(
        {
            "note": [
                f"nothing to compare: these runs have numerics {names[0]} only; numerics=all makes the others too"
            ]
        }
    )


def lbfgs_stages(runs: pd.DataFrame) -> pd.DataFrame:
    """Every L-BFGS stage of every run: level (from 1), iterations, evaluations, reason of the stop."""
    rows = []
    for run in runs.itertuples():
        columns = (run.stage_optimizers, run.stage_levels, run.stage_iterations, run.stage_evaluations)
        stages = zip(*(split(text) for text in (*columns, run.stage_reasons)), strict=True)
        for optimizer, level, iterations, evaluations, reason in stages:
            if optimizer == "lbfgs":
                rows.append((int(level) + 1, int(iterations), int(evaluations), reason))
    return pd.DataFrame(rows, columns=["level", "iterations", "evaluations", "reason"])


def numerics(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Every L-BFGS level with one numerics beside the other: in how many runs it was reached, iterations and
    evaluations (medians of those runs), why it stopped (runs), and the error at the end of the whole run (median
    over the seeds). A level that ends after a few iterations did nothing: whatever the method gained, it gained
    before."""
    if (note := only_one(summary)) is not None:
        return note
    rows: dict[tuple, dict[str, object]] = {}
    for (*key, name), runs in summary.groupby([*KEY, "numerics"], sort=False):
        for level, stages in lbfgs_stages(runs).groupby("level"):
            row = rows.setdefault((*key, level), dict(zip([*KEY, "level"], (*key, level), strict=True)))
            row |= {
                f"{name}: runs": len(stages),
                f"{name}: iterations": median(stages.iterations),
                f"{name}: evaluations": median(stages.evaluations),
                **{f"{name}: {column}": text for column, text in reasons(stages.reason).items()},
                f"{name}: final error": median(errors(runs)),
            }
    return table_of(rows.values(), "nothing to compare: no run has an L-BFGS stage")


def conclusions(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Which of the paper's orders of two methods (a better than b) hold with each numerics, by the medians of
    equal seeds: with all of them, then the order is the methods'; with some only, then it hangs on the stop rule
    or on the precision. Pairs that failed together in the paper are left out. An order of medians is no test:
    see the table of tests for what the seeds can show."""
    if (note := only_one(summary)) is not None:
        return note
    limit, rows = read_manifest(catalogue).rules.failed_above, []
    for (experiment, backend), runs in summary.groupby(["experiment", "backend"], sort=False):
        methods = catalogue.experiment(experiment).methods
        authors = {m: methods[m].authors.rel_l2 for m in runs.method.unique()}
        known = sorted((m for m in authors if authors[m] is not None), key=authors.__getitem__)
        for a, b in combinations(known, 2):
            if authors[a] > limit or authors[a] == authors[b]:
                continue
            found = {name: _ratio(part, a, b) for name, part in runs.groupby("numerics", sort=False)}
            if all(np.isnan(ratio) for ratio in found.values()):
                continue
            named = {"experiment": experiment, "backend": backend, "a": a, "b": b}
            theirs = {"authors' error of b / a": authors[b] / authors[a]}
            ours = {f"{name}: error of b / a": ratio for name, ratio in found.items()}
            rows.append(named | theirs | ours | {"conclusion": _conclusion(found)})
    return table_of(rows, "nothing to compare: no two methods whose order the paper gives")


def _ratio(runs: pd.DataFrame, a: str, b: str) -> float:
    """Median error of b over that of a, on the seeds of both; 1 if both failed, missing if they have no seed in
    common."""
    by_seed = runs.assign(error=errors(runs)).pivot(index="seed", columns="method", values="error")
    both = by_seed.reindex(columns=[a, b]).dropna()
    if both.empty:
        return np.nan
    ours = median(both[a]), median(both[b])
    return 1.0 if ours[0] == ours[1] else ours[1] / ours[0]


def _conclusion(ratios: dict[str, float]) -> Conclusion:
    known = [ratio for ratio in ratios.values() if not np.isnan(ratio)]
    if len(known) < 2:
        return Conclusion.ONE_NUMERICS
    holds = [ratio > 1 for ratio in known]
    if all(holds):
        return Conclusion.ALL
    return Conclusion.SOME if any(holds) else Conclusion.NONE
