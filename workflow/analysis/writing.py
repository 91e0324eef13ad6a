"""A table as CSV, Markdown, LaTeX and HTML."""

import html
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

__all__ = ["as_written", "harmless", "write_table"]

FORMULA = re.compile(r"'*[=+\-@\t\n].", re.DOTALL)
NUMBER = re.compile(r"[-+]?((\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|inf)")

_HEAD = """<!DOCTYPE html>
<meta charset="utf-8">
<style>
body { font-family: sans-serif; } table { border-collapse: collapse; } p { max-width: 60em; }
th, td { padding: 0.3em 0.7em; border-bottom: 1px solid #ccc; text-align: left; white-space: nowrap; }
th { cursor: pointer; }
</style>
"""
_SORT = """<script>
// A click on a column's head sorts by it, numbers as numbers; a second click sorts the other way round.
document.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
  const body = document.querySelector("tbody"), up = head.dataset.up = head.dataset.up === "1" ? "0" : "1";
  const value = row => row.cells[column].textContent;
  const number = text => text === "inf" ? Infinity : parseFloat(text);
  const order = (a, b) => number(a) - number(b) || a.localeCompare(b);
  const rows = [...body.rows].sort((a, b) => order(value(a), value(b)) * (up === "1" ? 1 : -1));
  body.append(...rows);
}));
</script>
"""


FORMATS = ("csv", "md", "tex", "html")


def write_table(
    table: pd.DataFrame, folder: Path, name: str, caption: str = "", formats: Collection[str] = FORMATS
) -> None:
    """``name`` as CSV, Markdown, LaTeX and HTML, or only some of these ``formats``, in ``folder``.

    CSV has six digits of each number, the others three or all before the point, and ``-`` where one is missing. A
    column ``folder`` becomes links in HTML. A click on a column's head sorts the HTML by it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = table.map(_shown)
    write = {
        "csv": lambda: harmless(table).to_csv(index=False, float_format="%.6g", lineterminator="\n"),
        "md": lambda: f"{caption}\n\n{_markdown(shown)}\n".lstrip(),
        "tex": lambda: (f"% {caption}\n" if caption else "") + shown.to_latex(index=False, escape=True),
        "html": lambda: _HEAD + (f"<p>{_text(caption)}</p>\n" if caption else "") + _html(shown, folder) + _SORT,
    }
    for suffix in formats:
        (folder / f"{name}.{suffix}").write_text(write[suffix](), encoding="utf-8", newline="")


def _markdown(shown: pd.DataFrame) -> str:
    """Exponents such as 1e-4 stay as they are typed: tabulate would read them as numbers and round them."""
    cells = shown.rename(columns=_in_markdown).map(_in_markdown)
    return cells.to_markdown(index=False, disable_numparse=True)


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` for a CSV file: texts that a spreadsheet would take for a formula begin with an apostrophe.

    Numbers are left as they are, those that are typed as texts too.
    """
    return _texts(table.rename(columns=_no_formula), _no_formula)


def as_written(table: pd.DataFrame) -> pd.DataFrame:
    """A table read from such a file, without the apostrophes."""
    return _texts(table.rename(columns=_formula), _formula)


def _texts(table: pd.DataFrame, change: Callable[[object], object]) -> pd.DataFrame:
    texts = [name for name in table.columns if not is_numeric_dtype(table[name])]
    changed = table.copy()
    changed[texts] = table[texts].map(change)
    return changed


def _formula(cell: object) -> object:
    marked = isinstance(cell, str) and cell.startswith("'") and _no_formula(cell[1:]) == cell
    return str(cell)[1:] if marked else cell


def _no_formula(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", "\n")  # alone it would end the row, unquoted
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def _in_markdown(text: object) -> str:
    """A cell that is neither two cells, nor HTML, nor two lines."""
    return " ".join(str(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").splitlines())


def _shown(value: object) -> str:
    """A cell as a person reads it: counts and large numbers without an exponent."""
    if not isinstance(value, float | np.floating):
        return str(value)
    if np.isnan(value):
        return "-"
    return f"{value:.0f}" if 100 <= abs(value) < 1e7 else f"{value:.3g}"


def _html(shown: pd.DataFrame, folder: Path) -> str:
    cells = shown.map(_text)
    if "folder" in cells:
        cells["folder"] = [_links(text, folder) for text in shown["folder"]]
    cells.columns = [_text(column) for column in cells.columns]
    with pd.option_context("display.max_colwidth", None):
        return cells.to_html(index=False, border=0, escape=False)


def _text(text: str) -> str:
    return html.escape(text, quote=False)


def _links(text: str, folder: Path) -> str:
    """Folders, separated by semicolons, as links from ``folder``."""
    links = []
    for target in text.split("; "):
        address = html.escape(Path(os.path.relpath(target, folder)).as_posix(), quote=True)
        links.append(f'<a href="{address}">{_text(target)}</a>')
    return "; ".join(links)
