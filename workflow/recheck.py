"""Whether today's code gives what is archived at the paper's scale: ``python -m workflow.recheck``.

Of each experiment the archived run that took the fewest CPU seconds is made again and compared, by the rule of the
table ``check``. An archived run of another specification than today's is not among them.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from solvers.configuration.catalogue import Catalogue
from solvers.runs.archive import ARCHIVE
from solvers.runs.progress import duration
from workflow.analysis.check import compared
from workflow.analysis.summary import summarise
from workflow.manifest import read_manifest
from workflow.page.check import checked
from workflow.sweep import RESULTS, Sweep

__all__ = ["cheapest", "main"]


def cheapest(archive: pd.DataFrame, most: float = float("inf")) -> pd.DataFrame:
    """Of each experiment the row of a summary of archived runs with the fewest CPU seconds, if these are ``most``
    or less; only runs that finished, and whose specification is today's."""
    sound = archive[(archive.status == "finished") & (archive.cpu_seconds <= most)]
    sound = sound[["specification" not in what for what in sound.outdated]]
    return sound.loc[sound.groupby("experiment", sort=False).cpu_seconds.idxmin()]


def _made_again(runs: pd.DataFrame) -> list[Path]:
    """Make the runs of a summary, one after the other; their folders. One of this specification and code that is
    there already is taken."""
    folders = []
    for row in runs.to_dict("records"):
        _, *arguments = shlex.split(row["command"])
        subprocess.run([sys.executable, *arguments, "--quiet"], check=True)
        folders.append(RESULTS / Path(row["folder"]).relative_to(ARCHIVE))
    return folders


def main(arguments: Sequence[str]) -> int:
    """Make the runs, print the comparison; 1 if a run lies outside the archive's spread, else 0."""
    parser = argparse.ArgumentParser(prog="python -m workflow.recheck", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="leave out runs that take longer")
    parser.add_argument("--dry-run", action="store_true", help="only say which runs would be made")
    options = parser.parse_args(arguments)
    catalogue = Catalogue()
    sweep = Sweep.from_config({"scale": "paper", "runs": "archive", "numerics": "paper"}, catalogue)
    archive = summarise(sweep.folders(), (), sweep.wanted)
    runs = cheapest(archive, options.seconds)
    print(
        f"{len(runs)} runs, {duration(runs.cpu_seconds.sum())} of one core when they were archived",
        file=sys.stderr,
    )
    if options.dry_run:
        print(runs[["experiment", "method", "backend", "seed", "cpu_seconds"]].to_string(index=False))
        return 0
    fresh = summarise(_made_again(runs))
    table = pd.DataFrame(compared(fresh, archive, read_manifest(catalogue).check))
    print(table.to_markdown(index=False, floatfmt=".3e"))
    answer = checked(table)
    print(answer.text if answer else "No archived run is of today's specification.")
    return int(answer is not None and answer.word == "no")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
