"""The sentences with which a page begins: what is claimed, what was found, over how many seeds, what is an
exception, what is missing and why, and how the frameworks compare. Every number in them is counted from tables."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.judging import UNDECIDED, Verdict
from workflow.analysis.statistics import median
from workflow.analysis.summary import axes_of, errors, grouped_by
from workflow.campaign.plan import read_campaign
from workflow.manifest import Manifest, read_manifest
from workflow.page.beyond import beyond_in
from workflow.page.choices import choices_in
from workflow.page.claims import times
from workflow.page.floor import floors_told
from workflow.page.frameworks import in_a_sentence
from workflow.page.leaderboard import TOLD, board_told
from workflow.page.powers import powers_in
from workflow.page.rules import rules_in

__all__ = ["Kind", "kind_of", "opening"]

FEW = 4  # more names than this are counted


class Kind:
    """What a page is about: the paper under its own conditions, the paper under others, or something else."""

    PAPER, OTHER_CONDITIONS, OWN = "paper", "other conditions", "own"


def kind_of(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """A :class:`Kind`: of the paper, if a run is of a row of the authors with a known error."""
    manifest = read_manifest(catalogue)
    judged = {(row.experiment, row.method) for row in manifest.rows if row.rule == "error"}
    if axes_of(summary) or not judged & set(zip(summary.experiment, summary.method, strict=True)):
        return Kind.OWN
    rules = manifest.rules
    papers = (summary.scale == rules.scale) & (summary.numerics == rules.numerics)
    return Kind.PAPER if papers.any() else Kind.OTHER_CONDITIONS


def opening(summary: pd.DataFrame, tables: Sequence[Path], catalogue: Catalogue) -> list[str]:
    """Four to six sentences, as far as there is something to say."""
    kind, manifest = kind_of(summary, catalogue), read_manifest(catalogue)
    if kind == Kind.OWN:
        told = _own(summary, catalogue)
        board = {path.stem: pd.read_csv(path) for path in tables if path.stem in TOLD}
        if chosen := [*board_told(board), *choices_in(tables), *powers_in(tables), *rules_in(tables)]:
            told = [told[0], *chosen]
    else:
        read = {path.stem: pd.read_csv(path, keep_default_na=False) for path in tables}
        claims, verdicts = read.get("claims", pd.DataFrame()), read.get("verdicts", pd.DataFrame())
        if kind == Kind.PAPER:
            told = [_claimed(manifest), _held(claims, manifest), *_rows(verdicts, manifest)]
            told.append(_missing(verdicts, manifest, catalogue))
        else:
            told = [_not_the_papers(summary, manifest), _pointing(claims), _in_order(read.get("ranking"))]
        told += [f"Beyond the paper, {text}" for text in beyond_in(tables)[:1]]
        told += _not_in_the_paper(summary, manifest, catalogue)
    return [sentence for sentence in [*told, floors_told(summary), in_a_sentence(tables)] if sentence]


def _named(names: Sequence[str], noun: str = "") -> str:
    """Names, or if there are many their number and the first ones."""
    names = list(names)
    if len(names) <= FEW:
        return ", ".join(names)
    return f"{len(names)}{f' {noun}' if noun else ''}, among them {', '.join(names[: FEW - 1])}"


def _claimed(manifest: Manifest) -> str:
    stated = [claim.claim for claim in manifest.claims.list]
    return f"The paper's claims that are judged here: {'; '.join(stated)}."


def _papers(table: pd.DataFrame) -> pd.DataFrame:
    """The rows under the paper's conditions."""
    return table[table["paper's conditions"].astype(str) == "True"] if len(table) else table


def _held(claims: pd.DataFrame, manifest: Manifest) -> str:
    """How many of the claims hold, by the pairs of all backends under the paper's conditions."""
    own = _papers(claims)
    outcomes = {name: set(pairs.outcome) for name, pairs in own.groupby("claim")} if len(own) else {}
    words: dict[str, list[str]] = {"hold": [], "hold in part": [], "do not hold": [], "undecided": []}
    for claim in manifest.claims.list:
        found = outcomes.get(claim.name, set())
        both = ("holds" in found, "contradicted" in found)
        key = {(True, False): "hold", (True, True): "hold in part", (False, True): "do not hold"}
        words[key.get(both, "undecided")].append(claim.name)
    parts = []
    for word, names in words.items():
        if names and word != "undecided":
            everywhere = " in every pair that was decided" if word == "hold" else ""
            parts.append(f"{len(names)} {_verb(word, len(names))}{everywhere}")
    if undecided := len(words["undecided"]):
        parts.append(f"{undecided} {'is' if undecided == 1 else 'are'} not decided yet")
    decided = own[own.outcome.isin(["holds", "contradicted"])] if len(own) else own
    against = int((decided.outcome == "contradicted").sum()) if len(own) else 0
    seeds = f", over {_range(decided.seeds)} seeds each" if len(decided) else ""
    count = len(manifest.claims.list)
    return (
        f"Of these {count} claims, {', '.join(parts)}: {len(decided)} of {len(own)} comparisons"
        f" of two methods on a backend {'is' if len(decided) == 1 else 'are'} decided{seeds},"
        f" and {against or 'none'} of them contradict{'' if against > 1 else 's'} the paper."
    )


def _verb(word: str, count: int) -> str:
    return word if count != 1 else word.replace("hold", "holds").replace("do not holds", "does not hold")


def _range(values: pd.Series) -> str:
    low, high = int(values.astype(int).min()), int(values.astype(int).max())
    return f"{low}" if low == high else f"{low} to {high}"


def _judged(verdicts: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """Verdicts under the paper's conditions on rows with an error of the authors."""
    own = _papers(verdicts)
    keys = {(row.experiment, row.method) for row in manifest.rows if row.rule == "error"}
    return own[[key in keys for key in zip(own.experiment, own.method, strict=True)]] if len(own) else own


def _rows(verdicts: pd.DataFrame, manifest: Manifest) -> list[str]:
    """Row by row: how many are reproduced, and the exceptions."""
    judged, told = _judged(verdicts, manifest), []
    total = sum(row.rule == "error" for row in manifest.rows)
    for backend, own in judged.groupby("backend", sort=False):
        counts = Counter(own.verdict)
        undecided = sum(counts[verdict] for verdict in UNDECIDED)
        said = [f"{counts[v]} {v}" for v in Verdict if counts[v] and v not in UNDECIDED]
        seeds = [len(str(text).split(";")) for text in own.seeds]
        told.append(
            f"{backend}: {len(own)} have been run, over {_range(pd.Series(seeds))} seeds:"
            f" {', '.join([*said, f'{undecided} not decided'])}"
        )
    rows = f"Of the {total} rows for which the authors give an error, on {'; on '.join(told)}." if told else ""
    return [rows, _exceptions(judged)]


def _exceptions(judged: pd.DataFrame) -> str:
    """Rows whose error is not near the authors'."""
    parts = []
    for verdict, word in ((Verdict.WORSE, "higher"), (Verdict.BETTER, "lower")):
        for row in judged[judged.verdict == verdict].to_dict("records"):
            ratio, name = times(row["median / authors"]), f"{row['experiment']} {row['method']}"
            parts.append(f"{name} on {row['backend']} is {word}, {ratio} times the authors' error")
    return f"Exceptions: {'; '.join(parts)}." if parts else ""


def _missing(verdicts: pd.DataFrame, manifest: Manifest, catalogue: Catalogue) -> str:
    """Rows with an error of the authors that no backend was run with, and why; and rows without one."""
    judged = _judged(verdicts, manifest)
    run = set(zip(judged.experiment, judged.method, strict=True)) if len(judged) else set()
    without = read_campaign(catalogue).without
    left = [row for row in manifest.rows if row.rule == "error" and (row.experiment, row.method) not in run]
    reasons: dict[str, list[str]] = {}
    for row in left:
        why = next(
            (w.because for w in without if w.holds(row.experiment, row.method)), "not run yet, for want of time"
        )
        reasons.setdefault(why, []).append(f"{row.experiment} {row.method}")
    parts = [f"{', '.join(names)} ({why})" for why, names in reasons.items()]
    nothing = sum(row.rule != "error" for row in manifest.rows)
    if not parts:
        return (
            f"None of these rows is missing; {nothing} further rows of the authors have no error to compare with."
        )
    return (
        f"Missing on every backend: {len(left)} of these rows, {'; '.join(parts)}; {nothing} further rows of the"
        " authors have no error to compare with."
    )


def _not_the_papers(summary: pd.DataFrame, manifest: Manifest) -> str:
    seeds = summary.groupby(grouped_by(summary)).seed.nunique()
    scale = summary.scale.iloc[0]
    why = f"the budget of the scale {scale}" if scale != manifest.rules.scale else "other numerics"
    one = len(summary) == 1
    return (
        f"{'This run' if one else f'These {len(summary)} runs'}, over {_range(seeds)}"
        f" seed{'s' if seeds.max() > 1 else ''} a method, {'has' if one else 'have'} {why}, not the paper's: no"
        " error on this page confirms or refutes the paper; what they show is which method is better here."
    )


def _not_in_the_paper(summary: pd.DataFrame, manifest: Manifest, catalogue: Catalogue) -> list[str]:
    """Problems that stand beside the paper's on one page: which, and the best method of each."""
    own = summary[~summary.experiment.isin({row.experiment for row in manifest.rows})]
    if own.empty:
        return []
    _, *best = _own(own, catalogue)
    names = _named(own.experiment.unique(), "experiments")
    return [f"Not of the paper, and so without a number of the authors: {names}.", *best]


def _pointing(claims: pd.DataFrame) -> str:
    """What the pairs of the paper's claims point to at this budget."""
    run = claims[claims.outcome != "not run"] if len(claims) else claims
    if run.empty:
        return ""
    both = {
        side: int(((run.outcome == outcome) | (run["so far"] == word)).sum())
        for side, outcome, word in (("for", "holds", "for"), ("against", "contradicted", "against"))
    }
    decided = int(run.outcome.isin(["holds", "contradicted"]).sum())
    return (
        f"Of the {len(run)} comparisons of two methods that the paper's claims rest on, {both['for']} point its"
        f" way at this budget, {both['against']} the other way and {len(run) - sum(both.values())} neither way;"
        f" {decided} of them are decided by interval and seeds."
    )


def _in_order(ranking: pd.DataFrame | None) -> str:
    if ranking is None or "pairs" not in ranking or not ranking.pairs.astype(int).sum():
        return ""
    pairs, alike = ranking.pairs.astype(int).sum(), ranking["pairs ordered alike"].astype(int).sum()
    # Pairs of one problem share methods: the p-value is the smallest that can be claimed.
    chance = binomtest(int(alike), int(pairs), alternative="greater").pvalue
    return (
        f"In {alike} of {pairs} pairs of methods, the one with the smaller error is the same as in the paper (sign"
        f" test, if the pairs were independent: p = {chance:.2g})."
    )


def _own(summary: pd.DataFrame, catalogue: Catalogue) -> list[str]:
    """A page without any number of the authors: the best method of each experiment."""
    keys = grouped_by(summary)
    seeds = summary.groupby(keys).seed.nunique()
    failed = int((summary.status != "finished").sum())
    count = summary.method.nunique()
    told = [
        f"{count} method{'s' if count != 1 else ''} on {_named(summary.experiment.unique(), 'experiments')}, over"
        f" {_range(seeds)} seed{'s' if seeds.max() > 1 else ''}: {len(summary)} runs,"
        f" of which {failed if failed else 'none'} did not finish; {_compared(summary, catalogue)}."
    ]
    for experiment, runs in list(summary.groupby("experiment", sort=False))[:FEW]:
        ranked = sorted((median(errors(own)), key) for key, own in runs.groupby(keys[1:], sort=False))
        (best, key), (worst, last) = ranked[0], ranked[-1]
        if np.isinf(best):
            told.append(f"{experiment}: no run of it finished.")
            continue
        title = catalogue.experiment(experiment).title
        shown = f"{worst:.2e}" if np.isfinite(worst) else "infinite, for runs that did not finish"
        largest = f"; the largest, {shown}, {_point(keys, last)}" if len(ranked) > 1 else ""
        told.append(f"{title}: the smallest median error, {best:.2e}, has {_point(keys, key)}{largest}.")
    return told


def _compared(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """What is known of these problems."""
    known = [name for name in summary.experiment.unique() if catalogue.experiment(name).published]
    if not known:
        return "there is no number of a paper to compare with"
    return f"others publish errors for {_named(known, 'experiments')}, with set-ups of their own"


def _point(keys: Sequence[str], values: Sequence[Any]) -> str:
    """A method with backend and numerics, and the values of a study's axes."""
    method, numerics, backend, *rest = values
    axes = "".join(f", {name} = {value}" for name, value in zip(keys[4:], rest, strict=True))
    return f"{method} on {backend} (numerics {numerics}){axes}"
