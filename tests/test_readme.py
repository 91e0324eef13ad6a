"""What README, docs/results.md and reports/archive say of the archived runs is what these give."""

import contextlib
import re
import subprocess
import tomllib
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal
from PIL import Image

from tests.conftest import CATALOGUE, ROOT
from tests.summaries import seeds_of, summary_of
from workflow.readme import documents, reports

DOCUMENTS = sorted(path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
README, RESULTS = "README.md", "docs/results.md"
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in documents.DOCUMENTS}
ARCHIVE = ROOT / reports.FOLDER
TABLES = sorted(path.stem for path in (ARCHIVE / "tables").glob("*.csv"))
HINT = "`make readme` makes it anew"
LONGEST = 150
LARGEST = 1_500_000


@pytest.fixture(scope="module")
def summary() -> pd.DataFrame:
    with contextlib.chdir(ROOT):
        return reports.summary_of(reports.archive())


@pytest.fixture(scope="module")
def parts(summary: pd.DataFrame) -> dict[str, str]:
    with contextlib.chdir(ROOT):
        return documents.blocks(summary, CATALOGUE)


@pytest.fixture(scope="module")
def made(summary: pd.DataFrame, tmp_path_factory) -> Path:
    """What ``reports/archive`` should hold."""
    folder = tmp_path_factory.mktemp("archive")
    with contextlib.chdir(ROOT):
        reports.write_archive(folder, summary, reports.tables_of(reports.archive(), summary, CATALOGUE))
        reports.write_figures(folder / "figures", documents.papers(summary), CATALOGUE)
    return folder


def changed(summary: pd.DataFrame, name: str) -> str:
    """A generated part of another summary."""
    with contextlib.chdir(ROOT):
        make = documents.PAPERS.get(name) or documents.ALL[name]
        return make(documents.papers(summary) if name in documents.PAPERS else summary, CATALOGUE)


@pytest.mark.parametrize("document", documents.DOCUMENTS)
def test_the_generated_parts_are_those_of_the_archive(document: str, parts: dict[str, str]):
    assert documents.with_blocks(document, TEXTS[document], parts) == TEXTS[document], HINT


def test_every_generated_part_stands_in_a_document():
    placed = [name for names in documents.DOCUMENTS.values() for name in names]
    assert sorted(placed) == sorted([*documents.PAPERS, *documents.ALL, *documents.CURVATURE, documents.STUDIES])
    marked = re.findall(r"<!-- generated: (\S+) -->", "".join(TEXTS.values()))
    assert sorted(marked) == sorted(placed)


def test_no_cell_of_the_numbers_is_a_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    numbers = pd.DataFrame({"=1": ["=1+1", "mmpinn"], "error": [-1e-3, 2.0]})
    monkeypatch.setattr(reports, "FIGURES", {"map": lambda summary, catalogue: (Figure(), numbers)})
    reports.write_figures(tmp_path, pd.DataFrame(), CATALOGUE)
    assert (tmp_path / "map.csv").read_text() == "'=1,error\n'=1+1,-0.001\nmmpinn,2\n"


@pytest.mark.parametrize("name", reports.FIGURES)
def test_the_figures_show_the_archive(name: str, made: Path):
    """Pictures may differ between machines by how they are rendered; the numbers that one was made of may not."""
    ours, anew = ARCHIVE / "figures", made / "figures"
    assert (ours / f"{name}.csv").read_text() == (anew / f"{name}.csv").read_text(), HINT
    with Image.open(ours / f"{name}.png") as one, Image.open(anew / f"{name}.png") as other:
        assert (one.size, one.text["Description"]) == (other.size, other.text["Description"]), HINT
    assert (ours / f"{name}.png").stat().st_size < 140_000


def test_reports_archive_holds_what_the_archive_gives_and_nothing_else(made: Path):
    ours, anew = (
        sorted(path.relative_to(root) for root_ in [root] for path in root_.rglob("*")) for root in (ARCHIVE, made)
    )
    assert ours == anew, HINT
    assert (ARCHIVE / "README.md").read_text() == (made / "README.md").read_text(), HINT


@pytest.mark.parametrize("table", ["summary", *(f"tables/{name}" for name in TABLES)])
def test_the_tables_of_reports_archive_are_those_of_the_archive(table: str, made: Path):
    """Numbers may differ between machines in the last digit written."""
    ours, anew = (pd.read_csv(root / f"{table}.csv", keep_default_na=False) for root in (ARCHIVE, made))
    assert_frame_equal(ours, anew, rtol=1e-4, obj=f"{table}: {HINT}")


@pytest.mark.parametrize("table", TABLES)
def test_the_markdown_of_reports_archive_is_that_of_the_archive(table: str, made: Path):
    ours, anew = ((root / f"tables/{table}.md").read_text() for root in (ARCHIVE, made))
    assert ours == anew, HINT


def test_git_keeps_reports_archive_and_it_is_small():
    files = [path for path in ARCHIVE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    if (ROOT / ".git").exists():
        command = ["git", "check-ignore", "--no-index", *map(str, files), "reports/paper/quick/index.html"]
        ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.split()
        assert ignored == ["reports/paper/quick/index.html"]


def test_a_changed_error_changes_the_tables(summary: pd.DataFrame, parts: dict[str, str]):
    worse = summary.assign(rel_l2=summary.rel_l2 * 10)
    for name in ("verdicts", "verdict-counts", "answer", "claims"):
        assert changed(worse, name) != parts[name]
    assert changed(worse, "durations") == parts["durations"]


def test_runs_that_did_not_finish_are_infinitely_wrong_in_the_table(summary: pd.DataFrame):
    text = changed(summary.assign(status="diverged"), "verdicts")
    assert "[inf](" in text and "reproduced" not in text


def test_runs_that_waited_for_others_have_an_asterisk(summary: pd.DataFrame):
    free, waited = (
        changed(summary.assign(wall_seconds=ratio * summary.cpu_seconds), "durations") for ratio in (1.05, 1.2)
    )
    runs = len(documents.papers(summary).groupby(["experiment", "method", "backend"]))
    assert free.count("* (") == 0 and waited.count("* (") == runs


def test_a_row_of_one_seed_is_not_counted_as_reproduced(summary: pd.DataFrame):
    text = changed(summary[summary.seed == 0], "verdicts")
    assert "reproduced" not in text and "too few seeds (so far near the authors')" in text
    assert "Decided: none. Not decided: **" in changed(summary[summary.seed == 0], "answer")


def test_methods_beyond_the_paper_are_told_of_from_three_seeds_on(summary: pd.DataFrame):
    of_jax = summary[(summary.method != "bfgs") | (summary.backend == "jax")]
    assert "bfgs on jax" in changed(of_jax[of_jax.seed < 3], "answer")
    fewer = of_jax[~((of_jax.seed == 2) & (of_jax.experiment == "pulse"))]
    assert "bfgs on jax" not in changed(fewer[fewer.seed < 3], "answer"), "one problem has two seeds"


def test_seeds_that_broke_the_promise_are_counted():
    runs = summary_of(*seeds_of([2e-4, 2e-3, None], experiment="helmholtz-1-8", method="bfgs"))
    text = documents.CURVATURE["unseen"](runs, CATALOGUE)
    assert text.startswith("* bfgs on jax: 1 of 3 seeds end below 0.001 (2.0e-04, 2.0e-03, inf), in ")


def test_a_framework_without_runs_is_named_as_such(summary: pd.DataFrame):
    jax = summary[summary.backend == "jax"]
    assert "* **PyTorch**: no row has been run yet." in changed(jax, "answer")
    assert changed(jax, "frameworks") == "No method has been run on two frameworks yet."
    assert "**not run**" in changed(jax, "claims-table")


def test_a_framework_with_other_errors_is_said_to_differ(summary: pd.DataFrame):
    """Three methods of three seeds, of which one framework is three times as wrong."""
    alike = documents.papers(summary)
    errors = alike.set_index(["experiment", "method", "seed", "backend"]).rel_l2
    jax = [errors.get((*key, "jax")) for key in zip(alike.experiment, alike.method, alike.seed, strict=True)]
    other = alike.assign(
        rel_l2=alike.rel_l2.where(alike.backend == "jax", pd.Series(jax, alike.index) * (3 + 1e-3 * alike.seed))
    )
    assert "seen in none of these" in changed(summary, "frameworks")
    assert re.search(r"seen in \d+ of these \d+", changed(other, "frameworks"))
    assert "error of PyTorch is 3 times that of JAX" in " ".join(changed(other, "frameworks").split())


@pytest.mark.parametrize(
    ("document", "old", "name"),
    [
        (RESULTS, "<!-- generated: verdicts -->\n", "verdicts"),
        (RESULTS, "<!-- end -->", "verdict-counts"),
        (README, "<!-- generated: answer -->\n", "answer"),
    ],
)
def test_a_missing_marker_is_named(document: str, old: str, name: str, parts: dict[str, str]):
    with pytest.raises(ValueError, match=rf"{document}: <!-- generated: {name} --> .* 0 times, must be once"):
        documents.with_blocks(document, TEXTS[document].replace(old, "", 1), parts)


def anchors(text: str) -> set[str]:
    """The names by which headings of a Markdown page are linked to."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ARCHIVE / "README.md"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_link_leads_somewhere(document: Path):
    text = re.sub(r"^(```.*?^```|    .*?)$|`[^`]*`", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^):\s]+)\)", text):
        name, _, heading = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        assert not heading or heading in anchors(path.read_text(encoding="utf-8")), target


def test_every_document_is_linked_from_the_readme():
    missing = [
        path for path in DOCUMENTS if path.parent == ROOT / "docs" and f"(docs/{path.name})" not in TEXTS[README]
    ]
    assert not missing


def test_the_readme_is_short_and_shows_a_figure():
    assert len(TEXTS[README].splitlines()) <= LONGEST
    assert f"({reports.FOLDER}/figures/overview.png)" in TEXTS[README]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lines_are_short(document: Path):
    """But those of tables and generated parts, and addresses."""
    text = re.sub(r"<!-- generated.*?<!-- end -->", "", document.read_text(encoding="utf-8"), flags=re.S)
    long = [line for line in text.splitlines() if len(line) > 135 and not line.startswith(("|", "`"))]
    assert not long


CITATION = {  # of version 1.2.0 of the format, what is used here
    "type": "object",
    "required": ["cff-version", "message", "title", "authors"],
    "additionalProperties": False,
    "properties": {
        "cff-version": {"const": "1.2.0"},
        "type": {"enum": ["software", "dataset"]},
        "authors": {"type": "array", "minItems": 1, "items": {"required": ["name"]}},
        "keywords": {"type": "array", "uniqueItems": True, "items": {"type": "string", "minLength": 1}},
        "references": {
            "type": "array",
            "items": {
                "required": ["type", "title", "authors"],
                "properties": {
                    "authors": {"type": "array", "items": {"required": ["family-names", "given-names"]}},
                    "year": {"type": "integer"},
                    "url": {"type": "string", "pattern": "^https://"},
                },
            },
        },
    }
    | {
        name: {"type": "string", "minLength": 1} for name in ("message", "title", "abstract", "version", "license")
    },
}


def test_the_citation_is_of_this_version_and_of_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    jsonschema.validate(citation, CITATION)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in ("version", "license"):
        assert citation[name] == project[name]
    assert citation["title"] == project["name"]
    (paper,) = citation["references"]
    assert paper["url"] in TEXTS[README] and paper["title"] in " ".join(TEXTS[README].split())
