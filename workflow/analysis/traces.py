"""Histories of a study's runs, the terms in two kinds: the supervised ones, and the residuals."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvers.balancing.base import is_residual
from solvers.runs.record import read_history
from workflow.analysis.statistics import LEVEL
from workflow.analysis.summary import grouped_by

__all__ = ["KINDS", "mean_and_interval", "points_of", "trace"]

KINDS = ("supervised", "residual")


def trace(folder: Path | str) -> pd.DataFrame:
    """The history of the run in ``folder``, a row for each recorded iterate: ``evaluation``, ``optimizer``,
    ``error`` (relative L2, on the history's grid), and for each kind the sum of its terms, ``supervised`` and
    ``residual``; of these the mean effective weight, ``weight of ...``; the ``pull of ...``, the sum of weight
    times gradient norm; and ``gradient of ...``, the sum of the gradient norms. Rows come in order of their
    evaluations; a kind that has no terms is missing. Raises :class:`~solvers.runs.record.RecordError` if the
    history cannot be read."""
    history = read_history(Path(folder))
    terms = [name.removeprefix("term.") for name in history if name.startswith("term.")]
    found = history[["evaluation", "optimizer"]].assign(error=history.rel_l2)
    for kind in KINDS:
        own = [term for term in terms if is_residual(term) == (kind == "residual")]
        if own:
            values, weights, norms = (
                history[[f"{what}.{term}" for term in own]].to_numpy(dtype=float)
                for what in ("term", "weight", "gradient_norm")
            )
            found[kind] = values.sum(axis=1)
            found[f"weight of {kind}"] = weights.mean(axis=1)
            found[f"pull of {kind}"] = (weights * norms).sum(axis=1)
            found[f"gradient of {kind}"] = norms.sum(axis=1)
    return found.sort_values("evaluation", kind="stable", ignore_index=True)


def points_of(summary: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """What the runs of a point of the study have in common by name, and their rows that finished."""
    keys = grouped_by(summary)
    for values, runs in summary.groupby(keys, sort=False):
        yield dict(zip(keys, values, strict=True)), runs[runs.status == "finished"]


def mean_and_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and t interval (95 %) of ``values`` without missing ones; the interval is missing for fewer than two,
    and all of it where there is none."""
    from scipy.stats import t  # takes a while

    known = values[np.isfinite(values)]
    if len(known) < 2:
        return (float(known[0]) if len(known) else np.nan), np.nan, np.nan
    half = float(t.ppf((1 + LEVEL) / 2, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    return float(known.mean()), float(known.mean()) - half, float(known.mean()) + half
