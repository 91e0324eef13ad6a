"""The generated parts of ``docs/results.md``, as Markdown, made of the summary of archived runs."""

import textwrap
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvers import backends
from solvers.configuration.catalogue import Catalogue
from solvers.configuration.spec import RunSpec
from solvers.runs.record import read_run
from workflow.analysis.claims import claims
from workflow.analysis.judging import UNDECIDED, Verdict
from workflow.analysis.summary import AXES, CONTENDED, contended
from workflow.analysis.verdicts import verdict_counts, verdicts
from workflow.manifest import read_manifest
from workflow.page.claims import told
from workflow.sweep import Sweep

__all__ = ["claims_block", "durations_block", "markdown", "verdict_counts_block", "verdicts_block", "wrapped"]

UP = "../"
"""From ``docs`` to the project's folder."""
WIDTH = 118
TIMES = "archived: CPU / wall seconds (iterations)"
UNDECIDED_ROWS = (
    f"{', '.join(f'*{verdict}*' for verdict in UNDECIDED)}: not decided, and counted as nothing else, whatever the"
    " error is so far."
)


def verdict_counts_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """How many of the authors' rows have which verdict, by which rules, and on how many seeds that rests."""
    lines = [f"By the rules fixed on {read_manifest(catalogue).rules.fixed}:", ""]
    for row in verdict_counts(summary, catalogue).to_dict("records"):
        found = ", ".join(f"{row[verdict]} {verdict}" for verdict in Verdict if row[verdict])
        lines.append(
            f"* `{row['backend']}`, {_named_conditions(row)} conditions: {row['rows run']} of the"
            f" {row['rows of the authors']} rows have been run: **{found}**."
        )
    lines += [f"* `{name}`: no row yet." for name in backends.names() if name not in set(summary.backend)]
    seeds = summary.groupby(AXES).seed.nunique()
    if alone := int((seeds == 1).sum()):
        lines.append(f"* {alone} of these {len(seeds)} have a single seed, which tells nothing of the spread.")
    lines += ["", wrapped(UNDECIDED_ROWS)]
    return "\n".join(lines)


def claims_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """What the runs of all numerics in ``summary`` say of the paper's claims."""
    found = told(claims(summary, catalogue))
    lines = [f"By the rules fixed on {found[0].fixed}, before any claim was counted:", ""]
    for claim in found:
        lines.append(f"* **{claim.claim}.**")
        for line in claim.lines:
            named = f"`{line.axes['backend']}`, numerics `{line.axes['numerics']}`: {line.word}"
            other = "" if line.papers else " (not under the paper's conditions)"
            lines.append(wrapped(f"{named}{other}. {line.text}", "  * "))
        if claim.untold:
            lines.append(wrapped(f"No pair was run on {claim.untold}.", "  * "))
    return "\n".join(lines)


def wrapped(text: str, mark: str = "") -> str:
    """A paragraph, or with a ``mark`` before it an entry of a list, in lines of a readable length."""
    options = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(text, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark), **options)


def verdicts_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """The authors' relative L2 error beside ours, row by row."""
    return markdown(_verdicts(summary, catalogue))


def durations_block(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """What runs how long, and what the numbers are."""
    return f"{wrapped(_conditions(summary))}\n\n{markdown(_durations(summary, catalogue))}"


def markdown(table: pd.DataFrame) -> str:
    """A table of texts, as they are typed: numbers among them are not written anew."""
    return table.to_markdown(index=False, disable_numparse=True)


def _verdicts(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The authors' relative L2 error beside ours, which links to the runs."""
    rows = []
    for row in verdicts(summary, catalogue).to_dict("records"):
        ours = _range([row["minimum"], row["maximum"]], ".2e")
        rows.append(
            {name: row[name] for name in ("experiment", "method", "backend")}
            | {
                "authors": "unknown" if np.isnan(row["authors"]) else f"{row['authors']:.2e}",
                "ours": f"[{ours}]({UP}{row['folder']})",
                "floor": "-" if np.isnan(row["floor"]) else f"{row['floor']:.1e}",
                "median / authors": "-" if np.isnan(row["median / authors"]) else f"{row['median / authors']:.3g}",
                "seeds": row["seeds"].replace(";", ", "),
                "verdict": _verdict(row),
                "iterations (authors')": _beside(row["iterations"], row["authors' iterations"]),
                "stopped by": _counted(row["stop reasons"].split(";")),
            }
        )
    return pd.DataFrame(rows)


def _named_conditions(row: Mapping[str, Any]) -> str:
    return "the paper's" if row["paper's conditions"] else "other"


def _verdict(row: Mapping[str, Any]) -> str:
    """The verdict, and in brackets what the errors point to if it is none yet, other conditions, and remarks."""
    more = [row["so far"] and f"so far {row['so far']}", row["other conditions"], row["remark"]]
    return f"{row['verdict']} ({'; '.join(filter(None, more))})" if any(more) else row["verdict"]


def _counted(names: Iterable[str]) -> str:
    """Names in their order, equal ones that follow each other once with their number."""
    counts = [(name, len(list(same))) for name, same in groupby(names)]
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts)


def _beside(ours: str, authors: str) -> str:
    """Iterations by stage, the authors' in brackets."""
    pairs = zip(ours.split(";"), authors.split(";"), strict=True)
    return "; ".join(f"{one} ({other})" for one, other in pairs)


def _range(values: Iterable[float], form: str) -> str:
    """``minimum to maximum``, or the one value that all have."""
    values = list(values)
    return " to ".join(dict.fromkeys(f"{value:{form}}" for value in (min(values), max(values))))


def _conditions(summary: pd.DataFrame) -> str:
    """What the numbers of the durations are."""
    machines = dict.fromkeys(_machine(Path(folder)) for folder in summary.folder)
    return (
        "Iterations that a run takes at most, Adam's and L-BFGS's of all levels together, as configured; and what"
        " the archived runs at the paper's scale took: CPU seconds of training, wall seconds, and iterations, each"
        f" run with one thread on {'; '.join(machines)}. An asterisk marks where a run or more waited for others"
        f" on their core: more than {CONTENDED} wall seconds for a CPU second. Compare CPU seconds, and wall"
        " seconds only where there is none."
    )


def _machine(folder: Path) -> str:
    machine = read_run(folder).provenance.machine
    return f"{machine.processor}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, {machine.device}"


def _durations(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The budget of a run by experiment and scale, the time of those archived, and how many runs make a sweep."""
    made = {name: Sweep.from_config({"scale": name}, catalogue) for name in catalogue.names("scales")}
    scales = sorted(made, key=lambda name: sum(map(_budget, made[name].specs)))
    sweeps = {name: made[name] for name in scales}
    rows = []
    for experiment in sweeps[scales[0]].experiments:
        runs = {s: [spec for spec in sweep.specs if spec.experiment == experiment] for s, sweep in sweeps.items()}
        rows.append(
            {"experiment": experiment, "methods": _count(runs[scales[0]])}
            | {f"`{scale}`": _range(map(_budget, specs), ",") for scale, specs in runs.items()}
            | {TIMES: _seconds(summary[summary.experiment == experiment])}
        )
    total = {"experiment": f"all, on {' and '.join(backends.names())}", "methods": _count(sweeps[scales[0]].specs)}
    total |= {f"`{scale}`": _size(sweep) for scale, sweep in sweeps.items()}
    return pd.DataFrame([*rows, total | {TIMES: f"{len(summary)} runs"}])


def _size(sweep: Sweep) -> str:
    seeds = len({spec.seed for spec in sweep.specs})
    return f"{len(sweep.specs)} runs, {seeds} seed{'s' * (seeds > 1)}"


def _count(specs: Iterable[RunSpec]) -> int:
    return len({(spec.experiment, spec.method) for spec in specs})


def _budget(spec: RunSpec) -> int:
    """Iterations of all stages of all levels, if none stops before its limit."""
    return sum(stage["iterations"] for level in spec.model_dump()["levels"] for stage in level["stages"])


def _seconds(runs: pd.DataFrame) -> str:
    """CPU and wall seconds of training, and iterations, of each method, on each backend."""
    cells = [
        f"{method}, {backend}: {_range(own.cpu_seconds, '.0f')} / {_range(own.wall_seconds, '.0f')}"
        f"{'*' if contended(own).any() else ''} ({_range(own.iterations, ',')})"
        for (method, backend), own in runs.groupby(["method", "backend"], sort=False)
    ]
    return "; ".join(cells) or "-"
