"""The page: what it says, and that it works in a browser."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from solvers.run import run
from tests.chromium import CHROMIUM, Visit, visit
from tests.conftest import BACKENDS, CATALOGUE, smoke_spec
from workflow.analysis import figures, tables
from workflow.analysis.summary import read_summary, summarise
from workflow.analysis.verdicts import Verdict
from workflow.page import Inputs, write_page

in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
METHODS = (("heat-0.3", "pinn"), ("heat-0.3", "mmpinn"), ("poisson-4-150", "mff"))
STRANGE = "<script>alert(1)</script> & 'quotes'"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    """Reports of six runs at the smoke scale, one of them diverged, with a table that the page does not know."""
    root = tmp_path_factory.mktemp("sweep")
    folders = []
    for method in METHODS:
        for backend in BACKENDS:
            bad = method == METHODS[0] and backend == BACKENDS[0]
            overrides = ["optimizers.adam.learning_rate=1e6"] if bad else []
            folders.append(root / "results" / "-".join([*method, backend]))
            run(smoke_spec(method, backend, "paper", overrides=overrides), folders[-1])
    reports = root / "reports/smoke"
    summary = summarise(folders)
    (reports / "tables").mkdir(parents=True)
    summary.to_csv(reports / "summary.csv", index=False)
    for name, make in tables.TABLES.items():
        tables.write_table(make(summary, CATALOGUE), reports / "tables", name)
    novel = pd.DataFrame(
        {"experiment": ["heat-0.3"], "method": ["pinn"], "remark": [STRANGE], "p": [0.0123456789]}
    )
    novel.to_csv(reports / "tables/novel-test.csv", index=False)
    figures.write_figure(*figures.draw_overview(summary, CATALOGUE), reports / "figures/overview.pdf")
    for experiment, rows in summary.groupby("experiment"):
        runs = figures.read_runs([Path(folder) for folder in rows.folder])
        for name in ("errors", "fields"):
            figures.write_figure(*figures.FIGURES[name](runs), reports / f"figures/{experiment}/{name}.pdf")
    return Inputs(
        summary=reports / "summary.csv",
        tables=sorted((reports / "tables").glob("*.csv")),
        figures=sorted((reports / "figures").rglob("*.png")),
        config={"scale": "smoke", "seeds": 1},
    )


@pytest.fixture(scope="module")
def page(inputs) -> Path:
    path = inputs.summary.parent / "index.html"
    write_page(path, inputs, {name: tables.caption(name) for name in tables.TABLES})
    return path


class Elements(HTMLParser):
    """Tags with their attributes."""

    def __init__(self, page: Path):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.found if attributes.get(attribute) is not None]


def test_every_link_resolves(page):
    elements = Elements(page)
    ids = elements.all("id")
    assert len(ids) == len(set(ids))
    links = elements.all("href")
    assert len(links) > 40
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids
        elif link != "data:,":
            assert (page.parent / link).exists(), link


def test_every_run_has_its_directory_specification_and_command(page, inputs):
    text = page.read_text(encoding="utf-8")
    for row in read_summary(inputs.summary).itertuples():
        assert row.command in text
        assert f"{Path(row.folder).name}/run.json" in text
    assert Elements(page).all("class").count("run") == len(read_summary(inputs.summary))


def test_images_are_embedded_and_described(page, inputs):
    images = [attributes for tag, attributes in Elements(page).found if tag == "img"]
    assert len(images) == len(inputs.figures)
    assert all(image["src"].startswith("data:image/webp;base64,") and len(image["alt"]) > 20 for image in images)


def test_a_table_that_nobody_announced_is_shown(page):
    text = page.read_text(encoding="utf-8")
    assert "Novel test" in text and "0.01235" in text
    assert STRANGE not in text and "&lt;script&gt;alert(1)" in text


def test_the_page_counts_failures(page):
    assert "5 finished, 1 diverged" in re.sub(r"\s+", " ", page.read_text(encoding="utf-8"))


def test_the_answer_is_the_table_of_verdict_counts(page, inputs):
    answer = page.read_text(encoding="utf-8").partition('id="answer"')[2].partition("</section>")[0]
    counts = pd.read_csv(next(path for path in inputs.tables if path.stem == "verdict-counts"))
    assert len(counts) == answer.count('class="tiles"') == len(BACKENDS)
    for verdict in Verdict:
        tiles = re.findall(rf"<dt>{verdict}</dt><dd>(\d+)</dd>", answer)
        assert [int(count) for count in tiles] == list(counts[str(verdict)])
    assert answer.count("neither confirm nor refute") == len(BACKENDS)
    assert "Verdicts</h3>" in answer


@pytest.fixture(scope="module")
def opened(page, tmp_path_factory) -> Visit:
    """What a visitor sees, who unchecks a backend, shows all again, and sorts a table twice."""
    probe = (Path(__file__).parent / "page_probe.js").read_text(encoding="utf-8")
    return visit(page, probe, tmp_path_factory.mktemp("chromium"))


@in_chromium
def test_it_opens_without_errors_and_without_a_network(opened):
    assert opened.console == []
    assert opened.answer["resources"] == []


@in_chromium
def test_an_error_or_a_request_would_be_seen(page, tmp_path):
    """So that the test above can fail: the browser reports what the page's policy forbids."""
    probe = """
    console.error("told");
    const image = new Image(); image.src = "http://127.0.0.1:9/x.png"; document.body.append(image);
    return true;
    """
    console = " ".join(visit(page, probe, tmp_path).console)
    assert "told" in console and "http://127.0.0.1:9/x.png" in console and "Content Security Policy" in console


@in_chromium
def test_every_image_loads(opened, inputs):
    assert opened.answer["images"] == len(inputs.figures)
    assert opened.answer["broken"] == []


@in_chromium
def test_filters_hide_and_show_runs(opened):
    answer = opened.answer
    assert answer["all"] == {"runs": 6, "count": "6 of 6 runs", "backends": sorted(BACKENDS)}
    assert answer["without"]["runs"] == 3 and answer["without"]["count"] == "3 of 6 runs"
    assert len(answer["without"]["backends"]) == 1
    assert answer["mff"] == {"runs": 2, "count": "2 of 6 runs", "backends": sorted(BACKENDS)}
    assert answer["experiment"] == ["heat-0.3"]
    assert answer["reset"] == answer["all"]


@in_chromium
def test_tables_are_sorted_as_numbers(opened):
    up, down = opened.answer["ascending"], opened.answer["descending"]
    assert len(up) == 4 and up == sorted(up) and down == sorted(up, reverse=True)


@in_chromium
def test_a_link_opens_the_list_that_holds_its_target(opened):
    assert opened.answer["revealed"] == {"before": False, "after": True}


@in_chromium
@pytest.mark.parametrize("width", [1400, 500])
def test_nothing_is_wider_than_the_window(page, tmp_path, width):
    probe = "return [innerWidth, document.documentElement.scrollWidth];"
    inner, content = visit(page, probe, tmp_path, (width, 900)).answer
    assert inner <= width and content <= inner
