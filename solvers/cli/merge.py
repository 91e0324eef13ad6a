"""``merge``: the results of several machines in one folder."""

import argparse

from solvers.cli.catalogue import catalogue_of
from solvers.cli.said import warn
from solvers.runs.merge import merge_results

__all__ = ["execute"]


def execute(options: argparse.Namespace) -> int:
    """Merge, and print how many runs were copied, skipped and refused; 2 if one was refused."""
    merged = merge_results(options.sources, options.into, options.keep, catalogue_of(options))
    for place, reason in merged.refused.items():
        warn(f"{place}: refused: {reason}")
    for place in merged.foreign:
        warn(f"{place}: was made by other code than this; the pipeline makes it again")
    counts = {name: len(getattr(merged, name)) for name in ("copied", "replaced", "same", "kept", "refused")}
    print(", ".join(f"{count} {name}" for name, count in counts.items() if count))
    return 2 if merged.refused else 0
