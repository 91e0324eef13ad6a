"""One table of all runs: a row for each, whatever became of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pandera.pandas as pa

from solvers.configuration.axes import Axis
from solvers.configuration.spec import RunSpec
from solvers.runs.checked import checked_record
from solvers.runs.finished import difference, made_otherwise
from solvers.runs.floor import Floor, is_floor_of_run, read_floor
from solvers.runs.record import FILES, RecordError, RunRecord, read_data, read_history
from solvers.runs.rows import AXES, TARGETS, row_of, source_of
from workflow.analysis.writing import as_written

__all__ = [
    "AXES",
    "CONTENDED",
    "LOST",
    "SUMMARY",
    "axes_of",
    "contended",
    "counted_errors",
    "errors",
    "floor_of",
    "grouped_by",
    "label_of",
    "read_summary",
    "seconds_of",
    "split",
    "summarise",
    "table_of",
    "wall_per_cpu",
]

STATUSES = get_args(RunRecord.model_fields["status"].annotation)

_text = pa.Column(str)
_count = pa.Column(int, pa.Check.ge(0))
_error = pa.Column(float, pa.Check.ge(0), nullable=True)
_seconds = pa.Column(float, pa.Check.ge(0))
_reached = pa.Column(float, pa.Check.ge(0), nullable=True)

SUMMARY = pa.DataFrameSchema(
    {axis: _text for axis in AXES}
    | {"seed": _count, "scale": _text, "status": pa.Column(str, pa.Check.isin(STATUSES))}
    | {"rel_l2": _error, "mean_absolute": _error, "maximum": _error, "best_rel_l2": _error}
    | {"fresh_residual_ratio": _error}
    | {"iterations": _count, "function_evaluations": _count, "gradient_evaluations": _count}
    | {"stage_optimizers": _text, "stage_levels": _text, "stage_precisions": _text}
    | {"stage_iterations": _text, "stage_evaluations": _text, "stage_reasons": _text}
    | {"cpu_seconds": _seconds, "wall_seconds": _seconds, "other_seconds": _seconds, "peak_memory_mib": _seconds}
    | {"startup_seconds": _seconds, "compile_seconds": _seconds}
    | {f"{cost}_to_{target:g}": _reached for target in TARGETS for cost in ("evaluations", "seconds")}
    | {"terms_first": _text, "terms_last": _text}
    | {
        "reason": _text,
        "device": _text,
        "fingerprint": _text,
        "spec_hash": _text,
        "outdated": _text,
        "command": _text,
        "folder": _text,
        "source": pa.Column(str, pa.Check.isin(["fresh", "archive"])),
    }
    | {"floor_rel_l2": _error, "floor_cpu_seconds": _reached, "floor_solver": _text, "floor_folder": _text},
    strict=True,
    ordered=True,
    unique=[*AXES, "seed"],
)
"""The summary's columns, to which a study adds one for each axis: those of :func:`solvers.runs.rows.row_of`,
missing where these are NaN, ``outdated``, which says what of an archived run's specification and code is not
today's, and those of the floor (:mod:`solvers.runs.floor`) of the run's problem, empty if it was not asked for."""

FLOORS = ("floor_rel_l2", "floor_cpu_seconds", "floor_solver", "floor_folder")
"""The summary's columns of floors: relative L2 error and CPU seconds of a classical solver, how it ended or why
there is none, and the folder of its record."""
LOST = 1.0
"""The relative L2 error of predicting nothing: see :func:`counted_errors`."""
CONTENDED = 1.1
"""A run with more wall seconds than this for a CPU second of training waited for others, or for a device."""


def _schema(axes: Sequence[str]) -> pa.DataFrameSchema:
    """The summary's columns with those of a study's axes: numbers or texts, the same as in the study's file."""
    columns = dict(SUMMARY.columns) | {axis: pa.Column() for axis in axes}
    return pa.DataFrameSchema(columns, strict=True, ordered=True, unique=[*AXES, "seed", *axes])


Wanted = Callable[[Path], RunSpec | None]


def summarise(
    folders: Iterable[Path],
    axes: Sequence[Axis] = (),
    wanted: Wanted = lambda folder: None,
    floors: Iterable[Path] = (),
) -> pd.DataFrame:
    """The summary of the runs in ``folders``, in their order, with a column for each of a study's axes, and the
    floors of their problems, as far as they are in the folders ``floors``.

    ``wanted`` gives the specification that the run in a folder must have today; of an archived run it is only said
    what is another. Raises :class:`~solvers.runs.record.RecordError` naming every folder that holds no valid run,
    changed files, or a run of another specification or code than is wanted.
    """
    rows, damaged, known = [], [], {folder: read_floor(folder) for folder in floors}
    for folder in folders:
        try:
            record = checked_record(folder, FILES)
            otherwise = _made_otherwise(folder, wanted(folder))
            point = {axis.name: axis.value_of(record.spec.overrides) for axis in axes}
            rows.append(
                row_of(record, read_history(folder), folder)
                | {"outdated": otherwise}
                | point
                | _floor(record, known)
            )
        except RecordError as error:
            damaged.append(str(error))
    if damaged:
        hint = (
            "remove their folders and start the pipeline again: it makes them anew, but for those of the archive"
        )
        raise RecordError("\n".join([*damaged, f"damaged runs: {len(damaged)}; {hint}"]))
    names = [axis.name for axis in axes]
    return _schema(names).validate(pd.DataFrame(rows, columns=[*SUMMARY.columns, *names]))


def _floor(record: RunRecord, floors: Mapping[Path, Floor]) -> dict[str, Any]:
    """The columns of the floor of a run: of the same problem with the same parameters, which an axis may
    change."""
    for folder, floor in floors.items():
        if is_floor_of_run(floor, record.spec):
            error = floor.errors and floor.errors.rel_l2
            return {
                "floor_rel_l2": np.nan if error is None else error,
                "floor_cpu_seconds": np.nan if floor.errors is None else floor.cpu_seconds["solving"],
                "floor_solver": f"{floor.status}: {floor.spec.solver}, {floor.reason}",
                "floor_folder": str(folder),
            }
    return {"floor_rel_l2": np.nan, "floor_cpu_seconds": np.nan, "floor_solver": "", "floor_folder": ""}


def _made_otherwise(folder: Path, spec: RunSpec | None) -> str:
    """What of an archived run's specification and code is not today's: a fresh run must be of both."""
    if spec is None:
        return ""
    data = read_data(folder)
    if source_of(folder) == "archive":
        return " and ".join(made_otherwise(spec, data))
    if (found := difference(spec, data)) is not None:
        raise RecordError(f"{folder / 'run.json'}: {found}; start the pipeline again: it makes the run anew")
    return ""


def read_summary(path: Path) -> pd.DataFrame:
    """The summary written as CSV, checked. Columns that are not of every summary are a study's axes."""
    types = {name: str for name, column in SUMMARY.columns.items() if column.dtype == _text.dtype}
    missing = {name: "" for name in SUMMARY.columns if name not in types}
    summary = as_written(pd.read_csv(path, dtype=types, keep_default_na=False, na_values=missing))
    axes = axes_of(summary)
    if FLOORS[0] not in summary:  # of a study that was kept before there were floors
        summary = summary.assign(**dict(zip(FLOORS, (np.nan, np.nan, "", ""), strict=True)))
        summary = summary[[*SUMMARY.columns, *axes]]
    return _schema(axes).validate(summary)


def axes_of(summary: pd.DataFrame) -> list[str]:
    """Names of the study's axes: the columns that not every summary has."""
    return [name for name in summary.columns if name not in SUMMARY.columns]


def grouped_by(summary: pd.DataFrame) -> list[str]:
    """What rows have in common that differ by their seeds alone."""
    return [*AXES, *axes_of(summary)]


def split(text: str) -> list[str]:
    """The entries of a column of stages; none for a run that failed before its first."""
    return text.split(";") if text else []


def errors(runs: pd.DataFrame) -> np.ndarray:
    """Relative L2 errors, infinite for a run that did not finish or whose error is missing."""
    return runs.rel_l2.where(runs.status == "finished").fillna(np.inf).to_numpy()


def counted_errors(runs: pd.DataFrame) -> np.ndarray:
    """:func:`errors`, none of which counts as more than :data:`LOST`: how wrong a useless answer is says nothing
    of what was chosen."""
    return np.minimum(errors(runs), LOST)


def floor_of(runs: pd.DataFrame) -> dict[str, float]:
    """The relative L2 error of the floor of runs of one problem, as a column of a table; missing if there is
    none."""
    return {"floor": runs.floor_rel_l2.iloc[0]}


def seconds_of(runs: pd.DataFrame) -> dict[str, float]:
    """The CPU seconds of the floor of runs of one problem, as a column of a table."""
    return {"floor, CPU seconds": runs.floor_cpu_seconds.iloc[0]}


def label_of(axes: Sequence[str], point: Iterable[Any]) -> str:
    """A point of a study in words: each axis with its value."""
    return ", ".join(f"{name} = {value}" for name, value in zip(axes, point, strict=True))


def table_of(rows: Iterable[Mapping[str, Any]], otherwise: str) -> pd.DataFrame:
    """A table of ``rows``, or, if there are none, one that says why."""
    return pd.DataFrame(list(rows) or [{"note": otherwise}])


def wall_per_cpu(runs: pd.DataFrame) -> pd.Series:
    """Wall seconds for a CPU second of training, missing for a run that was not trained."""
    return runs.wall_seconds / runs.cpu_seconds.where(runs.cpu_seconds > 0)


def contended(runs: pd.DataFrame) -> pd.Series:
    """Which runs waited for others on their machine: see :data:`CONTENDED`."""
    return wall_per_cpu(runs) > CONTENDED
