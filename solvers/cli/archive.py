"""``archive``: finished runs, checked and thinned, under version control."""

import argparse

from solvers.configuration.strict_yaml import one_line
from solvers.runs.archive import SMALL, WHOLE, archive_run
from solvers.runs.floor import FILE, archive_floor

__all__ = ["execute"]


def execute(options: argparse.Namespace) -> int:
    """Archive the runs, and print where each stands then."""
    for folder in options.folders:
        if (folder / FILE).exists():
            target = archive_floor(folder, options.to, options.replace)
        else:
            target = archive_run(folder, options.to, options.replace, SMALL if options.small else WHOLE)
        print(one_line(str(target)))
    return 0
