"""How commands speak: results on standard output, messages on standard error, what cannot be written dropped."""

import math
import os
import sys
from contextlib import suppress

from rich.console import Console
from rich.table import Table

from solvers.configuration.strict_yaml import one_line

__all__ = ["close_output", "error", "output", "ratio", "table", "warn"]

ANY_WIDTH = 10_000


def output() -> Console:
    """Standard output for results with tables: what is no terminal takes lines of any length."""
    return Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else ANY_WIDTH)


def table(*columns: str) -> Table:
    """A plain table, the first column of texts, the others of numbers."""
    found = Table(box=None, pad_edge=False)
    for i, column in enumerate(columns):
        found.add_column(column, justify="right" if i else "left", no_wrap=True)
    return found


def error(value: float | None) -> str:
    """An error as it is printed."""
    return "unknown" if value is None or math.isnan(value) else f"{value:.3e}"


def ratio(second: float | None, first: float | None) -> str:
    """How many times ``first`` goes into ``second``, to three digits."""
    if not first or second is None or math.isnan(first) or math.isnan(second):
        return "-"
    return f"{second / first:.3g}"


def warn(message: str) -> None:
    """One line of what is wrong, where that can be said."""
    with suppress(OSError):
        print(one_line(" ".join(message.split())), file=sys.stderr, flush=True)


def close_output() -> None:
    """What cannot be written is dropped: else the interpreter complains of it when it ends."""
    with suppress(OSError, ValueError):  # a stand-in of a test has no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
