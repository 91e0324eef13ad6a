"""Whose mistake an exception is, and where it was made."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from solvers.paths import ROOT

__all__ = ["in_plugin", "trace"]

PLUGINS = (
    "problems",
    "solvers/balancing",
    "solvers/model/networks",
    "solvers/optimizers",
    "solvers/points/groupings",
    "solvers/points/samplers",
)
"""Folders of what a person adds as a file. Backends are none of them: all that is computed passes through them, so
that they are where others' mistakes come out."""


def in_plugin(error: BaseException) -> str | None:
    """``solvers/balancing/mine.py, line 12`` if that is the innermost line of the suite that ``error`` passed
    through and stands in a plug-in's file; else ``None``."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if not any(file.is_relative_to(ROOT / top) for top in ("problems", "solvers", "workflow")):
            continue
        place = file.relative_to(ROOT)
        plugin = place.parent.as_posix() in PLUGINS and place.stem != "base"
        return f"{place}, line {frame.lineno}" if plugin else None
    return None


def trace(error: BaseException) -> None:
    """Print the traceback of ``error`` and of what led to it, also where a message had hidden that."""
    for each in reversed(list(_causes(error))):
        with suppress(OSError):
            print("".join(traceback.format_exception(each, chain=False)), file=sys.stderr)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """``error``, what it was raised from or in place of, and so on; pydantic keeps it inside its own."""
    while error is not None:
        yield error
        inside = [
            detail.get("ctx", {}).get("error") for detail in (error.errors() if hasattr(error, "errors") else ())
        ]
        error = next(filter(None, inside), None) or error.__cause__ or error.__context__
