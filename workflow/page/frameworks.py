"""Backends against each other, in sentences that can be quoted and a table of both, of the tables of backends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow.page.claims import times
from workflow.page.sentences import in_sentences
from workflow.page.tables import Anchors, Link, Table, from_frame

__all__ = ["Frameworks", "frameworks", "in_a_sentence"]

OVERALL, ROWS = "backends-overall", "backends"
SPENT, START, COMPILE, MEMORY = "CPU ms per evaluation", "start-up seconds", "compile seconds", "peak memory MiB"
CONVENTION = (
    "Both frameworks start from the same points and initial weights with the same optimizer, and each run has one"
    " thread on one core. CPU time is compared, since wall time also holds the waits for other runs."
)


@dataclass(frozen=True)
class Frameworks:
    """The section: its title, sentences, and a row for each method that was run on both."""

    title: str
    sentences: list[str]
    table: Table


def frameworks(tables: Sequence[Path], anchors: Anchors, link: Link) -> Frameworks | None:
    """The section of the tables named above; none if no method was run on two backends."""
    overall, rows = (_read(tables, name) for name in (OVERALL, ROWS))
    if "a" not in overall or "a" not in rows:
        return None
    pairs = list(
        dict.fromkeys(f"{_named(row['b'])} against {_named(row['a'])}" for row in overall.to_dict("records"))
    )
    told = [sentence for row in overall.to_dict("records") for sentence in _sentences(row)]
    return Frameworks(", ".join(pairs), [*told, CONVENTION], _table(rows, anchors, link))


def in_a_sentence(tables: Sequence[Path]) -> str:
    """The errors and the cost of an evaluation of the first two backends; empty if there is nothing to compare."""
    overall = _read(tables, OVERALL)
    if "a" not in overall or overall["error b / a"].isna().iloc[0]:
        return ""
    row = overall.iloc[0]
    a, b = _named(row["a"]), _named(row["b"])
    return (
        f"{b} against {a}: over {_counted(row['rows'], 'method')} that both were run with, the error of {b} is"
        f" {_ratio(row, 'error')} times that of {a}, {_differ(row)}; an evaluation of loss and gradients takes it"
        f" {_ratio(row, SPENT)} times the CPU time."
    )


def _read(tables: Sequence[Path], name: str) -> pd.DataFrame:
    path = next((path for path in tables if path.stem == name), None)
    return pd.read_csv(path) if path else pd.DataFrame()


def _named(backend: str) -> str:
    return {"jax": "JAX", "torch": "PyTorch"}.get(backend, backend)


def _counted(count: float, noun: str) -> str:
    return f"{int(count)} {noun}{'' if count == 1 else 's'}"


def _ratio(row: Mapping[str, Any], name: str) -> str:
    """A ratio with its interval, where there are rows enough for one."""
    shown = times(row[f"{name} b / a"])
    if pd.isna(row[f"{name} low"]):
        return f"{shown} (one method: no interval)"
    return f"{shown} (95 %: {times(row[f'{name} low'])} to {times(row[f'{name} high'])})"


def _differ(row: Mapping[str, Any]) -> str:
    if not row["rows of several seeds"]:
        return "of one seed each, so that nothing can be said about a single one"
    of = f"of the {int(row['rows of several seeds'])} with several seeds"
    count = int(row["rows that differ"])
    return f"and {of} {count if count else 'none'} differ{'s' if count < 2 else ''} beyond the chaos of rounding"


def _sentences(row: Mapping[str, Any]) -> list[str]:
    a, b = _named(row["a"]), _named(row["b"])
    told = [
        f"With numerics {row['numerics']}, {_counted(row['rows'], 'method')} on both, in"
        f" {_counted(row['pairs of runs'], 'pair')} of runs with the same start."
    ]
    if pd.notna(row["error b / a"]):
        told.append(
            f"The relative L2 error of {b} is {_ratio(row, 'error')} times that of {a}; {_differ(row)}."
            f" {b} needs {_ratio(row, 'evaluations')} times as many evaluations of loss and gradients."
        )
    if row["rows without a ratio"]:
        told.append(f"In {_counted(row['rows without a ratio'], 'method')} a run did not finish: it has no ratio.")
    told.append(
        f"An evaluation takes {b} {_ratio(row, SPENT)} times the CPU time of {a},"
        f" from {times(row[f'{SPENT} min'])} to {times(row[f'{SPENT} max'])} by method."
    )
    before = {
        side: f"{row[f'{START}, {side}']:.2g} s and {row[f'{COMPILE}, {side}']:.2g} s" for side in ("a", "b")
    }
    memory = {side: f"{row[f'{MEMORY}, {side}']:.0f} MiB" for side in ("a", "b")}
    told.append(
        f"Start-up and compilation before the training take {b} {before['b']}, {a} {before['a']}; peak memory is"
        f" {memory['b']} against {memory['a']} (medians over the methods)."
    )
    return told


def _table(rows: pd.DataFrame, anchors: Anchors, link: Link) -> Table:
    """Ratio of errors with interval, and costs of both."""
    several = rows.numerics.nunique() > 1
    texts = in_sentences(rows.astype(str), ROWS).to_dict("records")
    shown = pd.DataFrame(
        {
            "experiment": row["experiment"],
            "method": row["method"],
            **({"numerics": row["numerics"]} if several else {}),
            "seeds": f"{row['seeds']}",
            f"error, {row['b']} / {row['a']}": _error(row),
            "finding": text["verdict"],
            f"CPU ms per evaluation, {row['b']} | {row['a']}": _sides(row, SPENT, ".3g"),
            f"start-up s, {row['b']} | {row['a']}": _sides(row, START, ".2g"),
            f"peak memory MiB, {row['b']} | {row['a']}": _sides(row, MEMORY, ".0f"),
        }
        for row, text in zip(rows.to_dict("records"), texts, strict=True)
    )
    caption = (
        "Ratios are geometric means over the seeds with the 95 % t interval; costs are medians of these seeds."
    )
    return from_frame(shown.fillna("-").astype(str), "frameworks", caption, anchors, link, fold=True)


def _error(row: Mapping[str, Any]) -> str:
    if pd.isna(row["error b / a"]):
        return "-"
    if pd.isna(row["error low"]):
        return times(row["error b / a"])
    return f"{times(row['error b / a'])} ({times(row['error low'])} to {times(row['error high'])})"


def _sides(row: Mapping[str, Any], name: str, form: str) -> str:
    return f"{row[f'{name}, b']:{form}} | {row[f'{name}, a']:{form}}"
