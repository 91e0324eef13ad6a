"""Any table of the reports as rows of cells that the template can show, sort and filter."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from workflow.analysis.summary import AXES

__all__ = ["Anchors", "Cell", "Row", "Table", "from_frame", "read_table", "slug"]

Anchors = Mapping[tuple[str, ...], str]
"""From values of the axes (:data:`AXES`, the last ones may be missing: ``""``) to the id of the first such run."""

Link = Callable[[Path], str]
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
LONG = 44  # characters from which on a cell may break into lines
MISSING = ("", "nan", "NaN", "None", "-")
MARKED = ("verdict", "status")


def slug(text: str) -> str:
    """``text`` as part of an id or class: lower-case letters, digits, dots and single hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


@dataclass(frozen=True)
class Cell:
    """One cell: text, the number to sort by (``None``: by the text), a link within the page, a class, links
    to directories in place of the text."""

    text: str
    number: float | None = None
    href: str | None = None
    mark: str = ""
    folders: tuple[str, ...] = ()

    @property
    def wraps(self) -> bool:
        """Whether it is too long for one line."""
        return len(self.text) > LONG


@dataclass(frozen=True)
class Row:
    """The cells of a row, and the values of the axes it has, for the filters."""

    cells: list[Cell]
    axes: dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table with a title and a caption."""

    name: str
    title: str
    caption: str
    columns: list[str]
    rows: list[Row]

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether all its cells are plain numbers."""
        return [
            bool(self.rows) and all(NUMBER.fullmatch(row.cells[i].text) for row in self.rows)
            for i in range(len(self.columns))
        ]

    def of(self, experiment: str) -> "Table":
        """The rows of one experiment, without the column that names it; none if there is no such column."""
        rows = [row for row in self.rows if row.axes.get("experiment") == experiment]
        if not rows:
            return replace(self, rows=[])
        place = self.columns.index("experiment")
        cut = [replace(row, cells=row.cells[:place] + row.cells[place + 1 :]) for row in rows]
        return replace(self, columns=self.columns[:place] + self.columns[place + 1 :], rows=cut)


def read_table(path: Path, caption: str, anchors: Anchors, link: Link) -> Table:
    """The table written as CSV at ``path``, titled by its name."""
    return from_frame(pd.read_csv(path, dtype=str, keep_default_na=False), path.stem, caption, anchors, link)


def from_frame(frame: pd.DataFrame, name: str, caption: str, anchors: Anchors, link: Link) -> Table:
    """A frame of texts as a table; the method (or experiment) of a row is linked to its runs, and a column
    ``folder`` to the directories it names. ``link`` makes a path relative to the page."""
    rows = []
    for values in frame.to_dict("records"):
        axes = {axis: values[axis] for axis in AXES if values.get(axis, "") not in MISSING}
        href = _link(axes, anchors)
        linked = "method" if "method" in axes else "experiment"
        cells = [_cell(column, text, href if column == linked else None) for column, text in values.items()]
        if "folder" in values:
            targets = tuple(link(Path(text)) + "/" for text in values["folder"].split("; "))
            cells[list(values).index("folder")] = Cell(values["folder"], folders=targets)
        rows.append(Row(cells, axes))
    title = name.replace("-", " ").replace("_", " ").capitalize()
    return Table(name, title, caption, list(frame.columns), rows)


def _link(axes: Mapping[str, str], anchors: Anchors) -> str | None:
    target = anchors.get(tuple(axes.get(axis, "") for axis in AXES))
    return f"#{target}" if target else None


def _cell(column: str, text: str, href: str | None) -> Cell:
    text = "–" if text in MISSING else _rounded(text)
    number = NUMBER.match(text)
    infinite = float("inf") if text.startswith("inf") else None
    mark = f"mark {slug(column)} is-{slug(text)}" if column in MARKED else ""
    return Cell(text, float(number[0]) if number else infinite, href, mark)


def _rounded(text: str) -> str:
    """A plain real number with more digits than anyone reads, in four; everything else as it is."""
    if (
        not NUMBER.fullmatch(text)
        or not set(text) & set(".eE")
        or len(re.sub(r"[eE].*|\D", "", text).lstrip("0")) <= 4
    ):
        return text
    return f"{float(text):.4g}"
