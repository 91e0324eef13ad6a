"""Whether the entries of a leaderboard were given the same: budget, points, network, precision, seeds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from solvers.configuration.catalogue import Catalogue
from solvers.runs.record import read_data
from workflow.analysis.entries import ENTRY, GROUPS, TRIALS_FROM, with_entries
from workflow.analysis.statistics import median
from workflow.analysis.summary import split, table_of

__all__ = ["DEVIATES", "HELD", "TRIALS", "conditions", "protocol"]

DEVIATES, TRIALS = "deviates in", "trials"
HELD = ("evaluations allowed", "points", "network", "precision", "seeds", TRIALS)
"""What must be the same for all entries of a problem."""
OVER, OVER_A_STAGE = 0.02, 2
"""A line search ends after the evaluation that uses up its budget: this share of it, or so many evaluations in
each stage, are within it."""

ASIDE = ("stages", "differ")

Section = Mapping[str, Any]


def protocol(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """What each entry was given on each problem, as its runs' own specifications say: evaluations of loss and
    gradient allowed, all stages together; points; network, with scaling of the inputs and trial function; the
    precision of its stages; seeds; trials, which are runs on seeds from 1000 up, the same number for all entries,
    and count as nothing else. Beside it what it took (medians over the seeds): function evaluations, gradient
    evaluations and CPU seconds of training. An entry deviates in what is not as for most entries of the problem,
    on the same backend with the same numerics, and in ``evaluations`` where it made over 2 % more than allowed,
    and over two more in each stage; in ``runs`` where those of one entry differ among each other. What deviates
    stays in all tables, and is marked."""
    rows: list[dict[str, Any]] = []
    runs = with_entries(summary)
    for group, every in runs.groupby([*GROUPS, "experiment"], sort=False):
        named = dict(zip([*GROUPS, "experiment"], group, strict=True))
        own = [named | _given(cell) for _, cell in every.groupby(ENTRY, sort=False)]
        usual = {name: _most(row[name] for row in own) for name in HELD}
        for row in own:
            rows.append(row | {DEVIATES: ";".join(_deviations(row, usual))})
    return table_of([{k: v for k, v in row.items() if k not in ASIDE} for row in rows], "there is no run")


def _given(runs: pd.DataFrame) -> dict[str, Any]:
    """The conditions of an entry on a problem: those of its first run."""
    found = [conditions(read_data(Path(folder))["spec"]) for folder in runs.folder]
    results = runs[runs.seed < TRIALS_FROM]
    taken = results if len(results) else runs
    return (
        {ENTRY: runs[ENTRY].iloc[0], "method": runs.method.iloc[0]}
        | found[0]
        | {"seeds": ";".join(map(str, sorted(results.seed))), TRIALS: len(runs) - len(results)}
        | {"evaluations": median(taken.function_evaluations)}
        | {"gradient evaluations": median(taken.gradient_evaluations), "CPU seconds": median(taken.cpu_seconds)}
        | {"stages": max(map(len, map(split, taken.stage_optimizers)))}
        | {"differ": any(each != found[0] for each in found)}
    )


def conditions(spec: Section) -> dict[str, Any]:
    """What of a run's specification a protocol holds fixed, in short: see :func:`protocol`."""
    stages = [stage for level in spec["levels"] for stage in level["stages"]]
    points = [f"{name}: {_short(sampler)}" for name, sampler in sorted(spec["points"].items())]
    network = [
        _short(spec["network"]),
        f"inputs {spec['inputs']}",
        *([spec["trial"]] if spec["trial"] != "identity" else []),
    ]
    return {
        "evaluations allowed": sum(stage.get("evaluations") or stage["iterations"] for stage in stages),
        "points": "; ".join([*points, *([f"groups: {_short(spec['grouping'])}"] if spec.get("grouping") else [])]),
        "network": ", ".join(network),
        "precision": ";".join(dict.fromkeys(stage.get("precision") or spec["precision"] for stage in stages)),
    }


def _short(section: Section) -> str:
    """A section of a specification in words: its plug-in's name, then its settings."""
    first = [str(section[key]) for key in ("name", "strategy") if key in section]
    rest = [f"{k} {v}" for k, v in section.items() if k not in ("name", "strategy") and v not in (None, {}, [])]
    return " ".join([*first, *rest])


def _most(values: Iterable[Any]) -> Any:
    """The most frequent value; of several the first."""
    return Counter(values).most_common(1)[0][0]


def _deviations(row: Section, usual: Section) -> Sequence[str]:
    found = [name for name in HELD if row[name] != usual[name]]
    allowed = row["evaluations allowed"]
    if row["evaluations"] > allowed + max(OVER * allowed, OVER_A_STAGE * row["stages"]):
        found.append("evaluations")
    return [*found, "runs"] if row["differ"] else found
