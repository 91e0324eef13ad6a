"""Keep what a study has shown: ``python -m workflow.keep reports/powers/quick``.

Its summary, a row for each run with the command that makes it again, becomes ``reports/studies/<study>.csv``,
which git keeps; tables that are made of the runs' histories and fields go into ``reports/studies/<study>/``.
``make readme`` writes what they say into ``docs/studies.md``. The runs themselves are not kept.
"""

import argparse
import shutil
import sys
from pathlib import Path

from solvers.configuration.catalogue import Catalogue
from solvers.runs.checked import checked_record
from solvers.runs.record import FILES, RecordError
from solvers.runs.trusted import check_origin
from workflow.analysis import register
from workflow.analysis.summary import read_summary
from workflow.readme.studies import FOLDER

__all__ = ["keep", "main"]


def keep(report: Path, root: Path) -> Path:
    """Keep the summary of a ``report`` below ``root``; :class:`RecordError` if one of its runs is not there or not
    of committed code, or if the report is of no study of the catalogue."""
    study = report.parent.name
    if study not in Catalogue().names("studies"):
        raise RecordError(f"{report}: {study} is not a study of config/studies")
    for folder in map(Path, read_summary(report / "summary.csv").folder):
        check_origin(folder, checked_record(folder, FILES))
    kept = root / FOLDER / f"{study}.csv"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(report / "summary.csv", kept)
    tables = [report / f"tables/{table.name}.csv" for table in register.TABLES if table.of_runs]
    for table in filter(Path.exists, tables):
        kept.with_suffix("").mkdir(exist_ok=True)
        shutil.copyfile(table, kept.with_suffix("") / table.name)
    return kept


def main(arguments: list[str]) -> int:
    """Keep a report; 1 if it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m workflow.keep", description=__doc__)
    parser.add_argument("report", type=Path, help="folder of a study's report, with summary.csv")
    parser.add_argument(
        "--to", type=Path, default=Path("."), help="the project that keeps it, this one by default"
    )
    options = parser.parse_args(arguments)
    try:
        print(keep(options.report, options.to))
    except (RecordError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
