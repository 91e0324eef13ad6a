"""Whether the powers can be chosen before the training, and what fails, in sentences, of the table ``powers``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.page.claims import times

__all__ = ["powers_in", "powers_told"]

TABLE, BALANCING, BEST = "powers", "balancing over best", "its error"
NEAR = 2.0
"""So many times the smallest error or less is near it."""


def powers_in(tables: Sequence[Path]) -> list[str]:
    """What the table among ``tables`` says, for each numerics and backend."""
    path = next((path for path in tables if path.stem == TABLE), None)
    return powers_told(pd.read_csv(path)) if path else []


def powers_told(table: pd.DataFrame) -> list[str]:
    """A table of :func:`workflow.analysis.powers.powers` in sentences. The rule: the terms at the start tell the
    pair if the one that balances them is near the best on more than half of the problems."""
    if BALANCING not in table:
        return []
    return [
        text
        for (numerics, backend), rows in table.groupby(["numerics", "backend"], sort=False)
        for text in (_balance(rows, _where(rows, backend, numerics)), _failures(rows))
        if text
    ]


def _where(rows: pd.DataFrame, backend: str, numerics: str) -> str:
    """Backend, numerics and seeds: one seed tells nothing of the spread."""
    seeds = int(rows["seeds, fewest"].min())
    return f"{backend}, numerics {numerics}, {f'{seeds} seeds' if seeds > 1 else 'one seed, so not decided'}"


def _balance(rows: pd.DataFrame, where: str) -> str:
    near, count = int((rows[BALANCING] <= NEAR).sum()), len(rows)
    tell = "tell" if 2 * near > count else "do not tell"
    text = f"The terms at the start {tell} the powers ({where}): the pair that makes them most alike is within"
    text += f" {NEAR:g} times the smallest error on {near} of {count} problem{'s' if count > 1 else ''}"
    known = rows[BALANCING].dropna()
    if len(known):
        text += f", and costs {times(np.exp(np.log(known).mean()))} times it in geometric mean"
        text += f", {times(rows[BALANCING].max())} times at most" if np.isfinite(rows[BALANCING].max()) else ""
    plain = rows["error of (1, 1)"] / rows[BEST]
    if plain.notna().all():
        text += f"; the plain sum, (1, 1), costs {times(np.exp(np.log(plain).mean()))} times"
    return text + "."


def _failures(rows: pd.DataFrame) -> str:
    failed, runs = int(rows.failed.sum()), int(rows.runs.sum())
    if not failed:
        return f"None of the {runs} runs failed."
    left = {name: int(rows[f"{name} left"].sum()) for name in ("residual", "conditions")}
    return (
        f"Of {runs} runs {failed} failed: {left['residual']} left the residual where it was, or fell behind in it,"
        f" {left['conditions']} the conditions."
    )
