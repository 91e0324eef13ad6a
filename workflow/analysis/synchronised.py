"""How many power operations bring the terms together, predicted from their sizes and by the gradients."""

import math

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.summary import table_of
from workflow.analysis.traces import points_of, trace

__all__ = ["MOST", "by_gradients", "number_of_powers", "synchronised", "within_a_decade"]

MOST = 1000
"""No larger number is looked for."""


def within_a_decade(first: float, second: float) -> bool:
    """Whether two positive numbers differ by a factor of ten at most."""
    return abs(math.log10(first) - math.log10(second)) <= 1


def number_of_powers(supervised: float, residual: float, m: float = 1) -> int | None:
    """The smallest whole n for which L_r^(1/n) is within a factor of ten of L_s^(1/m), by docs/convergence.md:
    with a = log10 L_r and b = log10(L_s) / m, the smallest n >= 1 with a <= n (b + 1) and a >= n (b - 1).
    ``None`` if there is none, as no root brings a term past 1, or if a term is not above zero."""
    if not (supervised > 0 and residual > 0):
        return None
    a, b = math.log10(residual), math.log10(supervised) / m
    least = 1.0  # both inequalities as bounds of n, by the signs of their factors
    most = math.inf
    for factor, sign in ((b + 1, 1.0), (b - 1, -1.0)):
        # sign a <= sign n factor
        if factor == 0:
            if sign * a > 0:
                return None
        elif sign * factor > 0:
            least = max(least, a / factor)
        else:
            most = min(most, a / factor)
    n = math.ceil(least)
    return n if n <= most and n <= MOST else None


def by_gradients(values: tuple[float, float], norms: tuple[float, float]) -> int | None:
    """The smallest whole n for which the weighted gradient of the residual under the power 1/n,
    (1/n) L_r^(1/n - 1) |grad L_r|, is within a factor of ten of that of the supervised terms, which have the
    power 1; ``values`` and gradient ``norms`` of both, supervised first. ``None``: none up to :data:`MOST`."""
    if not all(number > 0 for number in (*values, *norms)):
        return None
    powers = 1 / np.arange(1, MOST + 1)
    pulls = np.log10(powers) + (powers - 1) * np.log10(values[1]) + np.log10(norms[1])
    hits = np.flatnonzero(np.abs(pulls - np.log10(norms[0])) <= 1)
    return int(hits[0]) + 1 if len(hits) else None


def synchronised(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """How many powers of the residual, beside supervised terms under the power 1, bring the two together, and how
    long they stay so. *Predicted*: the smallest whole n for which L_r^(1/n) is within a factor of ten of L_s
    before the training. *Measured*: the smallest n for which the weighted gradients are so there; 0: there is
    none.
    Weight of the residual over that of the supervised terms, first and last. *In step*: the share of the recorded
    evaluations at which the weighted gradients of the point's own rule are within a factor of ten; the norm of the
    supervised terms' gradient is the sum of their norms. Near a stationary point they cancel, whatever the rule.
    Medians over the seeds that finished."""
    rows = []
    for point, runs in points_of(summary):
        seen = [own for own in map(trace, runs.folder) if len(own) and {"supervised", "residual"} <= set(own)]
        if seen:
            rows.append(point | {"seeds": len(seen)} | dict(pd.DataFrame(list(map(_seen, seen))).median()))
    return table_of(rows, "no run with supervised terms and a residual finished")


def _seen(run: pd.DataFrame) -> dict[str, float]:
    first = run.iloc[0]
    values, norms = (
        (first.supervised, first.residual),
        (first["gradient of supervised"], first["gradient of residual"]),
    )
    weights = (run["weight of residual"] / run["weight of supervised"]).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        pulls = np.abs(np.log10(run["pull of residual"] / run["pull of supervised"]))
    return {
        "supervised at first": first.supervised,
        "residual at first": first.residual,
        "powers, predicted": number_of_powers(*values) or 0,
        "powers, measured": by_gradients(values, norms) or 0,
        "weight ratio, first": weights[0],
        "weight ratio, last": weights[-1],
        "in step": float((pulls <= 1).mean()),
    }
