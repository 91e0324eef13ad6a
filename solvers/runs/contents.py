"""Whether the files of a run are what its record says: their names, types, shapes and ranges.

Whoever takes a run from elsewhere or tabulates it asks here, so that a run that is not sound is named by the first
who reads it. Whether its numbers follow from its weights is another question: :mod:`solvers.runs.trusted`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from solvers.configuration.assembly import build_model
from solvers.model.terms import Model
from solvers.optimizers.base import StopReason
from solvers.runs.arrays import read_fields, read_history, read_weights
from solvers.runs.files import RecordError
from solvers.runs.record import FILES, RunRecord, check_files, check_specification, read_run
from solvers.training.history import History

__all__ = ["check_contents", "check_run"]

COUNTED = ("level", "stage", "iteration", "evaluation")
"""Columns of a history that hold whole numbers."""


def check_run(folder: Path) -> RunRecord:
    """The record of the run in ``folder`` if it has the specification that it was made with, and all its files are
    there, are those that were written, and hold what they should; else :class:`RecordError`."""
    check_files(folder, read_run(folder))
    record = check_specification(folder)
    check_contents(folder, record)
    return record


def check_contents(folder: Path, record: RunRecord) -> None:
    """:class:`RecordError` naming the file and what is wrong, if the stages of ``record``, or what is in a file of
    the run in ``folder``, are not those of a run of its specification. A file that is not there is not looked at:
    the archive leaves some out."""
    model = build_model(record.spec, record.spec.build_problem())
    found = {
        "run.json": lambda: _wrong_stages(record),
        "history.parquet": lambda: _wrong_history(read_history(folder), record),
        "fields.npz": lambda: _wrong_fields(read_fields(folder), record, (folder / "archive.json").exists()),
        "weights.safetensors": lambda: _wrong_weights(read_weights(folder), record, model),
    }
    for name in FILES:
        if (folder / name).exists():
            for problem in found[name]():
                raise RecordError(f"{folder / name}: {problem}")


def _wrong_stages(record: RunRecord) -> Iterator[str]:
    """What of the stages and terms is not the specification's. A level may have ended before its last stage."""
    left = [[stage["optimizer"] for stage in level.stages] for level in record.spec.levels]
    for i, stage in enumerate(record.stages):
        if not 0 <= stage.level < len(left) or stage.optimizer not in left[stage.level][:1]:
            yield f"stages.{i}: {stage.optimizer!r} at level {stage.level} is not a stage of the specification"
            return
        left[stage.level].pop(0)
        if stage.reason not in list(StopReason):
            yield f"stages.{i}.reason: {stage.reason!r}: must be one of {', '.join(StopReason)}"
    if record.terms and record.terms.keys() != set(record.spec.terms):
        yield f"terms: {', '.join(record.terms)}: must be {', '.join(record.spec.terms)}"


def _wrong_history(history: pd.DataFrame, record: RunRecord) -> Iterator[str]:
    columns = History(record.spec.terms).columns
    if list(history.columns) != columns:
        yield f"has the columns {', '.join(map(str, history.columns))}; must have {', '.join(columns)}"
    elif len(history):
        yield from _wrong_types(history)
        yield from _wrong_numbers(history, record)


def _wrong_types(history: pd.DataFrame) -> Iterator[str]:
    for name, dtype in history.dtypes.items():
        if name == "optimizer":
            if not history.optimizer.map(lambda value: isinstance(value, str)).all():
                yield f"{name}: holds {dtype}; must hold texts"
        elif dtype.kind != ("i" if name in COUNTED else "f"):
            yield f"{name}: holds {dtype}; must hold {'whole' if name in COUNTED else 'real'} numbers"


def _wrong_numbers(history: pd.DataFrame, record: RunRecord) -> Iterator[str]:
    levels = record.spec.levels
    most = {
        "level": len(levels) - 1,
        "stage": sum(len(level.stages) for level in levels) - 1,
        "iteration": record.iterations,
        "evaluation": record.function_evaluations,
        "seconds": np.finfo(float).max,
    }
    for name, largest in most.items():
        if not history[name].between(0, largest).all():
            yield f"{name}: from {history[name].min()} to {history[name].max()}; must be from 0 to {largest}"
    if not history.iteration.is_monotonic_increasing:
        yield "iteration: falls from one row to the next"
    if (history.rel_l2 < 0).any():
        yield f"rel_l2: has {history.rel_l2.min()}; an error is at least 0"


def _wrong_fields(fields: Mapping[str, np.ndarray], record: RunRecord, thinned: bool) -> Iterator[str]:
    """A run without a result has no fields; those of the archive are ``thinned``."""
    spec = record.spec
    if not fields and record.last is None:
        return
    coordinates = spec.build_problem().coordinates
    names = [*coordinates, "exact", "predicted"]
    if set(fields) != set(names):
        yield f"has the arrays {', '.join(fields) or 'none'}; must have {', '.join(names)}"
        return
    grid, shape = spec.evaluation.nodes("field_grid"), fields["exact"].shape
    possible = len(shape) == len(grid) and all(0 < n <= m for n, m in zip(shape, grid, strict=True))
    if not possible or (list(shape) != grid and not thinned):
        yield f"exact: has shape {shape}; must be {tuple(grid)}"
        return
    wanted = {name: (count,) for name, count in zip(coordinates, shape, strict=True)} | {"predicted": shape}
    for name, needed in wanted.items():
        if fields[name].shape != needed:
            yield f"{name}: has shape {fields[name].shape}; must be {needed}"


def _wrong_weights(weights: Mapping[str, np.ndarray], record: RunRecord, model: Model) -> Iterator[str]:
    """A run that came to no iterate has none, and not every run a best iterate."""
    if not weights and record.last is None:
        return
    needed = {f"last/{name}": tuple(shape) for name, shape in model.shapes.items()}
    needed |= {f"frozen/{name}": array.shape for name, array in model.frozen.items()}
    if any(name.startswith("best/") for name in weights):
        needed |= {f"best/{name}": tuple(shape) for name, shape in model.shapes.items()}
    for name in sorted(needed.keys() | weights.keys()):
        if name not in needed:
            yield f"{name}: is no array of this network"
        elif name not in weights:
            yield f"{name}: is missing; must have shape {needed[name]}"
        elif weights[name].shape != needed[name]:
            yield f"{name}: has shape {weights[name].shape}; must be {needed[name]}"
