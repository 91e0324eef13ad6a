"""The error by frequency: how much of it, and of the solution, oscillates how fast."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.fft import dctn

from solvers.configuration.catalogue import Catalogue
from solvers.runs.record import RecordError, read_fields
from workflow.analysis.entries import ENTRY, groups
from workflow.analysis.summary import table_of

__all__ = ["BANDS", "bands", "spectrum"]

EDGES = (0, 4, 16, 64)
BANDS = (*(f"{low} to {high}" for low, high in pairwise(EDGES)), f"{EDGES[-1]} and more")
"""Half waves across the domain, along the coordinate that has most of them."""
LEAST = 1e-3
"""A band with less than this of the solution's norm has no relative error of its own."""


def bands(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The error by frequency band, on the grid of the fields: prediction minus solution, and the solution, as
    cosine series (DCT), whose modes are sorted by their half waves across the domain, along the coordinate that
    has most. Error: the norm of a band of the error over that of the whole solution; the squares add up to that of
    the relative L2 error on this grid. Of its own: the same over the norm of that band of the solution, missing
    where this has less than a thousandth of the whole. Solution: the share that the band has of the solution's
    norm. Medians over the seeds that finished. A solution that is no cosine series of few modes has small parts in
    all bands."""
    rows: list[dict[str, Any]] = []
    for group, runs in groups(summary):
        for (experiment, entry), own in runs[runs.status == "finished"].groupby(["experiment", ENTRY], sort=False):
            found = [each for each in map(_read, own.folder) if each is not None]
            if found:
                named = group | {"experiment": experiment, ENTRY: entry, "method": own.method.iloc[0]}
                rows.append(named | {"seeds": len(found)} | dict(pd.DataFrame(found).median()))
    return table_of(rows, "no run has a predicted field")


def _read(folder: str) -> dict[str, float] | None:
    """The bands of a run; none of one whose fields were not kept."""
    try:
        fields = read_fields(Path(folder))
    except RecordError:
        return None
    return spectrum(fields) if "predicted" in fields else None


def spectrum(fields: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The columns of :func:`bands` of one prediction, ``exact`` and ``predicted`` on one grid of any dimension."""
    exact = fields["exact"].astype(float)
    solution, error = dctn(exact, norm="ortho"), dctn(fields["predicted"].astype(float) - exact, norm="ortho")
    waves = np.max(np.meshgrid(*map(np.arange, exact.shape), indexing="ij"), axis=0)
    size, place = float(np.linalg.norm(solution)), np.searchsorted(EDGES, waves, side="right") - 1
    found: dict[str, float] = {}
    norms = [[np.linalg.norm(each[place == i]) / size for each in (error, solution)] for i in range(len(BANDS))]
    for band, (wrong, own) in zip(BANDS, norms, strict=True):
        found |= {f"error, {band}": wrong, f"of its own, {band}": wrong / own if own >= LEAST else np.nan}
    return found | {f"solution, {band}": own for band, (_, own) in zip(BANDS, norms, strict=True)}
