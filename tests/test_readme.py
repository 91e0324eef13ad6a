"""What the README says of the archived runs is what they give; what it links to is there."""

import contextlib
import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from tests.conftest import CATALOGUE, ROOT
from workflow import readme

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / readme.FIGURE_FOLDER
HINT = "`make readme` makes it anew"


@pytest.fixture(scope="module")
def summary() -> pd.DataFrame:
    with contextlib.chdir(ROOT):
        return readme.archived()


@pytest.fixture(scope="module")
def parts(summary: pd.DataFrame) -> dict[str, str]:
    with contextlib.chdir(ROOT):
        return readme.blocks(summary, CATALOGUE)


@pytest.fixture(scope="module")
def drawn(summary: pd.DataFrame, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    with contextlib.chdir(ROOT):
        readme.write_figures(folder, summary, CATALOGUE)
    return folder


def test_the_tables_are_those_of_the_archive(parts: dict[str, str]):
    assert readme.with_blocks(TEXT, parts) == TEXT, HINT


@pytest.mark.parametrize("name", readme.FIGURES)
def test_the_figures_show_the_archive(name: str, drawn: Path):
    """Pictures may differ between machines by how they are rendered; the numbers that one was made of may not."""
    assert (DOCS / f"{name}.csv").read_text() == (drawn / f"{name}.csv").read_text(), HINT
    with Image.open(DOCS / f"{name}.png") as ours, Image.open(drawn / f"{name}.png") as anew:
        assert (ours.size, ours.text["Description"]) == (anew.size, anew.text["Description"]), HINT
    assert (DOCS / f"{name}.png").stat().st_size < 120_000
    assert f"({readme.FIGURE_FOLDER}/{name}.png)" in TEXT


def test_a_changed_error_changes_the_tables(summary: pd.DataFrame, parts: dict[str, str]):
    worse = summary.assign(rel_l2=summary.rel_l2 * 10)
    with contextlib.chdir(ROOT):
        changed = readme.blocks(worse, CATALOGUE)
    assert changed["verdicts"] != parts["verdicts"] and changed["durations"] == parts["durations"]
    assert readme.with_blocks(TEXT, changed) != TEXT


def test_runs_that_did_not_finish_are_infinitely_wrong_in_the_table(summary: pd.DataFrame):
    with contextlib.chdir(ROOT):
        text = readme.blocks(summary.assign(status="diverged"), CATALOGUE)["verdicts"]
    assert "[inf](" in text and "reproduced" not in text


@pytest.mark.parametrize(("old", "new"), [("<!-- generated: verdicts -->\n", ""), ("<!-- end -->", "")])
def test_a_missing_marker_is_named(old: str, new: str, parts: dict[str, str]):
    with pytest.raises(ValueError, match=r"README.md: <!-- generated: verdicts --> .* 0 times, must be once"):
        readme.with_blocks(TEXT.replace(old, new, 1), parts)


def test_every_link_to_a_file_leads_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links and not [link for link in links if not (ROOT / link).exists()]


def test_the_citation_is_of_this_version_and_of_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["title"], citation["version"]) == (project["name"], project["version"])
    (paper,) = citation["references"]
    assert paper["url"] in TEXT and paper["title"] in " ".join(TEXT.split())
