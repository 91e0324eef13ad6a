"""Verdicts: each row of the paper beside ours, by the rules of ``config/paper/manifest.yaml``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd

from solvers.configuration import Catalogue, Method
from workflow.analysis.statistics import median
from workflow.analysis.summary import AXES, errors, table_of
from workflow.manifest import Manifest, Rules, read_manifest

__all__ = ["Verdict", "coverage", "judge", "pairs_in_order", "verdict_counts", "verdicts"]


class Verdict(StrEnum):
    """What became of a row of the paper."""

    REPRODUCED = "reproduced"
    BETTER = "better"
    WORSE = "worse"
    FAILED = "failed as in the paper"
    NOT_COMPARABLE = "not comparable"


def judge(authors: float | None, ours: Sequence[float], ordered: bool, rules: Rules) -> tuple[Verdict, str]:
    """The verdict and the rule that gave it.

    ``authors`` and ``ours`` are relative L2 errors, ours by seed and infinite for a run that did not finish;
    ``ordered``: the paper's ordering of the methods holds. The first rule that holds decides, as the manifest
    lists them.
    """
    if authors is None:
        return Verdict.NOT_COMPARABLE, "the authors' error is not known"
    ours = np.asarray(ours, dtype=float)
    finished = ours[np.isfinite(ours)]
    limit = rules.failed_above
    if authors > limit and median(ours) > limit:
        return Verdict.FAILED, f"both above {limit:.0%}, ours by the median"
    if authors > limit and (ours < limit).all():
        return Verdict.BETTER, f"the authors' is above {limit:.0%}, all of ours are below"
    if 2 * len(finished) <= len(ours):
        return Verdict.WORSE, f"{len(ours) - len(finished)} of {len(ours)} runs did not finish"
    low, high = finished.min() / rules.factor, finished.max() * rules.factor
    if low <= authors <= high:
        return Verdict.REPRODUCED, f"the authors' lies in [{low:.2e}, {high:.2e}]"
    if authors > high and ordered:
        return Verdict.REPRODUCED, f"ours is lower (the authors' is above {high:.2e}), in the paper's order"
    if authors > high:
        return Verdict.BETTER, f"ours is lower (the authors' is above {high:.2e}), not in the paper's order"
    return Verdict.WORSE, f"ours is higher (the authors' is below {low:.2e})"


def pairs_in_order(
    method: str, authors: Mapping[str, float], ours: Mapping[str, float], rules: Rules
) -> tuple[int, int]:
    """In how many pairs of ``method`` with another one the smaller error is the same method's as in the paper, and
    of how many.

    ``authors`` and ``ours`` (medians) are errors by method. Pairs that failed together in the paper do not count:
    which of two failures is the larger says nothing.
    """
    others = [
        other
        for other in authors
        if other != method and other in ours and min(authors[method], authors[other]) <= rules.failed_above
    ]
    alike = [(authors[method] < authors[other]) == (ours[method] < ours[other]) for other in others]
    return sum(alike), len(alike)


def verdicts(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The paper's error beside ours, with a verdict, for every method, backend and numerics. The rules stand in
    config/paper/manifest.yaml. A run that did not finish has an infinite error. A verdict under conditions other
    than the paper's neither confirms nor refutes it."""
    manifest = read_manifest(catalogue)
    rows = []
    for _, group in summary.groupby(["experiment", "numerics", "backend"], sort=False):
        methods = catalogue.experiment(group.experiment.iloc[0]).methods
        authors = {m: e.authors.rel_l2 for m, e in methods.items() if e.authors.rel_l2 is not None}
        ours = {method: median(errors(runs)) for method, runs in group.groupby("method")}
        for method, runs in group.groupby("method", sort=False):
            pairs = pairs_in_order(method, authors, ours, manifest.rules) if method in authors else (0, 0)
            rows.append(_row(runs, methods[method], pairs, manifest))
    return pd.DataFrame(rows)


def _row(runs: pd.DataFrame, method: Method, pairs: tuple[int, int], manifest: Manifest) -> dict[str, object]:
    named = runs.iloc[0][AXES].to_dict()
    row, ours, known = manifest.row(named["experiment"], named["method"]), errors(runs), method.authors.rel_l2
    if row is None:
        verdict, why = Verdict.NOT_COMPARABLE, "not in the paper"
    else:
        verdict, why = judge(known, ours, 0 < pairs[0] == pairs[1], manifest.rules)
    return named | {
        "verdict": str(verdict),
        "because": why if row is None or not row.because else f"{why}: {row.because}",
        "conditions": _conditions(runs.scale.iloc[0], named["numerics"], method, manifest.rules),
        "authors": np.nan if known is None else known,
        "authors' other runs": ", ".join(f"{other:.2e}" for other in row.other_runs) if row else "",
        "median": median(ours),
        "minimum": ours.min(),
        "maximum": ours.max(),
        "median / authors": np.nan if known is None else median(ours) / known,
        f"runs above {manifest.rules.failed_above:.0%}": int((ours > manifest.rules.failed_above).sum()),
        "pairs in the paper's order": f"{pairs[0]} of {pairs[1]}",
        "runs": len(runs),
        "statuses": ", ".join(f"{status} {count}" for status, count in Counter(runs.status).items()),
        "seeds": ", ".join(map(str, runs.seed)),
        "folder": "; ".join(dict.fromkeys(str(Path(folder).parent) for folder in runs.folder)),
    }


def _conditions(scale: str, numerics: str, method: Method, rules: Rules) -> str:
    """What differs from the conditions of the paper."""
    other = []
    if scale != rules.scale:
        other.append(f"other budget ({scale})")
    if numerics != rules.numerics:
        other.append(f"other numerics ({numerics})")
    if method.note:
        other.append(method.note)
    return "; ".join(other) or "the paper's"


def verdict_counts(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """How many of the paper's rows have which verdict, for each backend and numerics. Verdicts under conditions
    that are not the paper's are counted apart."""
    manifest = read_manifest(catalogue)
    table = verdicts(summary, catalogue)
    table = table[[manifest.row(*key) is not None for key in zip(table.experiment, table.method, strict=True)]]
    table = table.assign(scale=summary.scale.iloc[0], theirs=table.conditions == "the paper's")
    rows = []
    for key, group in table.groupby(["scale", "numerics", "backend", "theirs"], sort=False):
        counts = Counter(group.verdict)
        rows.append(
            dict(zip(("scale", "numerics", "backend"), key, strict=False))
            | {"conditions": "the paper's" if key[-1] else "other"}
            | {"rows of the paper": len(manifest.rows), "rows run": len(group), "runs": group.runs.sum()}
            | {str(verdict): counts[verdict] for verdict in Verdict}
        )
    return table_of(rows, "nothing to count: none of these runs is of a row of the paper")


def coverage(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """What of the paper this suite reproduces: every row of its tables and every family of its figures, the rule
    that judges it, and how many of the runs shown here belong to it."""
    manifest = read_manifest(catalogue)
    rows = []
    for row in manifest.rows:
        experiment = catalogue.experiment(row.experiment)
        method = experiment.methods[row.method]
        made = (summary.experiment == row.experiment) & (summary.method == row.method)
        rows.append(
            {
                "kind": "row",
                "of the paper": f"{experiment.title}: {method.title}",
                "made by": f"{row.experiment} {row.method}",
                "authors": np.nan if method.authors.rel_l2 is None else method.authors.rel_l2,
                "rule": row.rule if row.rule == "error" else f"none: {row.because}",
                "runs here": int(made.sum()),
                "source": method.authors.source,
            }
        )
    for family in manifest.figures:
        rows.append(
            {
                "kind": "figures",
                "of the paper": family.family,
                "made by": f"figure {family.figure} of {', '.join(family.experiments)}",
                "authors": np.nan,
                "rule": f"none: {family.because}",
                "runs here": int(summary.experiment.isin(family.experiments).sum()),
                "source": "",
            }
        )
    return pd.DataFrame(rows)
