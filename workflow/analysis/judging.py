"""The verdict on a row of the authors' results, by the rules of ``config/paper/manifest.yaml``."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from workflow.analysis.stages import Stage
from workflow.analysis.statistics import quartiles
from workflow.manifest import Rules

__all__ = ["UNDECIDED", "Judgement", "Verdict", "judge"]


class Verdict(StrEnum):
    """What became of a row of the authors' results."""

    REPRODUCED = "reproduced"
    BETTER = "better"
    WORSE = "worse"
    FAILED = "failed as in the paper"
    SCATTERED = "scattered"
    STALLED = "stalled"
    TOO_FEW = "too few seeds"
    NOT_COMPARABLE = "not comparable"


DIRECTIONS = {
    Verdict.REPRODUCED: "near the authors'",
    Verdict.BETTER: "lower",
    Verdict.WORSE: "higher",
    Verdict.FAILED: "failed as well",
    Verdict.SCATTERED: "scattered",
}
"""What errors point to, in words that are no verdict."""

UNDECIDED = (Verdict.SCATTERED, Verdict.STALLED, Verdict.TOO_FEW)
"""Verdicts that neither confirm nor refute."""


@dataclass(frozen=True)
class Judgement:
    """A verdict, and why in words; ``so_far``: where it is not known yet, what the errors point to."""

    verdict: Verdict
    because: str
    so_far: str = ""


def judge(authors: float | None, ours: Sequence[float], stalls: Sequence[Stage], rules: Rules) -> Judgement:
    """The verdict by the first rule of the manifest that holds.

    ``authors`` and ``ours`` are relative L2 errors, ours by seed and infinite for a run that did not finish;
    ``stalls``: for each run of them that stalled, its first such stage.
    """
    if authors is None:
        return Judgement(Verdict.NOT_COMPARABLE, "the authors' error is not known")
    found = _by_errors(authors, ours, rules)
    if 2 * len(stalls) >= len(ours):
        why = f"rounding ended {len(stalls)} of {len(ours)} runs early ({stalls[0]})"
        return Judgement(Verdict.STALLED, f"{why}; {found.because}", DIRECTIONS[found.verdict])
    if len(ours) < rules.seeds:
        why = f"{len(ours)} of at least {rules.seeds} seeds; {found.because}"
        return Judgement(Verdict.TOO_FEW, why, DIRECTIONS[found.verdict])
    return found


def _by_errors(authors: float, ours: Sequence[float], rules: Rules) -> Judgement:
    if authors > rules.failed_above:
        return _where_the_authors_failed(ours, rules)
    low, middle, high = quartiles(ours)
    ratio = _as_shown(middle / authors)
    why = f"the median is {ratio:.3g} times the authors'" + _unfinished(ours)
    if ratio > rules.factor:
        return Judgement(Verdict.WORSE, f"{why}: higher")
    if _as_shown(high / low) > rules.scatter:
        return Judgement(Verdict.SCATTERED, f"{why}, but the quartiles are {low:.2e} and {high:.2e}")
    if ratio >= 1 / rules.factor:
        return Judgement(Verdict.REPRODUCED, f"{why}: within a factor of {rules.factor:g}")
    return Judgement(Verdict.BETTER, f"{why}: lower")


def _where_the_authors_failed(ours: Sequence[float], rules: Rules) -> Judgement:
    low, _, high = quartiles(ours)
    why, limit = f"the authors' is above {rules.failed_above:.0%}", rules.failed_above
    if low > limit:
        return Judgement(Verdict.FAILED, f"{why}, and so are ours" + _unfinished(ours))
    if high <= limit:
        return Judgement(Verdict.BETTER, f"{why}, ours are below: their failure is not reproduced")
    return Judgement(Verdict.SCATTERED, f"{why}, ours are on both sides of it: quartiles {low:.2e} and {high:.2e}")


def _unfinished(ours: Sequence[float]) -> str:
    count = int(np.isinf(ours).sum())
    return f" ({count} of {len(ours)} did not finish)" if count else ""


def _as_shown(ratio: float) -> float:
    """``ratio`` in three digits."""
    return float(f"{ratio:.3g}")
