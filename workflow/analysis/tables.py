"""Tables: the paper's numbers beside ours, its order of the methods beside ours, why every stage stopped; and the
list of all tables."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations, zip_longest

import pandas as pd

from solvers.configuration import Authors, Catalogue
from workflow.analysis.backends import backends
from workflow.analysis.numerics import conclusions, numerics
from workflow.analysis.statistics import failures_infinite, median, paired_tests, statistics
from workflow.analysis.summary import AXES, split, table_of
from workflow.analysis.targets import profiles, targets
from workflow.analysis.verdicts import coverage, verdict_counts, verdicts
from workflow.analysis.writing import write_table

__all__ = ["TABLES", "caption", "comparison", "median", "ranking", "stages", "write_table"]


def _spread(values: Iterable[float], form: str) -> str:
    """``median [minimum, maximum]`` over the seeds."""
    values = failures_infinite(values)
    return f"{median(values):{form}} [{values.min():{form}}, {values.max():{form}}]"


def _authors_iterations(authors: Authors, optimizers: str) -> str:
    """Adam steps, then L-BFGS iterations by level, ``2000 + 3046 / 2 / 2962``, if the method's ``optimizers``
    (joined by semicolons) have L-BFGS among them."""
    if authors.adam_steps is None:
        return "unknown"
    if "lbfgs" not in optimizers.split(";"):
        return str(authors.adam_steps)
    lbfgs = authors.lbfgs_iterations
    return f"{authors.adam_steps} + " + (" / ".join(map(str, lbfgs)) if lbfgs else "unknown")


def _our_iterations(runs: pd.DataFrame) -> str:
    """Median iterations of each stage, Adam's and L-BFGS's, in the form of the authors'."""
    stages = [[int(count) for count in split(text)] for text in runs.stage_iterations]
    first, *rest = [f"{median(counts):.0f}" for counts in zip_longest(*stages, fillvalue=0)] or ["-"]
    return f"{first} + {' / '.join(rest)}" if rest else first


def comparison(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Method x backend: the authors' relative L2 and iterations | ours over the seeds | cost."""
    rows = []
    for axes, runs in summary.groupby(AXES, sort=False):
        named = dict(zip(AXES, axes, strict=True))
        entry = catalogue.experiment(named["experiment"]).methods[named["method"]]
        authors, known = entry.authors, entry.authors.rel_l2
        rows.append(
            named
            | {
                "authors' relative L2": "unknown" if known is None else f"{known:.2e}",
                "relative L2, median [min, max]": _spread(runs.rel_l2, ".2e"),
                "runs finished": f"{(runs.status == 'finished').sum()} of {len(runs)}",
                "authors' iterations": _authors_iterations(authors, max(runs.stage_optimizers, key=len)),
                "iterations, median by stage": _our_iterations(runs),
                "evaluations": _spread(runs.function_evaluations, ".0f"),
                "training seconds": _spread(runs.training_seconds, ".1f"),
                "runs": " and ".join(dict.fromkeys(runs.source)),
                "note": entry.note or "-",
            }
        )
    return pd.DataFrame(rows)


def stages(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Every optimizer stage: level, iterations, evaluations, and why it stopped in how many runs."""
    rows = []
    for axes, runs in summary.groupby(AXES, sort=False):
        columns = {
            name: [split(text) for text in runs[f"stage_{name}"]]
            for name in ("optimizers", "levels", "iterations", "evaluations", "reasons")
        }
        longest = max(columns["optimizers"], key=len)
        for i, optimizer in enumerate(longest):
            reached = {name: [row[i] for row in rows_ if i < len(row)] for name, rows_ in columns.items()}
            reasons = Counter(reached["reasons"])
            rows.append(
                dict(zip(AXES, axes, strict=True))
                | {
                    "level": int(reached["levels"][0]) + 1,
                    "optimizer": optimizer,
                    "iterations, median [min, max]": _spread(map(int, reached["iterations"]), ".0f"),
                    "evaluations, median [min, max]": _spread(map(int, reached["evaluations"]), ".0f"),
                    "stopped because (runs)": ", ".join(f"{why} ({n})" for why, n in reasons.items()),
                }
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
                "authors' order": " < ".join(sorted(known, key=known.__getitem__)) or "unknown",
                "order here": " < ".join(sorted(ours, key=ours.__getitem__)) or "-",
                "pairs ordered alike": f"{alike} of {len(pairs)}",
            }
        )
    return pd.DataFrame(rows)


TABLES: Mapping[str, Callable[[pd.DataFrame, Catalogue], pd.DataFrame]] = {
    "verdict-counts": verdict_counts,
    "verdicts": verdicts,
    "coverage": coverage,
    "comparison": comparison,
    "ranking": ranking,
    "statistics": statistics,
    "tests": paired_tests,
    "targets": targets,
    "profiles": profiles,
    "backends": backends,
    "numerics": numerics,
    "conclusions": conclusions,
    "stages": stages,
}


def caption(name: str) -> str:
    """What a table shows and how to read it: the description of the function that makes it."""
    return " ".join((TABLES[name].__doc__ or "").split())
