"""The runs of one experiment as figures need them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.runs.checked import checked_record
from solvers.runs.floor import Floor, is_floor_of_run, read_floor
from solvers.runs.record import RunRecord, read_fields, read_history
from solvers.runs.rows import cpu_history

__all__ = [
    "Run",
    "authors_error",
    "by_panel",
    "floor_label",
    "known_floor",
    "lowest_seeds",
    "method_title",
    "named",
    "read_runs",
]

HISTORY = ["level", "iteration", "evaluation", "seconds", "objective", "rel_l2"]
"""Columns that every history has, also an empty one."""


@dataclass(frozen=True)
class Run:
    """A run: its record, its history (with CPU seconds) and its fields, which are empty if a run that failed has
    none; and the floor of its problem, if there is one."""

    folder: Path
    record: RunRecord
    history: pd.DataFrame
    fields: Mapping[str, np.ndarray]
    floor: Floor | None = None

    @property
    def label(self) -> str:
        """Method, backend and numerics, and the status unless it is ``finished``."""
        spec = self.record.spec
        mark = "" if self.record.status == "finished" else f" ({self.record.status})"
        return f"{spec.method}, {spec.backend}, {spec.numerics}{mark}"

    @property
    def title(self) -> str:
        """The title of its method."""
        return method_title(self.record.spec.experiment, self.record.spec.method)

    @property
    def axes(self) -> dict[str, Any]:
        """The columns that name this run in a table."""
        return {axis: getattr(self.record.spec, axis) for axis in ("method", "backend", "numerics", "seed")}


@cache
def _methods(experiment: str) -> Mapping[str, Any]:
    try:
        return Catalogue().experiment(experiment).methods
    except ConfigurationError:  # archived runs may be of experiments that are no more
        return {}


def method_title(experiment: str, method: str) -> str:
    """The title of a method in the catalogue; its name if it is not there (any more)."""
    entry = _methods(experiment).get(method)
    return entry.title if entry else method


def authors_error(experiment: str, method: str) -> float:
    """The relative L2 error that the authors give for a method; missing if none is known."""
    entry = _methods(experiment).get(method)
    known = entry.authors.rel_l2 if entry else None
    return np.nan if known is None else known


def read_runs(folders: Sequence[Path], floors: Sequence[Path] = ()) -> list[Run]:
    """The runs in ``folders``, with the floors of their problems among those in ``floors``. Raises
    :class:`solvers.runs.record.RecordError` for a file, of weights too, that is damaged or is not the one that was
    written."""
    known = [read_floor(folder) for folder in floors]
    return [_read(folder, known) for folder in folders]


def _read(folder: Path, floors: Sequence[Floor]) -> Run:
    record = checked_record(folder)
    history = read_history(folder) if (folder / "history.parquet").exists() else pd.DataFrame()
    if history.empty:
        history = pd.DataFrame(columns=HISTORY, dtype=float)
    fields = read_fields(folder) if (folder / "fields.npz").exists() else {}
    own = next((floor for floor in floors if is_floor_of_run(floor, record.spec)), None)
    return Run(folder, record, cpu_history(history, record), fields, own)


def known_floor(runs: Sequence[Run]) -> tuple[float, str] | None:
    """The relative L2 error of the floor of the runs' problem, and its label; ``None`` if it is not known."""
    floor = next((run.floor for run in runs if run.floor), None)
    if floor is None or floor.errors is None or not floor.errors.rel_l2:
        return None
    error = floor.errors.rel_l2
    return error, floor_label(error, floor.cpu_seconds["solving"])


def floor_label(error: float, seconds: float) -> str:
    """What a figure says of a floor."""
    return f"classical solver: {error:.1e} in {seconds:.2g} s"


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
        title = f"{run.title}, {spec.numerics}" if several else run.title
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
