"""The glossary of ``docs/glossary.md`` as a list of terms, so that its text stands in one place."""

import re
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

__all__ = ["FILE", "Part", "glossary"]

FILE = Path(__file__).resolve().parents[2] / "docs/glossary.md"


@dataclass(frozen=True)
class Part:
    """A part of the glossary: its heading, what stands before its first term, terms and what they mean,
    as HTML."""

    title: str
    text: Markup
    terms: list[tuple[Markup, Markup]]


def glossary(path: Path = FILE) -> list[Part]:
    """The parts of a file in which ``## heading`` begins a part, and ``**Term**``, then a line that begins with
    ``: ``, say what a word means. Raises ``ValueError`` naming the line for anything else."""
    _, *parts = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [_part(path, text) for text in parts]


def _part(path: Path, text: str) -> Part:
    title, _, rest = text.partition("\n")
    prose, terms = [], []
    for block in filter(None, (block.strip() for block in rest.split("\n\n"))):
        if found := re.fullmatch(r"\*\*(.+?)\*\*\n: (.+)", block, re.DOTALL):
            terms.append((_html(found[1]), _html(found[2])))
        elif terms:
            raise ValueError(
                f"{path}: {block.splitlines()[0]!r}: after the first term must stand terms only, as **Term**"
            )
        else:
            prose.append(block)
    return Part(title.strip(), _html(" ".join(prose)), terms)


def _html(text: str) -> Markup:
    """Plain text with ``code``."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(" ".join(text.split())))))
