"""Which document has which generated parts, and how these are put between their markers."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.readme.blocks import claims_block, durations_block, verdict_counts_block, verdicts_block
from workflow.readme.curvature import archived, curvature_block, unseen_block
from workflow.readme.floor import floor_block
from workflow.readme.front import answer_block, claims_table_block, frameworks_block, frameworks_table_block
from workflow.readme.studies import studies_block

__all__ = ["DOCUMENTS", "blocks", "papers", "with_blocks", "write_documents"]

BLOCK = "<!-- generated: {} -->\n"
END = "<!-- end -->"

Block = Callable[[pd.DataFrame, Catalogue], str]
PAPERS: Mapping[str, Block] = {
    "answer": answer_block,
    "frameworks": frameworks_block,
    "frameworks-table": frameworks_table_block,
    "verdict-counts": verdict_counts_block,
    "verdicts": verdicts_block,
    "floor": floor_block,
    "durations": durations_block,
}
"""Made of the archived runs with the paper's numerics."""
ALL: Mapping[str, Block] = {"claims-table": claims_table_block, "claims": claims_block}
"""Made of all archived runs at the paper's scale."""
CURVATURE: Mapping[str, Block] = {"curvature": curvature_block, "unseen": unseen_block}
"""Each made of the archived runs of the study of that name."""
STUDIES = "studies"
"""Made of the kept summaries of studies."""
DOCUMENTS: Mapping[str, tuple[str, ...]] = {
    "README.md": ("answer", "claims-table", "frameworks"),
    "docs/curvature.md": ("curvature", "unseen"),
    "docs/results.md": ("verdict-counts", "claims", "verdicts", "floor", "frameworks-table", "durations"),
    "docs/studies.md": (STUDIES,),
}


def papers(summary: pd.DataFrame) -> pd.DataFrame:
    """The runs with the paper's numerics."""
    return summary[summary.numerics == "paper"]


def blocks(summary: pd.DataFrame, catalogue: Catalogue) -> dict[str, str]:
    """All generated parts by name, as Markdown, of a summary of archived runs of all numerics."""
    found = {name: make(papers(summary), catalogue) for name, make in PAPERS.items()}
    found |= {name: make(summary, catalogue) for name, make in ALL.items()}
    found |= {name: make(archived(name), catalogue) for name, make in CURVATURE.items()}
    return found | {STUDIES: studies_block(catalogue)}


def with_blocks(document: str, text: str, parts: Mapping[str, str]) -> str:
    """``text``, that of ``document``, with what stands between the markers of each of its parts replaced;
    ``ValueError`` if one is not there exactly once."""
    for name in DOCUMENTS[document]:
        start = BLOCK.format(name)
        pattern = re.compile(f"(?<={re.escape(start)})(?:(?!<!-- generated).)*?(?={re.escape(END)})", re.S)
        text, found = pattern.subn(lambda _, part=parts[name]: f"\n{part}\n\n", text)
        if found != 1:
            raise ValueError(f"{document}: {start.strip()} ... {END}: stands there {found} times, must be once")
    return text


def write_documents(root: Path, parts: Mapping[str, str]) -> None:
    """Write the generated parts of all documents below ``root`` anew."""
    for document in DOCUMENTS:
        path = root / document
        path.write_text(with_blocks(document, path.read_text(encoding="utf-8"), parts), encoding="utf-8")
