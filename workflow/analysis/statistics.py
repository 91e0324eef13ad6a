"""What the seeds say: intervals, success rates, and tests between methods. Errors are compared by their
logarithms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor

import numpy as np
import pandas as pd
from scipy import stats

from solvers.configuration.catalogue import Catalogue
from solvers.runs.rows import TARGETS
from workflow.analysis.summary import errors, floor_of, grouped_by, table_of

__all__ = [
    "LEVEL",
    "Paired",
    "bootstrap_interval",
    "failures_infinite",
    "holm",
    "median",
    "paired",
    "paired_tests",
    "quantile",
    "quartiles",
    "statistics",
]

LEVEL = 0.95


def failures_infinite(values: Iterable[float]) -> np.ndarray:
    """``values`` with missing ones infinite."""
    return np.nan_to_num(np.asarray(list(values), dtype=float), nan=np.inf, posinf=np.inf)


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which the ``share`` of ``values`` lies, or the mean of the two between which that falls; a
    missing value counts as infinite: a failed run is worse than any other."""
    ordered = np.sort(failures_infinite(values))
    place = share * len(ordered)
    low, high = ordered[max(ceil(place) - 1, 0)], ordered[min(floor(place), len(ordered) - 1)]
    return float(low) if low == high else float((low + high) / 2)


def median(values: Iterable[float]) -> float:
    """The median, a missing value counted as infinite."""
    return quantile(values, 0.5)


def quartiles(values: Iterable[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile; of three values they are these."""
    ordered = list(values)
    return quantile(ordered, 0.25), median(ordered), quantile(ordered, 0.75)


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float]:
    """Percentile bootstrap interval of the median, at :data:`LEVEL`; missing for a single value.

    Infinite values are worse than any other: a bound that needs one of them is infinite. The bounds are those of
    the logarithms. The interval is no wider than the range of the values.
    """
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    if len(values) < 2:
        return np.nan, np.nan
    if not finite.any():
        return np.inf, np.inf
    largest = np.log10(values[finite]).max()
    logs = np.full(len(values), largest + 1e3)  # a place above all others, so that interpolation stays finite
    logs[finite] = np.log10(values[finite])
    found = stats.bootstrap(
        (logs,), np.median, confidence_level=LEVEL, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return tuple(10.0**bound if bound <= largest else np.inf for bound in found)


def _confidence(count: int) -> float:
    """The probability that the smallest and the largest of ``count`` independent values enclose the median."""
    return 1 - 2.0 ** (1 - count)


def statistics(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Relative L2 error over the seeds of each method, backend and numerics: median, range, bootstrap interval
    of the median (95 %), and the share of runs at or below 10 %, 1 % and 0.1 %. A run that did not finish has an
    infinite error and no success. The range of n seeds holds the true median with a probability of 1 - 2^(1-n),
    as the column says: 75 % for three seeds, 94 % for five. No interval of fewer than six reaches 95 %, so that
    of the bootstrap, never wider than the range, promises more than they can tell. The floor is the relative L2
    error of a classical solver on the same problem."""
    rows = []
    keys = grouped_by(summary)
    for axes, runs in summary.groupby(keys, sort=False):
        ours = errors(runs)
        low, high = bootstrap_interval(ours)
        rows.append(
            dict(zip(keys, axes, strict=True))
            | {
                "runs": len(runs),
                "finished": int((runs.status == "finished").sum()),
                **floor_of(runs),
                "median": median(ours),
                "minimum": ours.min(),
                "maximum": ours.max(),
                "bootstrap low": low,
                "bootstrap high": high,
                "range holds the median with probability": _confidence(len(runs)),
            }
            | {f"at or below {100 * target:g} %": np.mean(ours <= target) for target in TARGETS}
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Paired:
    """Logarithms of the ratio b / a over pairs of runs: what they show of a systematic difference.

    ``ratio`` with ``low`` and ``high`` is the geometric mean and its t interval at :data:`LEVEL`; ``effect`` is
    the mean over the standard deviation (Cohen's d_z), ``t`` the p-value of the paired t test: both need at
    least two pairs, finite ratios and a spread, else they are missing. ``sign`` is the p-value of the sign test,
    which needs no more than an order, and ``smallest_sign`` the smallest that so many pairs can give."""

    pairs: int
    a_smaller: int
    b_smaller: int
    ratio: float
    low: float
    high: float
    effect: float
    t: float
    sign: float
    smallest_sign: float


def paired(a: Sequence[float], b: Sequence[float]) -> Paired:
    """Compare positive numbers pair by pair; infinite ones are larger than any other and equal to each other."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    count, smaller = len(a), (int((a < b).sum()), int((b < a).sum()))
    decided = sum(smaller)
    sign = stats.binomtest(smaller[0], decided).pvalue if decided else 1.0
    both = np.isfinite(a) & np.isfinite(b)
    logs = np.log10(b[both] / a[both])
    ratio = low = high = effect = t = np.nan
    if both.all() and count:
        mean = logs.mean()
        deviation = logs.std(ddof=1) if count > 1 else np.nan
        half = stats.t.ppf((1 + LEVEL) / 2, count - 1) * deviation / np.sqrt(count) if count > 1 else np.nan
        ratio, low, high = (10.0**x for x in (mean, mean - half, mean + half))
        if count > 1 and deviation > 0:
            effect = mean / deviation
            t = stats.ttest_1samp(logs, 0.0).pvalue
    return Paired(count, *smaller, ratio, low, high, effect, t, sign, min(1.0, 2.0 ** (1 - count)))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values corrected for their number after Holm; missing ones stay missing and do not count."""
    p = pd.Series(p_values, dtype=float)
    known = p.dropna().sort_values()
    steps = known * np.arange(len(known), 0, -1)
    return steps.cummax().clip(upper=1.0).reindex(p.index).to_numpy()


def paired_tests(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Methods compared pair by pair on equal seeds and points: ratio of the relative L2 errors (geometric mean,
    b / a) with its 95 % interval, effect size (mean over standard deviation of the logarithms), p-values corrected
    after Holm within experiment, backend and numerics. The t test takes the logarithms for normal, which so few
    seeds cannot show; the sign test takes nothing for granted, and with n seeds its smallest p-value is 2^(1-n):
    0.25 for three, 0.06 for five, so that below six it can never fall under 0.05. A run that did not finish is
    worse than any other, and then only the sign test is left."""
    rows = []
    for axes, runs in summary.groupby(["experiment", "numerics", "backend"], sort=False):
        by_seed = runs.assign(error=errors(runs)).pivot(index="seed", columns="method", values="error")
        group = []
        for a, b in combinations(runs.method.unique(), 2):
            both = by_seed[[a, b]].dropna()
            if both.empty:
                continue
            group.append(_test(a, b, paired(both[a], both[b])))
        for name in ("t test", "sign test"):
            for row, p in zip(group, holm([row[f"p, {name}"] for row in group]), strict=True):
                row[f"p, {name}, Holm"] = p
        rows += [dict(zip(("experiment", "numerics", "backend"), axes, strict=True)) | row for row in group]
    rows = [row | {"shown at 5 %": _shown(row)} for row in rows]
    return table_of(rows, "nothing to compare: no two methods were run on the same experiment and seed")


def _test(a: str, b: str, found: Paired) -> dict[str, object]:
    return {
        "a": a,
        "b": b,
        "seeds": found.pairs,
        "a smaller": found.a_smaller,
        "b smaller": found.b_smaller,
        "error of b / a": found.ratio,
        "low": found.low,
        "high": found.high,
        "effect size": found.effect,
        "p, t test": found.t,
        "p, sign test": found.sign,
        "smallest p of the sign test": found.smallest_sign,
    }


def _shown(row: dict[str, object]) -> str:
    """What is significant after Holm's correction, and by which test."""
    better = row["a"] if row["a smaller"] > row["b smaller"] else row["b"]
    if row["p, sign test, Holm"] < 1 - LEVEL:
        return f"{better} is better"
    if row["p, t test, Holm"] < 1 - LEVEL:
        better = row["a"] if row["error of b / a"] > 1 else row["b"]
        return f"{better} is better, if the logarithms are normal"
    return "nothing"
