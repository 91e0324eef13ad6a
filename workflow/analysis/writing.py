"""A table as CSV, Markdown, LaTeX and HTML."""

import html
import os
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["write_table"]

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


def write_table(table: pd.DataFrame, folder: Path, name: str, caption: str = "") -> None:
    """``name`` as CSV, Markdown, LaTeX and HTML in ``folder``.

    CSV has six digits of each number, the others three or all before the point, and ``-`` where one is missing. A
    column ``folder`` becomes links in HTML. A click on a column's head sorts the HTML by it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    shown = table.map(_shown)
    # Exponents such as 1e-4 stay as they are typed: tabulate would read them as numbers and round them.
    text = shown.to_markdown(index=False, disable_numparse=True)
    (folder / f"{name}.md").write_text(f"{caption}\n\n{text}\n".lstrip(), encoding="utf-8")
    comment = f"% {caption}\n" if caption else ""
    (folder / f"{name}.tex").write_text(comment + shown.to_latex(index=False, escape=True), encoding="utf-8")
    paragraph = f"<p>{_text(caption)}</p>\n" if caption else ""
    (folder / f"{name}.html").write_text(_HEAD + paragraph + _html(shown, folder) + _SORT, encoding="utf-8")


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
