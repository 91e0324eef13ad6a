"""The runs of one experiment as figures need them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvers.record import RunRecord, read_fields, read_history, read_run

__all__ = ["Run", "by_panel", "lowest_seeds", "named", "read_runs"]

HISTORY = ["level", "iteration", "evaluation", "seconds", "objective", "rel_l2"]
"""Columns that every history has, also an empty one."""


@dataclass(frozen=True)
class Run:
    """A run: its record, and its history and fields, which are empty if a run that failed has none."""

    folder: Path
    record: RunRecord
    history: pd.DataFrame
    fields: Mapping[str, np.ndarray]

    @property
    def label(self) -> str:
        """Method, backend and numerics, and the status unless it is ``finished``."""
        spec = self.record.spec
        mark = "" if self.record.status == "finished" else f" ({self.record.status})"
        return f"{spec.method}, {spec.backend}, {spec.numerics}{mark}"

    @property
    def axes(self) -> dict[str, Any]:
        """The columns that name this run in a table."""
        return {axis: getattr(self.record.spec, axis) for axis in ("method", "backend", "numerics", "seed")}


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs in ``folders``. Raises :class:`solvers.record.RecordError` for a damaged file."""
    return [_read(folder) for folder in folders]


def _read(folder: Path) -> Run:
    history = read_history(folder) if (folder / "history.parquet").exists() else pd.DataFrame()
    if history.empty:
        history = pd.DataFrame(columns=HISTORY, dtype=float)
    fields = read_fields(folder) if (folder / "fields.npz").exists() else {}
    return Run(folder, read_run(folder), history, fields)


def lowest_seeds(runs: Sequence[Run]) -> list[Run]:
    """Of each method, backend and numerics the run with the lowest seed."""
    lowest: dict[tuple[str, ...], Run] = {}
    for run in sorted(runs, key=lambda run: run.record.spec.seed):
        spec = run.record.spec
        lowest.setdefault((spec.method, spec.backend, spec.numerics), run)
    return [run for run in runs if run in lowest.values()]


def by_panel(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs that share method and numerics, under the title of their panel."""
    several = len({run.record.spec.numerics for run in runs}) > 1
    panels: dict[str, list[Run]] = {}
    for run in runs:
        spec = run.record.spec
        title = f"{spec.method}, {spec.numerics}" if several else spec.method
        panels.setdefault(title, []).append(run)
    return {_with_status(title, members): members for title, members in panels.items()}


def _with_status(title: str, runs: Sequence[Run]) -> str:
    marks = [f"{r.record.spec.backend} {r.record.status}" for r in runs if r.record.status != "finished"]
    return f"{title} ({', '.join(marks)})" if marks else title


def named(runs: Sequence[Run]) -> str:
    """Runs in words, seeds together: ``mmpinn, jax, paper (failed): seeds 0, 2``."""
    ordered = sorted(runs, key=lambda run: (run.label, run.record.spec.seed))
    groups = ((label, [str(run.record.spec.seed) for run in same]) for label, same in groupby(ordered, _label))
    return "; ".join(f"{label}: seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" for label, seeds in groups)


def _label(run: Run) -> str:
    return run.label
