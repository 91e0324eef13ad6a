"""Write the generated parts of the documents, and the tables and figures of ``reports/archive``."""

from pathlib import Path

from solvers.configuration.catalogue import Catalogue
from workflow.readme.documents import blocks, papers, write_documents
from workflow.readme.reports import FOLDER, archive, summary_of, tables_of, write_archive, write_figures

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    """Write them all."""
    sweep, catalogue = archive(), Catalogue()
    summary = summary_of(sweep)
    write_archive(ROOT / FOLDER, summary, tables_of(sweep, summary, catalogue))
    write_figures(ROOT / FOLDER / "figures", papers(summary), catalogue)
    write_documents(ROOT, blocks(summary, catalogue))


if __name__ == "__main__":
    main()
