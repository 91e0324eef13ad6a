"""Whether the runs made here agree with the archive's, in a sentence, of the table ``check``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflow.analysis.check import Agreement

__all__ = ["Check", "check_in", "checked"]

TABLE = "check"


@dataclass(frozen=True)
class Check:
    """The answer in a word, yes or no, and in sentences."""

    word: str
    text: str


def check_in(tables: Sequence[Path]) -> Check | None:
    """What the table among ``tables`` says; ``None`` if there is none, or nothing to compare with."""
    path = next((path for path in tables if path.stem == TABLE), None)
    return checked(pd.read_csv(path, keep_default_na=False)) if path else None


def checked(table: pd.DataFrame) -> Check | None:
    """A table of :func:`workflow.analysis.check.check` in sentences; ``None`` if no run was archived."""
    if "agreement" not in table:
        return None
    of = {name: table[table.agreement == name] for name in Agreement}
    compared = len(table) - len(of[Agreement.ABSENT])
    if not compared:
        return None
    same, within, outside = (len(of[name]) for name in (Agreement.SAME, Agreement.WITHIN, Agreement.OUTSIDE))
    parts = [
        f"{same + within} of {compared} runs made here agree with the archive's: {same} ended with the same error,"
        f" {within} within the spread of the archived seeds."
    ]
    if outside:
        named = of[Agreement.OUTSIDE].to_dict("records")
        parts.append(f"Outside: {'; '.join(map(_named, named))}.")
    if absent := len(of[Agreement.ABSENT]):
        parts.append(f"{absent} more have no archived run to be compared with.")
    return Check("no" if outside else "yes", " ".join(parts))


def _named(row: dict[str, object]) -> str:
    error, low, high = (float(str(row[name])) for name in ("relative L2", "smallest archived", "largest archived"))
    name = f"{row['experiment']} {row['method']}, {row['backend']}, seed {row['seed']}"
    return f"{name} ({error:.2e}; archived {low:.2e} to {high:.2e})"
