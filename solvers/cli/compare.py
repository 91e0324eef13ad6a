"""``compare``: two runs side by side, or two folders of runs, or two reports."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from solvers.cli.said import error, output, ratio, table
from solvers.runs.checked import checked_record
from solvers.runs.comparison import SideBySide, side_by_side
from solvers.runs.finished import unlike_keys
from solvers.runs.loading import find_run, load_runs, runs_below
from solvers.runs.record import RecordError, RunRecord, read_history
from solvers.runs.rows import row_of

__all__ = ["execute"]

SUMMARY = "summary.csv"
ERRORS = {"rel_l2": "relative L2", "mean_absolute": "mean absolute error", "maximum": "maximum error"}
COUNTS = (
    "iterations",
    "function_evaluations",
    "gradient_evaluations",
    "cpu_seconds",
    "wall_seconds",
    "peak_memory_mib",
)


def execute(options: argparse.Namespace) -> int:
    """Print the comparison; ratios are those of the second to the first."""
    first, second = options.first, options.second
    one, other = _many(first), _many(second)
    if one is not None and other is not None:
        _tables(first, second, one, other, options.csv)
    elif one is not None or other is not None:
        raise RecordError(f"{first}, {second}: one is a run, the other several; must be two of a kind")
    else:
        _runs(find_run(first, options.results), find_run(second, options.results), options.csv)
    return 0


def _many(name: str) -> pd.DataFrame | None:
    """The runs of a report, of its summary, or of a folder with runs below it; ``None`` if it may be one run."""
    path = Path(name)
    report = path / SUMMARY if path.is_dir() else path
    if report.name == SUMMARY and report.is_file():
        return _read(report)
    several = path.is_dir() and not (path / "run.json").exists() and any(runs_below(path))
    return load_runs(path) if several else None


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, keep_default_na=False, na_values={"rel_l2": "", "cpu_seconds": ""})
    except (ValueError, OSError) as problem:
        raise RecordError(f"{path}: not a readable summary of runs: {problem}") from None


def _tables(first: str, second: str, one: pd.DataFrame, other: pd.DataFrame, csv: bool) -> None:
    try:
        found = side_by_side(one, other)
    except ValueError as problem:
        raise RecordError(f"A: {first}, B: {second}: {problem}") from None
    if csv:
        found.table.to_csv(sys.stdout, index=False)
        return
    console = output()
    for side, name, fixed in (("A", first, found.first), ("B", second, found.second)):
        own = ", ".join(f"{key} {value}" for key, value in fixed.items())
        console.print(f"{side}: {name}{f' ({own})' if own else ''}", soft_wrap=True)
    shown = table(*found.table.columns)
    for row in found.table.itertuples(index=False):
        shown.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row))
    console.print(shown)
    console.print(_note(found), soft_wrap=True)


def _note(found: SideBySide) -> str:
    """What the rows say together, and what is not in them."""
    higher, lower = ((found.table["error B / A"] > 1).sum(), (found.table["error B / A"] < 1).sum())
    alone = ", ".join(f"{count} of {side}" for side, count in zip("AB", found.alone, strict=True) if count)
    return (
        "Medians over equal seeds; a run that did not finish has an infinite error. The error of B is lower in"
        f" {lower} of {len(found.table)} rows, higher in {higher}."
        + (f" Runs without a counterpart: {alone}." if alone else "")
    )


def _runs(one: Path, other: Path, csv: bool) -> None:
    records = [checked_record(folder, ("history.parquet",)) for folder in (one, other)]
    rows = [
        row_of(record, read_history(folder), folder) for record, folder in zip(records, (one, other), strict=True)
    ]
    if csv:
        pd.DataFrame(rows).to_csv(sys.stdout, index=False)
        return
    console = output()
    console.print(f"A: {one}\nB: {other}", soft_wrap=True)
    shown = table("", "A", "B", "B / A")
    shown.add_row("status", *(row["status"] for row in rows), "")
    for name, title in ERRORS.items():
        shown.add_row(title, *(error(row[name]) for row in rows), ratio(rows[1][name], rows[0][name]))
    for name in COUNTS:
        values = (f"{row[name]:.1f}" if isinstance(row[name], float) else str(row[name]) for row in rows)
        shown.add_row(name.replace("_", " "), *values, ratio(rows[1][name], rows[0][name]))
    shown.add_row("stopped by", *(row["stage_reasons"].replace(";", ", ") for row in rows), "")
    console.print(shown)
    console.print(_unlike(*records), soft_wrap=True)


def _unlike(one: RunRecord, other: RunRecord) -> str:
    """In what the specifications and the code differ."""
    keys = list(unlike_keys(one.spec.model_dump(mode="json"), other.spec.model_dump(mode="json")))
    lines = [f"  {key}: {first}, {second}" for key, first, second in keys]
    codes = [record.provenance.fingerprint for record in (one, other)]
    code = "made by the same code" if codes[0] == codes[1] else f"made by other code: {codes[0]}, {codes[1]}"
    return "\n".join(["specifications differ in:" if keys else "the same specification", *lines, code])
