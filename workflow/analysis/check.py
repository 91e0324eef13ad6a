"""Whether this machine and this code give what the archive has."""

from collections.abc import Iterable
from enum import StrEnum

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from solvers.runs.archive import ARCHIVE, archived_specs
from solvers.runs.place import run_folder
from solvers.runs.sources import today
from workflow.analysis.summary import errors, summarise, table_of
from workflow.manifest import CheckRule, read_manifest

__all__ = ["Agreement", "archived_like", "check", "compared"]

METHOD = ["experiment", "method", "numerics"]
"""What has one spread: the backends compute the same method, from the same points and weights."""
RUN = [*METHOD, "backend", "seed"]


class Agreement(StrEnum):
    """What a run made here is beside those of the archive."""

    SAME = "the same"
    WITHIN = "within the spread"
    OUTSIDE = "outside"
    ABSENT = "not archived"


def check(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Whether this machine and this code give what the archive has: each run made here beside the archived runs of
    the same specification. It is *the same* if the archived run of its backend and seed ended with the same
    relative L2 error, in the digits that config/paper/manifest.yaml says; else *within the spread* if its error
    lies between the smallest and the largest archived one of this method, over seeds and backends, or beyond them
    by a small factor; else *outside*. A run that did not finish has an infinite error. Archived runs of another
    specification than today's do not count."""
    fresh = summary[summary.source == "fresh"]
    archive = archived_like(fresh, catalogue)
    rows = compared(fresh, archive, read_manifest(catalogue).check) if len(archive) else []
    return table_of(rows, "no run of these methods at this scale is archived")


def archived_like(fresh: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The summary of the archived runs that are of the methods in ``fresh``, by today's specification."""
    wanted = set(fresh[METHOD].itertuples(index=False, name=None))
    specs = [
        spec
        for scale in fresh.scale.unique()
        for spec in archived_specs(scale)
        if (spec.experiment, spec.method, spec.numerics) in wanted and not spec.overrides
    ]
    if not specs:
        return fresh.iloc[:0]
    as_of_now = {run_folder(spec, ARCHIVE): today(spec, catalogue) for spec in specs}
    archive = summarise(as_of_now, (), as_of_now.get)
    return archive[["specification" not in what for what in archive.outdated]]


def compared(fresh: pd.DataFrame, archive: pd.DataFrame, rule: CheckRule) -> list[dict[str, object]]:
    """A row for each run of ``fresh``, with those of ``archive`` that it is compared with."""
    known = archive.assign(error=errors(archive))
    rows = []
    for (_, run), error in zip(fresh.iterrows(), errors(fresh), strict=True):
        method = known[(known[METHOD] == run[METHOD]).all(axis=1)]
        twin = method[(method.backend == run.backend) & (method.seed == run.seed)].error
        same = float(twin.iloc[0]) if len(twin) else np.nan
        rows.append(
            {name: run[name] for name in RUN}
            | {"relative L2": error, "archived": same, "archived runs": len(method)}
            | {"smallest archived": method.error.min(), "largest archived": method.error.max()}
            | {"agreement": str(_agreement(error, same, method.error, rule))}
        )
    return rows


def _agreement(error: float, same: float, others: Iterable[float], rule: CheckRule) -> Agreement:
    known = list(others)
    if not known:
        return Agreement.ABSENT
    if error == same or abs(error - same) <= rule.relative * same:
        return Agreement.SAME
    inside = min(known) / rule.factor <= error <= max(known) * rule.factor
    return Agreement.WITHIN if inside else Agreement.OUTSIDE
