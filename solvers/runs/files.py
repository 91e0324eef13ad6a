"""Files and folders that are whole or not there: written beside their place, then moved into it. And files of
which nothing is known: read with a bound on what they may take."""

import ctypes
import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

__all__ = [
    "MOST_BYTES",
    "RecordError",
    "check_plain",
    "folder_beside",
    "read_json",
    "read_record",
    "replace_file",
    "replace_folder",
    "take_back",
]

TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
AT_FDCWD, RENAME_EXCHANGE = -100, 2
MOST_BYTES = 2**30
"""Largest size of a file of a run, and of all arrays in it: more than the longest run of the paper has a hundred
times, and less than a machine has."""
MOST_TEXT_BYTES = 2**24
"""Largest size of a file of JSON."""
DEEPEST = 64
"""Lists and mappings inside each other in a file of JSON: a record has ten or so."""


class RecordError(Exception):
    """A file of a run that is not what it should be; the message names the file and what is wrong."""


def folder_beside(folder: Path) -> Path:
    """Where the checkpoint of the run in ``folder`` is, and what else is kept while it is made.

    Not in the run's own folder, which a finished run replaces as a whole.
    """
    return folder.with_name(f".{folder.name}.checkpoint")


def check_plain(path: Path, most: int = MOST_BYTES) -> None:
    """``OSError`` if ``path`` is not there or is no plain file, which could be read for ever; ``ValueError`` if it
    is larger than ``most`` bytes."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is no plain file")
    if found.st_size > most:
        raise ValueError(f"has {found.st_size} bytes; at most {most} are read")


def read_json(path: Path) -> Any:
    """The data of a file of JSON. Raises ``OSError`` if it cannot be read, ``ValueError`` if it is no strict JSON
    (NaN and Infinity are none), too large or nested too deeply."""
    check_plain(path, MOST_TEXT_BYTES)
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    inside = [data]
    for _ in range(DEEPEST):
        inside = [value for outer in inside for value in _values(outer)]
    if inside:
        raise ValueError(f"is nested more than {DEEPEST} deep")
    return data


def read_record(path: Path) -> Any:
    """:func:`read_json` of a file that this suite wrote; :class:`RecordError` if it is missing or damaged."""
    try:
        return read_json(path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise RecordError(f"{path}: is damaged: not JSON: {error}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _values(data: Any) -> Iterable[Any]:
    if isinstance(data, dict):
        return data.values()
    return data if isinstance(data, list) else ()


def replace_file(path: Path, content: bytes, durable: bool = True) -> None:
    """Put ``content`` at ``path`` in one step; if ``durable``, once it is on the disk.

    Raises ``OSError``; the old file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def replace_folder(new: Path, place: Path, spare: Path, names: Collection[str]) -> None:
    """Put the folder ``new`` in the place of the one at ``place``, if there is one; all on one file system.

    Where the system can exchange two folders that is one step. Elsewhere they are two, between which the old
    folder is at ``spare``: :func:`take_back` mends what a kill leaves there. What ``place`` holds beside the files
    ``names`` stays in it. Raises ``OSError``; the old folder is then as it was.
    """
    try:
        new.rename(place)  # nothing is there, or an empty folder
        return
    except OSError as error:
        if error.errno not in TAKEN:
            raise
    if _exchange(new, place):
        take_back(new, place, names)
        return
    place.rename(spare)
    try:
        new.rename(place)
    except OSError:
        spare.rename(place)
        raise
    take_back(spare, place, names)


def take_back(left: Path, place: Path, names: Collection[str]) -> None:
    """Remove the folder ``left`` that was in the place of ``place``, or was to be: it goes there if nothing is,
    else what it holds beside the files ``names`` does."""
    if not left.is_dir():
        return
    try:
        left.rename(place)
        return
    except OSError as error:
        if error.errno not in TAKEN:
            raise
    for path in left.iterdir():
        if path.name not in names and not (place / path.name).exists():
            path.rename(place / path.name)
    shutil.rmtree(left, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; whether system and file system can."""
    function = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform.startswith("linux") else None
    return function is not None and (
        function(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0
    )
