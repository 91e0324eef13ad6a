"""``archive``: finished runs, checked and thinned, under version control."""

import argparse

from solvers.configuration.strict_yaml import one_line
from solvers.runs.archive import SMALL, WHOLE, archive_run

__all__ = ["execute"]


def execute(options: argparse.Namespace) -> int:
    """Archive the runs, and print where each stands then."""
    for folder in options.folders:
        limits = SMALL if options.small else WHOLE
        print(one_line(str(archive_run(folder, options.to, options.replace, limits))))
    return 0
