"""What a report says, in the terminal: ``python -m workflow.answer reports/paper/quick``.

The same sentences as on its page, of the same tables.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.summary import read_summary
from workflow.page.check import check_in
from workflow.page.opening import opening

__all__ = ["main", "sentences"]


def sentences(folder: Path) -> Iterator[str]:
    """The answers of the report in ``folder``: whether this machine agrees with the archive, then the sentences
    with which the page begins."""
    tables = sorted((folder / "tables").glob("*.csv"))
    if check := check_in(tables):
        yield f"Does this machine give what the archive has? {check.word.capitalize()}. {check.text}"
    yield from opening(read_summary(folder / "summary.csv"), tables, Catalogue())


def main(arguments: list[str]) -> int:
    """Print the answers of a report; 1 if there is no report in the folder."""
    parser = argparse.ArgumentParser(prog="python -m workflow.answer", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of a report, with tables and index.html")
    folder = parser.parse_args(arguments).folder
    if not (folder / "summary.csv").is_file():
        print(f"{folder}: holds no report: no summary.csv", file=sys.stderr)
        return 1
    for text in sentences(folder):
        print(f"* {text}")
    if (folder / "index.html").exists():
        print(f"All of it: {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
