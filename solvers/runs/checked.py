"""Runs whose files are those that were written, for whatever draws or tabulates them."""

from collections.abc import Collection
from pathlib import Path

from solvers.runs.archive import verify
from solvers.runs.contents import check_contents
from solvers.runs.record import FILES, RunRecord, check_files, read_run

__all__ = ["checked_record"]


def checked_record(folder: Path, needed: Collection[str] = ()) -> RunRecord:
    """The record of the run in ``folder`` if its files have the checksums that they were written with and hold
    what they should; else :class:`solvers.runs.record.RecordError`, which names the file. One that is not in
    ``needed`` may be missing."""
    record = read_run(folder)
    if (folder / "archive.json").exists():
        verify(folder)  # the archive has checksums of its own, of what it has kept
    else:
        check_files(folder, record, [name for name in FILES if name in needed or (folder / name).exists()])
    check_contents(folder, record)
    return record
