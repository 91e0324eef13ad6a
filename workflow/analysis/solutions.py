"""Whether the points of a study come to the same solution: distances of their predictions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from solvers.runs.record import read_fields
from workflow.analysis.summary import AXES, axes_of, table_of
from workflow.analysis.traces import KINDS, trace

__all__ = ["compared", "solutions"]

Fields = Mapping[str, np.ndarray]


def solutions(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The predictions of each point of the study against those of its first point, seed by seed, on the grid of
    the fields: the relative L2 errors of both; their distance, the L2 norm of the difference over that of the
    solution; this over the larger error (0: the same prediction; 1 or more: no nearer to each other than to the
    solution); and the cosine of the two errors (1: the same error, 0: none in common). Beside it the sum of the
    raw terms at the end over that of the first point. Medians over the seeds for which both runs finished."""
    axes, rows = axes_of(summary), []
    known = summary[summary.status == "finished"]
    for case, runs in known.groupby(AXES, sort=False):
        points = list(runs.groupby(axes, sort=False))
        first = tuple(summary[axes].iloc[0])
        own = next((rows for values, rows in points if values == first), None)
        if own is None:
            continue
        references = {seed: _read(folder) for seed, folder in zip(own.seed, own.folder, strict=True)}
        for values, others in points:
            pairs = [
                _pair(references[seed], _read(folder))
                for seed, folder in zip(others.seed, others.folder, strict=True)
                if values != first and seed in references
            ]
            if pairs:
                point = dict(zip(AXES, case, strict=True)) | dict(zip(axes, values, strict=True))
                rows.append(point | {"seeds": len(pairs)} | dict(pd.DataFrame(pairs).median()))
    return table_of(rows, "no two points of the study finished with the same seed")


def compared(first: Fields, other: Fields) -> dict[str, float]:
    """Two predictions of one solution, on one grid."""
    exact = first["exact"].ravel()
    a, b = (fields["predicted"].ravel() - exact for fields in (first, other))
    size = np.linalg.norm(exact)
    of_a, of_b, apart = (float(np.linalg.norm(each) / size) for each in (a, b, a - b))
    return {
        "error of the first": of_a,
        "error": of_b,
        "distance": apart,
        "distance over the larger error": apart / max(of_a, of_b) if max(of_a, of_b) > 0 else np.nan,
        "cosine of the errors": float(a @ b / size**2 / (of_a * of_b)) if of_a * of_b > 0 else np.nan,
    }


def _read(folder: str) -> tuple[Fields, float]:
    """The fields of a run, and the sum of its raw terms at the end."""
    last = trace(folder).iloc[-1:]
    return read_fields(Path(folder)), float(last[[kind for kind in KINDS if kind in last]].to_numpy().sum())


def _pair(first: tuple[Fields, float], other: tuple[Fields, float]) -> dict[str, Any]:
    return compared(first[0], other[0]) | {"terms over the first's": other[1] / first[1] if first[1] else np.nan}
