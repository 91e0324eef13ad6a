"""What a pipeline will do, and how long that takes, before it begins: ``python -m workflow.announce scale=quick``.

The seconds are those of archived and finished runs of the same scale; where there is none of a row, they are
estimated from runs that are like it, and its evaluations.
"""

import argparse
import sys

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.runs.archive import ARCHIVE
from solvers.runs.finished import taken
from solvers.runs.place import run_folder
from solvers.runs.progress import duration
from workflow.campaign.expected import Expectation, records_in
from workflow.sweep import RESULTS, Sweep

__all__ = ["announcement", "main"]


def announcement(sweep: Sweep, cores: int, catalogue: Catalogue) -> str:
    """How many runs of what, how many are there already, and about how long the others take on so many cores."""
    facts = [
        _counted(len(sweep.specs), "run"),
        f"scale {sweep.scale}",
        _counted(len(sweep.experiments), "experiment"),
        " and ".join(dict.fromkeys(spec.backend for spec in sweep.specs)),
        _counted(len({spec.seed for spec in sweep.specs}), "seed"),
    ]
    begin = f"{sweep.study.entry.title}: {', '.join(facts)}."
    if sweep.archived:
        return f"{begin} All are in {ARCHIVE}: nothing is trained; tables, figures and the page are made."
    left = [spec for spec in sweep.made() if taken(spec, run_folder(spec, RESULTS)) is None]
    expected = Expectation(records_in([ARCHIVE, RESULTS], sweep.scale), catalogue)
    seconds = [expected(spec) for spec in left]
    time = max([sum(seconds) / cores, *seconds]) if seconds else 0.0
    archived, there = len(sweep.from_archive), len(sweep.made()) - len(left)
    kept = f" {archived} are taken from {ARCHIVE}." if archived else ""
    kept += f" {there} are there already." if there else ""
    return (
        f"{begin}{kept} Training takes about {duration(time)} on {_counted(cores, 'core')};"
        " tables, figures and the page follow."
    )


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" + ("s" if count != 1 else "")


def main(arguments: list[str]) -> int:
    """Print the announcement of a configuration; 2 if that is wrong."""
    parser = argparse.ArgumentParser(prog="python -m workflow.announce", description=__doc__)
    parser.add_argument("--cores", type=int, default=1, help="runs at a time (default: 1)")
    parser.add_argument("config", nargs="*", metavar="KEY=VALUE", help="the same as is given to snakemake")
    options = parser.parse_args(arguments)
    catalogue = Catalogue()
    try:
        sweep = Sweep.from_command_line(catalogue, options.config)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    print(announcement(sweep, options.cores, catalogue))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
