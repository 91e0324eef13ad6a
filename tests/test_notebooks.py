"""The notebooks of the docs are executed, and show what their cells give."""

import json

import pytest

from tests.conftest import ROOT
from tests.notebooks import code_cells, execute

NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])
def test_a_notebook_shows_what_its_cells_give(path, monkeypatch):
    monkeypatch.chdir(path.parent)  # as Jupyter does
    shown = [cell["outputs"] for cell in code_cells(json.loads(path.read_text()))]
    made = execute(path)
    assert texts(made) == texts(shown), f"python -m tests.notebooks {path.relative_to(ROOT)} writes it anew"
    assert sum(bool(outputs) for outputs in made) >= 4


def texts(cells: list) -> list[list[str]]:
    """The outputs' texts, and their kinds: what a figure's file holds depends on its fonts."""
    return [[*output["data"]["text/plain"], *sorted(output["data"])] for outputs in cells for output in outputs]
