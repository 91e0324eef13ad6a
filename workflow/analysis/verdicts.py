"""Verdicts: each row of the authors beside ours, by the rules of ``config/paper/manifest.yaml``."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue, Method
from workflow.analysis.judging import Judgement, Verdict, judge
from workflow.analysis.stages import by_place, stalls
from workflow.analysis.statistics import median, quartiles
from workflow.analysis.summary import AXES, errors, floor_of, table_of
from workflow.manifest import Manifest, Rules, read_manifest

__all__ = ["coverage", "pairs_in_order", "verdict_counts", "verdicts"]


def pairs_in_order(
    method: str, authors: Mapping[str, float], ours: Mapping[str, float], rules: Rules
) -> tuple[int, int]:
    """In how many pairs of ``method`` with another one the smaller error is the same method's as in the paper, and
    of how many.

    ``authors`` and ``ours`` (medians) are errors by method. Pairs that failed together in the paper do not count:
    which of two failures is the larger says nothing.
    """
    others = [
        other
        for other in authors
        if other != method and other in ours and min(authors[method], authors[other]) <= rules.failed_above
    ]
    alike = [(authors[method] < authors[other]) == (ours[method] < ours[other]) for other in others]
    return sum(alike), len(alike)


def verdicts(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The authors' error beside ours, with a verdict, for every method, backend and numerics, by the rules in
    config/paper/manifest.yaml: the median of our seeds must lie within a factor of 2 of the authors' error, with
    quartiles no more than a factor of 10 apart; fewer than three seeds are too few to say. A run that did not
    finish has an infinite error. Stalled: rounding ended a stage before a tenth of the authors' iterations, which
    neither confirms nor refutes. Iterations (medians) and stop reasons stand by stage beside the authors'. A
    verdict depends on the errors, the number of seeds and the stalls of its own row alone: where two backends have
    equal errors but not equal verdicts, one has too few seeds or stalled. The order of the methods is shown and
    not judged. A verdict under conditions other than the paper's neither confirms nor refutes it. The floor is the
    relative L2 error of a classical solver on the same problem."""
    manifest = read_manifest(catalogue)
    rows = []
    for _, group in summary.groupby(["experiment", "numerics", "backend"], sort=False):
        methods = catalogue.experiment(group.experiment.iloc[0]).methods
        authors = {m: e.authors.rel_l2 for m, e in methods.items() if e.authors.rel_l2 is not None}
        ours = {method: median(errors(runs)) for method, runs in group.groupby("method")}
        for method, runs in group.groupby("method", sort=False):
            pairs = pairs_in_order(method, authors, ours, manifest.rules) if method in authors else (0, 0)
            rows.append(_row(runs, methods[method], pairs, manifest))
    return pd.DataFrame(rows)


def _row(runs: pd.DataFrame, method: Method, pairs: tuple[int, int], manifest: Manifest) -> dict[str, object]:
    named = runs.iloc[0][AXES].to_dict()
    other = _other_conditions(runs.scale.iloc[0], named["numerics"], method, manifest.rules)
    row, ours, known = manifest.row(named["experiment"], named["method"]), errors(runs), method.authors.rel_l2
    judged = _judged(runs, method, manifest)
    low, middle, high = quartiles(ours)
    return named | {
        "verdict": str(judged.verdict),
        "so far": judged.so_far,
        "because": judged.because,
        "paper's conditions": not other,
        "other conditions": "; ".join(other),
        "remark": row.remark if row else "",
        "authors": np.nan if known is None else known,
        "authors' other runs": ";".join(map(str, row.other_runs)) if row else "",
        "median": middle,
        "lower quartile": low,
        "upper quartile": high,
        **floor_of(runs),
        "minimum": ours.min(),
        "maximum": ours.max(),
        "median / authors": np.nan if known is None else middle / known,
        f"runs above {manifest.rules.failed_above:.0%}": int((ours > manifest.rules.failed_above).sum()),
        **_stages(runs, method),
        "stalled runs": len(stalls(runs, method.authors, manifest.rules.stall)),
        "pairs": pairs[1],
        "pairs in the paper's order": pairs[0],
        "runs": len(runs),
        "finished": int((runs.status == "finished").sum()),
        "seeds": ";".join(map(str, runs.seed)),
        "folder": "; ".join(dict.fromkeys(str(Path(folder).parent) for folder in runs.folder)),
    }


def _judged(runs: pd.DataFrame, method: Method, manifest: Manifest) -> Judgement:
    """The verdict on the runs of one method, on one backend with one numerics."""
    row = manifest.row(runs.experiment.iloc[0], runs.method.iloc[0])
    if row is None:
        return Judgement(Verdict.NOT_COMPARABLE, "not in the authors' repository")
    rules, authors = manifest.rules, method.authors
    found = judge(authors.rel_l2, errors(runs), stalls(runs, authors, rules.stall), rules)
    return replace(found, because=f"{found.because}: {row.because}") if row.because else found


def _stages(runs: pd.DataFrame, method: Method) -> dict[str, str]:
    """What each stage made (the median of the runs that reached it), beside the authors', and why it stopped."""
    reached = by_place(runs, method.authors)
    return {
        "stages": ";".join(stages[0].optimizer for stages in reached),
        "authors' iterations": ";".join(_count(stages[0].authors) for stages in reached),
        "iterations": ";".join(_count(median(stage.iterations for stage in stages)) for stages in reached),
        "stop reasons": ";".join("/".join(dict.fromkeys(stage.reason for stage in s)) for s in reached),
    }


def _count(number: float) -> str:
    return "unknown" if np.isnan(number) else f"{number:g}" if number < 1e6 else f"{number:.0f}"


def _other_conditions(scale: str, numerics: str, method: Method, rules: Rules) -> list[str]:
    """What differs from the conditions of the paper; nothing if they are the paper's."""
    other = []
    if scale != rules.scale:
        other.append(f"other budget ({scale})")
    if numerics != rules.numerics:
        other.append(f"other numerics ({numerics})")
    return [*other, method.note] if method.note else other


def verdict_counts(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """How many of the rows of the authors' repository have which verdict, for each backend and numerics. Stalled
    rows and those with too few seeds are counted as nothing else, whatever they show so far. Verdicts under
    conditions that are not the paper's are counted apart."""
    manifest = read_manifest(catalogue)
    table = verdicts(summary, catalogue)
    table = table[[manifest.row(*key) is not None for key in zip(table.experiment, table.method, strict=True)]]
    table = table.assign(scale=summary.scale.iloc[0])
    rows, keys = [], ["scale", "numerics", "backend", "paper's conditions"]
    for key, group in table.groupby(keys, sort=False):
        counts = Counter(group.verdict)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"rules fixed on": manifest.rules.fixed}
            | {"rows of the authors": len(manifest.rows), "rows run": len(group), "runs": group.runs.sum()}
            | {str(verdict): counts[verdict] for verdict in Verdict}
        )
    return table_of(rows, "nothing to count: none of these runs is of a row of the authors' repository")


def coverage(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """What of the paper this suite sets out to reproduce: every row of the results in the authors' repository and
    every family of figures, the rule that judges it, and how many of the runs shown here belong to it."""
    manifest = read_manifest(catalogue)
    rows = []
    for row in manifest.rows:
        experiment = catalogue.experiment(row.experiment)
        method = experiment.methods[row.method]
        made = (summary.experiment == row.experiment) & (summary.method == row.method)
        rows.append(
            {
                "kind": "row",
                "of the paper": f"{experiment.title}: {method.title}",
                "experiments": row.experiment,
                "method": row.method,
                "figure": "",
                "authors": np.nan if method.authors.rel_l2 is None else method.authors.rel_l2,
                "rule": row.rule,
                "because": row.because,
                "runs here": int(made.sum()),
                "source": method.authors.source,
            }
        )
    for family in manifest.figures:
        rows.append(
            {
                "kind": "figures",
                "of the paper": family.family,
                "experiments": ";".join(family.experiments),
                "method": "",
                "figure": family.figure,
                "authors": np.nan,
                "rule": family.rule,
                "because": family.because,
                "runs here": int(summary.experiment.isin(family.experiments).sum()),
                "source": "",
            }
        )
    return pd.DataFrame(rows)
