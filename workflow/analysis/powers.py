"""What a study of the exponents says of each problem: which pair is the best, whether one could have known it
before the training, and what fails where it fails."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from solvers.balancing.base import is_residual
from solvers.configuration.catalogue import Catalogue
from workflow.analysis.statistics import median
from workflow.analysis.summary import AXES, LOST, counted_errors, table_of
from workflow.manifest import read_manifest

__all__ = ["POWERS", "powers", "sizes"]

POWERS = ["supervised", "residual"]
PLAIN = (1, 1)


def powers(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Each problem of a study of the exponents (m, n): the pair of the smallest median error over the seeds, and
    the error of (1, 1), the plain sum, if it is there. *Balancing*: the pair that makes the terms most alike
    before the training, that of the smallest abs(log(L_s) / m - log(L_r) / n) in the median over the seeds, of
    equal ones the smaller powers; L_s is the sum of the supervised terms, L_r that of the residuals. Its rank
    among the pairs, and its error over the smallest. An error counts as 100 % at most, as does a run that did not
    finish. *Failed*: runs that did not finish or whose error is above
    that of the manifest's rule (50 %); of these, in *residual left* the residual fell by fewer decades than the
    supervised terms, in *conditions left* by no fewer."""
    limit = read_manifest(catalogue).rules.failed_above
    rows = []
    for case, runs in summary.groupby(AXES, sort=False):
        runs = runs.assign(error=counted_errors(runs))
        found = runs.groupby(POWERS, sort=False).error.agg(median)
        balancing = _balancing(runs)
        if not (found < LOST).any() or balancing is None:
            continue
        best = found.idxmin()
        failed = runs[~(runs.error <= limit)]
        traps = [trap for trap in map(_trap, failed.terms_first, failed.terms_last) if trap]
        rows.append(
            dict(zip(AXES, case, strict=True))
            | {"pairs": len(found), "seeds, fewest": int(runs.groupby(POWERS).seed.nunique().min())}
            | {"best pair": _shown(best), "its error": found[best], "error of (1, 1)": found.get(PLAIN, np.nan)}
            | {"balancing pair": _shown(balancing), "its rank": int((found < found[balancing]).sum()) + 1}
            | {"balancing over best": found[balancing] / found[best]}
            | {"runs": len(runs), "failed": len(failed)}
            | {f"{left} left": traps.count(left) for left in ("residual", "conditions")}
        )
    return table_of(rows, "no problem was run to an error")


def sizes(text: str) -> tuple[float, float]:
    """The sum of the supervised terms and that of the residuals, of a summary's column of terms; not numbers where
    there are none."""
    values = {name: float(value) for name, _, value in (each.partition("=") for each in text.split(";") if each)}
    return _sum(values, residual=False), _sum(values, residual=True)


def _sum(values: Mapping[str, float], residual: bool) -> float:
    own = [value for name, value in values.items() if is_residual(name) == residual]
    return float(np.sum(own)) if own else np.nan


def _balancing(runs: pd.DataFrame) -> tuple[Any, Any] | None:
    """The pair whose powers make the terms at the start most alike; ``None`` if these are not known."""
    first = runs.drop_duplicates("seed")
    logs = [np.log10(pair) for pair in map(sizes, first.terms_first) if np.isfinite(pair).all() and min(pair) > 0]
    pairs = sorted(set(zip(runs.supervised, runs.residual, strict=True)), key=sum)
    if not logs:
        return None
    apart = [float(np.median([abs(s / m - r / n) for s, r in logs])) for m, n in pairs]
    return pairs[int(np.argmin(apart))]


def _trap(first: str, last: str) -> str:
    """Which terms a failed run has left, by the decades that they fell."""
    fell = [
        np.log10(before / after) if before > 0 and after > 0 else np.nan for before, after in _both(first, last)
    ]
    if not np.isfinite(fell).all():
        return ""
    conditions, residual = fell
    return "residual" if residual < conditions else "conditions"


def _both(first: str, last: str) -> Iterator[tuple[float, float]]:
    return zip(sizes(first), sizes(last), strict=True)


def _shown(pair: tuple[Any, Any]) -> str:
    return f"({pair[0]:g}, {pair[1]:g})"
