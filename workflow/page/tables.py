"""Any table of the reports as rows of cells that the template can show, sort and filter."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from workflow.analysis.summary import AXES
from workflow.analysis.writing import as_written
from workflow.page.columns import NAMES, in_order
from workflow.page.sentences import in_sentences

__all__ = ["Anchors", "Cell", "Row", "Table", "from_frame", "read_table", "slug"]

Anchors = Mapping[tuple[str, ...], str]
"""From values of the axes (:data:`AXES`, the last ones may be missing: ``""``) to the id of the first such run."""

Link = Callable[[Path], str]
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
MOST_ROWS = 200
"""A table with more rows is linked, not shown: a page of many would be too large to be opened."""
LONG = 44  # characters from which on a cell may break into lines
ABSENT = "–"
SMALL = 0.01  # below, a number with many digits is shown with an exponent
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
    """A table with a title and a caption; ``seen``: how many of its columns, the first ones, are seen at once."""

    name: str
    title: str
    caption: str
    columns: list[str]
    rows: list[Row]
    seen: int

    @property
    def note(self) -> str:
        """Why there is nothing in it, if so."""
        return self.rows[0].cells[0].text if self.columns == ["note"] and self.rows else ""

    @property
    def elsewhere(self) -> str:
        """Where it stands in full, if not here."""
        return (self.rows[0].cells[0].href or "") if self.note else ""

    @property
    def under_method(self) -> bool:
        """Whether a narrow window may put the experiment below the method that stands beside it."""
        return self.columns[:2] == ["experiment", "method"]

    def under(self, row: Row) -> str:
        """What a narrow window shows there: the experiment, and the backend, whose column may be out of sight."""
        if not self.under_method:
            return ""
        named = [row.cells[i].text for i, name in enumerate(self.columns) if name in ("experiment", "backend")]
        return ", ".join(named)

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether all its cells are plain numbers, or missing."""
        return [self._is_numeric({row.cells[i].text for row in self.rows}) for i in range(len(self.columns))]

    @staticmethod
    def _is_numeric(texts: set[str]) -> bool:
        known = texts - {ABSENT}
        return bool(known) and all(NUMBER.fullmatch(text) for text in known)

    def of(self, experiment: str) -> "Table":
        """The rows of one experiment, without the column that names it and without the caption, which the whole
        table has; no rows if there is no such column."""
        rows = [row for row in self.rows if row.axes.get("experiment") == experiment]
        if not rows:
            return replace(self, rows=[])
        place = self.columns.index("experiment")
        cut = [replace(row, cells=row.cells[:place] + row.cells[place + 1 :]) for row in rows]
        columns = self.columns[:place] + self.columns[place + 1 :]
        seen = self.seen - (place < self.seen)
        return replace(self, caption="", columns=columns, rows=cut, seen=seen)


def read_table(path: Path, caption: str, anchors: Anchors, link: Link) -> Table:
    """The table written as CSV at ``path``, titled by its name, with what its names say in sentences; one that has
    more than :data:`MOST_ROWS` rows is a link to its HTML beside that."""
    frame = as_written(pd.read_csv(path, dtype=str, keep_default_na=False))
    if len(frame) > MOST_ROWS:
        told = f"{len(frame):,} rows, too many for this page: see its files"
        row = Row([Cell(told, href=link(path.with_suffix(".html")))], {})
        return Table(path.stem, _title(path.stem), caption, ["note"], [row], 1)
    return from_frame(in_sentences(frame, path.stem), path.stem, caption, anchors, link, fold=True)


def from_frame(
    frame: pd.DataFrame, name: str, caption: str, anchors: Anchors, link: Link, fold: bool = False
) -> Table:
    """A frame of texts as a table; the method (or experiment) of a row is linked to its runs, and a column
    ``folder`` to the directories it names. ``link`` makes a path relative to the page. ``fold``:
    the columns that are seen at once come first (:func:`workflow.page.columns.in_order`), else all stand as they
    are."""
    columns, seen = in_order(frame, name) if fold else (list(frame.columns), len(frame.columns))
    rows = []
    for values in frame[columns].to_dict("records"):
        axes = {axis: values[axis] for axis in AXES if values.get(axis, "") not in MISSING}
        href = _link(axes, anchors)
        linked = "method" if "method" in axes else "experiment"
        cells = [_cell(column, text, href if column == linked else None) for column, text in values.items()]
        if "folder" in values:
            targets = tuple(link(Path(text)) + "/" for text in values["folder"].split("; "))
            cells[list(values).index("folder")] = Cell(values["folder"], folders=targets)
        rows.append(Row(cells, axes))
    names = NAMES.get(name, {})
    return Table(name, _title(name), caption, [names.get(column, column) for column in columns], rows, seen)


def _title(name: str) -> str:
    return name.replace("-", " ").replace("_", " ").capitalize()


def _link(axes: Mapping[str, str], anchors: Anchors) -> str | None:
    target = anchors.get(tuple(axes.get(axis, "") for axis in AXES))
    return f"#{target}" if target else None


def _cell(column: str, text: str, href: str | None) -> Cell:
    text = ABSENT if text in MISSING else _rounded(text)
    number = NUMBER.match(text)
    infinite = float("inf") if text.startswith("inf") else None
    mark = f"mark {slug(column)} is-{slug(text)}" if column in MARKED else ""
    if text.endswith(" contended"):
        mark = "mark is-contended"
    known = number[0] == text if number else False  # the page reads it from the text
    return Cell(text, (None if known else float(number[0])) if number else infinite, href, mark)


def _rounded(text: str) -> str:
    """A plain real number with more digits than anyone reads, in four, or in three if it is small; everything else
    as it is."""
    if not NUMBER.fullmatch(text) or not set(text) & set(".eE"):
        return text
    number, digits = float(text), len(re.sub(r"[eE].*|\D", "", text).lstrip("0"))
    if 0 < abs(number) < SMALL and digits >= 3:
        return f"{number:.2e}"
    return f"{number:.4g}" if digits > 4 else text
