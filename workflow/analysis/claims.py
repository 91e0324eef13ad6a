"""The claims of the paper, pair by pair, by the rules of ``config/paper/manifest.yaml``."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from solvers.optimizers import StopReason
from workflow.analysis.stages import stalls
from workflow.analysis.statistics import Paired, median, paired
from workflow.analysis.summary import errors, split
from workflow.manifest import Claim, Claims, Manifest, Pair, read_manifest

__all__ = ["Outcome", "Reason", "claims"]


class Outcome(StrEnum):
    """What our runs say of a pair of methods."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    OPEN = "open"
    NOT_RUN = "not run"


class Reason(StrEnum):
    """Why a pair is open."""

    STALLED = "stalled"
    FEW = "too few seeds"
    SPREAD = "the interval holds 1"
    UNFINISHED = "a run did not finish"
    BUDGET = "all budgets were used up"
    NONE = ""


@dataclass(frozen=True)
class _Compared:
    """The runs of baseline and method on the seeds that both have, in their order, with what is measured."""

    baseline: pd.DataFrame
    method: pd.DataFrame
    measured: Paired

    @property
    def errors(self) -> tuple[float, float]:
        """Medians of the relative L2 errors."""
        return median(errors(self.baseline)), median(errors(self.method))


def claims(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """What the paper claims, pair by pair: a baseline without what it proposes and a method with it, on equal
    seeds, by rules in config/paper/manifest.yaml. A pair holds, is contradicted, is open (half of the runs of one
    stalled, fewer than three seeds, an interval that holds 1) or was not run. Medians are those of the relative L2
    errors, or of the iterations of all stages; the ratio is the baseline's over the method's (geometric mean over
    the seeds, 95 % t interval). The sign test needs no more than an order; with n seeds its p-value is at least
    2^(1-n). So far: what a pair points to that is open, but not for a stall, which points nowhere; it counts as
    nothing."""
    manifest = read_manifest(catalogue)
    rows = []
    for (numerics, backend), runs in summary.groupby(["numerics", "backend"], sort=False):
        papers = runs.scale.iloc[0] == manifest.rules.scale and numerics == manifest.rules.numerics
        for claim in manifest.claims.list:
            for pair in claim.pairs:
                named = {"claim": claim.name, "stated": claim.claim, "measure": claim.measure}
                named |= {"experiment": pair.experiment, "baseline": pair.baseline, "method": pair.method}
                named |= {"numerics": numerics, "backend": backend, "paper's conditions": papers}
                rows.append(named | _pair(runs, pair, claim, manifest, catalogue))
    return pd.DataFrame(rows).assign(**{"rules fixed on": manifest.claims.fixed})


def _pair(
    runs: pd.DataFrame, pair: Pair, claim: Claim, manifest: Manifest, catalogue: Catalogue
) -> dict[str, object]:
    own = runs[runs.experiment == pair.experiment]
    one, other = (own[own.method == name].set_index("seed") for name in (pair.baseline, pair.method))
    seeds = one.index.intersection(other.index).sort_values()
    baseline, method = one.loc[seeds], other.loc[seeds]
    compared = _Compared(baseline, method, paired(_measure(method, claim), _measure(baseline, claim)))
    methods = catalogue.experiment(pair.experiment).methods
    stalled = [
        len(stalls(part, methods[name].authors, manifest.rules.stall))
        for part, name in ((baseline, pair.baseline), (method, pair.method))
    ]
    outcome, reason = _outcome(compared, claim, stalled, manifest)
    pointing = outcome == Outcome.OPEN and reason != Reason.STALLED
    found = compared.measured
    return {
        "outcome": str(outcome),
        "open because": str(reason),
        "so far": _so_far(compared, claim, manifest.claims) if pointing else "",
        "seeds": len(seeds),
        "baseline, median": median(_measure(baseline, claim)) if len(seeds) else np.nan,
        "method, median": median(_measure(method, claim)) if len(seeds) else np.nan,
        "ratio": found.ratio,
        "low": found.low,
        "high": found.high,
        "method smaller": found.a_smaller,
        "p, t test": found.t,
        "p, sign test": found.sign if len(seeds) else np.nan,
        "smallest p of the sign test": found.smallest_sign if len(seeds) else np.nan,
        "baseline, stalled": stalled[0],
        "method, stalled": stalled[1],
        "authors, baseline": _authors(catalogue, pair, pair.baseline, claim),
        "authors, method": _authors(catalogue, pair, pair.method, claim),
        "missing": ";".join(name for name, part in ((pair.baseline, one), (pair.method, other)) if part.empty),
    }


def _measure(runs: pd.DataFrame, claim: Claim) -> np.ndarray:
    """What a claim is judged by: iterations of all stages, or errors; infinite for a run that did not finish."""
    if claim.measure == "iterations":
        return runs.iterations.where(runs.status == "finished", np.inf).to_numpy(dtype=float)
    return errors(runs)


def _outcome(compared: _Compared, claim: Claim, stalled: list[int], manifest: Manifest) -> tuple[Outcome, Reason]:
    """By the first rule of the manifest that holds."""
    count = len(compared.baseline)
    if not count:
        return Outcome.NOT_RUN, Reason.NONE
    if 2 * max(stalled) >= count:
        return Outcome.OPEN, Reason.STALLED
    if count < manifest.rules.seeds:
        return Outcome.OPEN, Reason.FEW
    return _by_measure(compared, claim, manifest.claims)


def _by_measure(compared: _Compared, claim: Claim, rules: Claims) -> tuple[Outcome, Reason]:
    without, with_ = compared.errors
    if claim.measure == "fall":
        fell = without > rules.above and with_ < rules.below
        return (Outcome.HOLDS if fell else Outcome.CONTRADICTED), Reason.NONE
    if claim.measure == "iterations":
        if _used_up(compared):
            return Outcome.OPEN, Reason.BUDGET
        if with_ > without:
            return Outcome.CONTRADICTED, Reason.NONE
    found = compared.measured
    if np.isnan(found.ratio):
        return Outcome.OPEN, Reason.UNFINISHED
    if found.low > 1:
        return Outcome.HOLDS, Reason.NONE
    return (Outcome.CONTRADICTED, Reason.NONE) if found.high < 1 else (Outcome.OPEN, Reason.SPREAD)


def _used_up(compared: _Compared) -> bool:
    """Whether all stages of all runs ended with their budgets."""
    ends = [*compared.baseline.stage_reasons, *compared.method.stage_reasons]
    limits = (StopReason.ITERATION_LIMIT, StopReason.EVALUATION_LIMIT)
    return all(reason in limits for text in ends for reason in split(text))


def _so_far(compared: _Compared, claim: Claim, rules: Claims) -> str:
    """What an open pair points to: ``for`` the claim, ``against`` it, or nothing."""
    outcome, reason = _by_measure(compared, claim, rules)
    if outcome == Outcome.OPEN:
        ratio = np.nan if reason == Reason.BUDGET else compared.measured.ratio
        return "" if np.isnan(ratio) or ratio == 1 else "for" if ratio > 1 else "against"
    return "for" if outcome == Outcome.HOLDS else "against"


def _authors(catalogue: Catalogue, pair: Pair, method: str, claim: Claim) -> float:
    """The authors' error, or their iterations of all stages; missing if not known."""
    authors = catalogue.experiment(pair.experiment).methods[method].authors
    if claim.measure != "iterations":
        return np.nan if authors.rel_l2 is None else authors.rel_l2
    counts = [authors.adam_steps, *(authors.lbfgs_iterations or [None])]
    return float(np.sum([np.nan if count is None else float(count) for count in counts]))
