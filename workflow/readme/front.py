"""The generated parts of the README's front: what was found, in a few sentences and one table."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from solvers import backends as frameworks
from solvers.configuration.catalogue import Catalogue
from workflow.analysis.backends import Difference, backends
from workflow.analysis.beyond import beyond
from workflow.analysis.claims import claims
from workflow.analysis.judging import UNDECIDED, Verdict
from workflow.analysis.verdicts import verdict_counts
from workflow.manifest import read_manifest
from workflow.page.beyond import BEST, beyond_told
from workflow.page.claims import told
from workflow.page.floor import floors_told
from workflow.page.sentences import in_sentences
from workflow.readme.blocks import markdown, wrapped

__all__ = ["answer_block", "claims_table_block", "frameworks_block", "frameworks_table_block"]

NAMES = {"jax": "JAX", "torch": "PyTorch"}
LEAST_SEEDS = 3
UNTOLD = (Difference.NONE_FINISHED, Difference.ONE_SEED, Difference.OTHER_SEEDS)
"""What two backends show of each other if there is nothing to compare."""


def _name(backend: str) -> str:
    return NAMES.get(backend, backend)


def answer_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """How many of the authors' rows were run under the paper's conditions, how many are decided, and how; what
    methods beyond the paper come to; and what a classical solver does."""
    rows = verdict_counts(summary, catalogue).to_dict("records")
    lines = [_answer(row) for row in rows if row["paper's conditions"]]
    left = [name for name in frameworks.names() if name not in set(summary.backend)]
    lines += [f"**{_name(name)}**: no row has been run yet." for name in left]
    told = beyond_told(_seen_often(beyond(summary, catalogue)))
    lines += [f"**Beyond the paper** ([curvature](docs/curvature.md)): {text}" for text in told]
    lines += [
        f"**The floor** ([results](docs/results.md#the-floor)): {text}" for text in [floors_told(summary)] if text
    ]
    return "\n".join(wrapped(line, "* ") for line in lines)


def _seen_often(table: pd.DataFrame) -> pd.DataFrame:
    """Methods beyond the paper with enough seeds on every problem that they were run on and that the authors give
    an error for: fewer say nothing of the spread, and stand in docs/curvature.md alone."""
    if BEST not in table:
        return table
    known = table[table[BEST].notna()]
    return known[known.groupby(["method", "numerics", "backend"]).runs.transform("min") >= LEAST_SEEDS]


def _answer(row: Mapping[str, Any]) -> str:
    counts = {verdict: row[verdict] for verdict in Verdict if row[verdict]}
    decided = {verdict: count for verdict, count in counts.items() if verdict not in UNDECIDED}
    rows = f"{row['rows run']} of the authors' {row['rows of the authors']} rows"
    text = (
        f"**{_name(row['backend'])}**: {rows} have been run, in {row['runs']} runs. Decided: {_listed(decided)}."
    )
    undecided = {verdict: count for verdict, count in counts.items() if verdict in UNDECIDED}
    return f"{text} Not decided: {_listed(undecided)}."


def _listed(counts: Mapping[Verdict, int]) -> str:
    if not counts:
        return "none"
    return f"**{sum(counts.values())}** ({', '.join(f'{count} {verdict}' for verdict, count in counts.items())})"


def claims_table_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """A row for each claim of the paper: what the runs with the paper's numerics say of it, by framework."""
    found = claims(summary, catalogue)
    papers = read_manifest(catalogue).rules.numerics
    rows = []
    for claim, (_, pairs) in zip(told(found), found.groupby("stated", sort=False), strict=True):
        words = {line.axes["backend"]: line.word for line in claim.lines if line.axes["numerics"] == papers}
        own = pairs[pairs.numerics == papers]
        counts = {name: Counter(own.outcome[own.backend == name]) for name in frameworks.names()}
        rows.append(
            {"what the paper claims": claim.claim}
            | {_name(n): _claim(words.get(n, "not run"), counts[n]) for n in frameworks.names()}
        )
    return markdown(pd.DataFrame(rows))


def _claim(word: str, outcomes: Mapping[str, int]) -> str:
    parts = [
        f"{outcomes[name]} {name}" for name in ("holds", "contradicted", "open", "not run") if outcomes.get(name)
    ]
    return f"**{word}** (pairs: {', '.join(parts)})" if parts else f"**{word}**"


def _compared(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The methods that two backends made, a row for each; empty if there are none."""
    table = backends(summary, catalogue)
    return table if "verdict" in table else pd.DataFrame()


def frameworks_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """Whether the frameworks differ, and what an evaluation costs in each, in sentences."""
    table = _compared(summary, catalogue)
    if table.empty:
        return "No method has been run on two frameworks yet."
    return "\n\n".join(wrapped(_pair(*names, own)) for names, own in table.groupby(["a", "b"], sort=False))


def _pair(a: str, b: str, own: pd.DataFrame) -> str:
    told = own[~own.verdict.isin(UNTOLD)]
    differ = int((told.verdict != Difference.NONE).sum())
    one, other = _name(a), _name(b)
    text = (
        f"{len(own)} methods have been run on both {one} and {other} with the paper's numerics, from equal points"
        f" and weights; {len(told)} of them on more than one seed. "
    )
    if len(told):
        text += (
            "**A difference in error or evaluations beyond rounding chaos is seen in"
            f" {differ or 'none'} of these {len(told)}**; the error of {other} is"
            f" {_span(told['error b / a'])} times that of {one}. "
        )
    names = ("CPU ms per evaluation", "peak memory MiB")
    cost, memory = (own[f"{name}, b"] / own[f"{name}, a"] for name in names)
    return text + (
        f"An evaluation of loss and gradient takes {other} {_span(cost)} times the CPU time of {one} (median"
        f" {np.median(cost):.2g}), and a run {_span(memory)} times its memory (median {np.median(memory):.2g})."
    )


def _span(values: pd.Series) -> str:
    low, high = f"{values.min():.2g}", f"{values.max():.2g}"
    return low if low == high else f"{low} to {high}"


def frameworks_table_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """A row for each method that two frameworks made: errors, evaluations and costs."""
    table = _compared(summary, catalogue)
    if table.empty:
        return frameworks_block(summary, catalogue)
    sentences = in_sentences(table.astype(str), "backends").verdict
    rows = [
        {
            "experiment": row["experiment"],
            "method": row["method"],
            "seeds": row["seeds"],
            "error, ratio [95 %]": _ratio(row, "error"),
            "evaluations, ratio [95 %]": _ratio(row, "evaluations"),
            "CPU ms per evaluation": _both(row, "CPU ms per evaluation", ".3g"),
            "peak MiB": _both(row, "peak memory MiB", ".0f"),
            "verdict": sentence,
        }
        for row, sentence in zip(table.to_dict("records"), sentences, strict=True)
    ]
    return f"{frameworks_block(summary, catalogue)}\n\n{markdown(pd.DataFrame(rows))}"


def _both(row: Mapping[str, Any], name: str, form: str) -> str:
    return "; ".join(f"{row[f'{name}, {which}']:{form}}" for which in "ab")


def _ratio(row: Mapping[str, Any], name: str) -> str:
    ratio = f"{row[f'{name} b / a']:.3g}"
    low, high = row[f"{name} low"], row[f"{name} high"]
    return ratio if np.isnan(low) else f"{ratio} [{low:.3g}, {high:.3g}]"
