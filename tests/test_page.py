"""The page: what it says, and that it works in a browser."""

import html
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

import problems
from solvers.runs.archive import ARCHIVE
from solvers.runs.floor import floor_folder
from solvers.runs.run import run
from tests.chromium import CHROMIUM, Visit, visit
from tests.conftest import BACKENDS, CATALOGUE, ROOT, smoke_spec
from tests.summaries import seeds_of, summary_of
from workflow.analysis import figures, register
from workflow.analysis.claims import claims
from workflow.analysis.judging import Verdict
from workflow.analysis.summary import read_summary, summarise
from workflow.analysis.writing import write_table
from workflow.page import Inputs, write_page
from workflow.page.claims import times, told_in
from workflow.page.columns import in_order
from workflow.page.equations import formulas
from workflow.page.glossary import glossary
from workflow.page.tables import from_frame

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
    reports = root / "reports/paper/smoke"
    summary = summarise(folders, floors=[floor_folder("heat-0.3", ROOT / ARCHIVE)])
    (reports / "tables").mkdir(parents=True)
    summary.to_csv(reports / "summary.csv", index=False)
    for entry in (entry for entry in register.TABLES if entry.applies(register.Shown(()))):
        write_table(entry.load()(summary, CATALOGUE), reports / "tables", entry.name)
    novel = pd.DataFrame(
        {"experiment": ["heat-0.3"], "method": ["pinn"], "remark": [STRANGE], "p": [0.0123456789]}
    )
    novel.to_csv(reports / "tables/novel-test.csv", index=False)
    draw = register.figure("overview").load()
    figures.write_figure(*draw(summary, CATALOGUE), reports / "figures/overview.pdf")
    for experiment, rows in summary.groupby("experiment"):
        runs = figures.read_runs([Path(folder) for folder in rows.folder])
        for name in ("errors", "fields"):
            figures.write_figure(*register.figure(name).load()(runs), reports / f"figures/{experiment}/{name}.pdf")
    return Inputs(
        summary=reports / "summary.csv",
        tables=sorted((reports / "tables").glob("*.csv")),
        figures=sorted((reports / "figures").rglob("*.png")),
        config={"scale": "smoke", "seeds": 1},
    )


@pytest.fixture(scope="module")
def page(inputs) -> Path:
    path = inputs.summary.parent / "index.html"
    write_page(path, inputs)
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
            if link.startswith("https://arxiv.org/"):
                continue  # the one place outside of the repository
            assert (page.parent / link).exists(), link


def test_the_cells_of_the_list_of_runs_stand_below_their_heads(page, inputs):
    text = page.read_text(encoding="utf-8").partition('<details class="block runs">')[2].partition("</table>")[0]
    heads = [re.sub("<.*?>", "", head) for head in re.findall(r"<th scope=\"col\".*?</th>", text)]
    row = re.search(r'<tr id="run-heat-0.3--pinn--paper--torch--0".*?</tr>', text, re.S)[0]
    cells = [re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)]
    told, summary = dict(zip(heads, cells, strict=True)), read_summary(inputs.summary)
    run = summary[(summary.method == "pinn") & (summary.backend == "torch")].iloc[0]
    assert (told["numerics"], told["seed"], told["status"]) == ("paper", "0", run.status)
    assert told["relative L2"] == f"{run.rel_l2:.2e}" and told["iterations"] == str(run.iterations)


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


def test_the_page_tells_the_floor_of_the_experiment_that_has_one(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("Floor: a classical solver has the relative L2 error") == 1
    opening = text.partition('id="answer"')[2].partition("</ol>")[0]
    assert "A classical solver, on one core" in opening and "on 1 of these 2 problems" in opening


def test_the_page_counts_failures(page):
    assert "5 finished, 1 diverged" in re.sub(r"\s+", " ", page.read_text(encoding="utf-8"))


def answer_of(page: Path) -> str:
    """The first section."""
    return page.read_text(encoding="utf-8").partition('id="answer"')[2].partition("</section>")[0]


def test_every_claim_is_told_pair_by_pair(inputs, tmp_path):
    """With a line for a backend on which a pair of it was run; the budget is not the paper's."""
    made = {"experiment": "poisson-4-150", "scale": "smoke"}
    pair = [*seeds_of([2.0], method="pinn", **made), *seeds_of([0.1], method="mff", **made)]
    write_table(claims(summary_of(*pair), CATALOGUE), tmp_path, "claims")
    tables = [tmp_path / "claims.csv", *(path for path in inputs.tables if path.stem != "claims")]
    write_page(tmp_path / "index.html", replace(inputs, tables=tables, figures=[]))
    answer = answer_of(tmp_path / "index.html")
    found = told_in(tables)
    assert len(found) > 3 and all(f"<b>{claim.claim}</b>" in answer for claim in found)
    (line,) = [line for claim in found for line in claim.lines]
    assert "one seed: nothing can be said about spread, so far for it" in line.text and line.text in answer
    assert answer.count("neither confirms nor refutes it)") == 1


def test_other_conditions_than_the_papers_have_no_verdicts(page):
    answer = answer_of(page)
    assert "no error on this page confirms or refutes the paper" in answer
    assert 'class="tiles"' not in answer and "mark verdict" not in answer
    assert 'id="table-comparison"' in answer and "authors' error" in html.unescape(answer)


def test_the_papers_conditions_have_the_table_of_verdict_counts(inputs, tmp_path):
    summary = read_summary(inputs.summary).assign(scale="paper")
    summary.to_csv(tmp_path / "summary.csv", index=False)
    for name in ("verdict-counts", "verdicts", "claims"):
        write_table(register.table(name).load()(summary, CATALOGUE), tmp_path, name)
    tables = sorted(tmp_path.glob("[cv]*.csv"))
    write_page(
        tmp_path / "index.html", replace(inputs, summary=tmp_path / "summary.csv", tables=tables, figures=[])
    )
    answer = answer_of(tmp_path / "index.html")
    counts = pd.read_csv(tmp_path / "verdict-counts.csv")
    assert len(counts) == answer.count('class="tiles"') == len(BACKENDS)
    for verdict in Verdict:
        tiles = re.findall(rf"<dt>{verdict}</dt><dd>(\d+)</dd>", answer)
        assert [int(count) for count in tiles] == list(counts[str(verdict)])
    assert answer.count("of the 36 rows in the authors’ repository have been run") == len(BACKENDS)
    assert answer.count("3 of these rows are not decided") == len(BACKENDS)
    assert answer.count('class="mark verdict is-too-few-seeds"') == 3 * len(BACKENDS)
    assert 4 <= len(re.findall("<li>", answer.partition("</ol>")[0])) <= 6


def test_a_problem_of_ones_own_has_no_word_of_the_paper(inputs, tmp_path):
    """Another title, another main table, no table of the authors' rows."""
    folders = [tmp_path / "results" / backend for backend in BACKENDS]
    for backend, folder in zip(BACKENDS, folders, strict=True):
        run(smoke_spec(("burgers", "pinn"), backend, "paper"), folder)
    summary = summarise(folders)
    summary.to_csv(tmp_path / "summary.csv", index=False)
    for entry in (entry for entry in register.TABLES if entry.applies(register.Shown(()))):
        write_table(entry.load()(summary, CATALOGUE), tmp_path, entry.name)
    tables = sorted(path for path in tmp_path.glob("*.csv") if path.stem != "summary")
    study = {"title": "The experiments of MMPINN", "description": "With the authors' numbers."}
    shown = replace(inputs, summary=tmp_path / "summary.csv", tables=tables, figures=[], **study)
    write_page(tmp_path / "index.html", shown)
    text = html.unescape((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "<h1>Burgers' equation, nu = 0.01 / pi</h1>" in text and study["title"] not in text
    answer = html.unescape(answer_of(tmp_path / "index.html"))
    assert "there is no number of a paper to compare with" in answer and "Burgers' equation" in answer
    assert 'id="table-comparison"' in answer and "authors" not in answer.partition("<table")[0]
    assert not any(f'id="table-{name}"' in text for name in register.OF_THE_PAPER)


class Heads(HTMLParser):
    """For every table, how many of its columns are seen at once."""

    def __init__(self, page: Path):
        super().__init__()
        self.seen: list[int] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.seen.append(0)
        named = dict(attrs)
        if tag == "th" and named.get("scope") == "col" and "more" not in named.get("class", "").split():
            self.seen[-1] += 1


def test_no_table_shows_more_than_eight_columns_at_once(page, inputs):
    seen = Heads(page).seen
    assert len(seen) > len(inputs.tables) // 2 and min(seen) >= 2 and max(seen) <= 8
    assert any(len(pd.read_csv(path).columns) > 20 for path in inputs.tables)


def test_points_of_a_study_show_their_error_behind_the_axes():
    """What a narrow window shows is the rule and its median, not how many seeds it had."""
    behind = ["seeds", "failures", "error, lower quartile", "error, median", "error, upper quartile", "iterations"]
    frame = pd.DataFrame([["heat-0.3", "pinn", "jax", "sum", "3", "0", "0.1", "0.2", "0.3", "5"]])
    frame.columns = ["experiment", "method", "backend", "rule", *behind]
    columns, seen = in_order(frame, "points")
    assert columns[:seen][:4] == ["experiment", "method", "rule", "error, median"]
    assert sorted(columns) == sorted(frame.columns) and seen == 8


def test_a_narrow_window_shows_experiment_and_backend_below_the_method():
    """Their columns are out of sight there."""
    columns = ["experiment", "method", "median", "backend"]
    frame = pd.DataFrame([["heat-0.3", "pinn", "0.5", "jax"]], columns=columns)
    table = from_frame(frame, "comparison", "", {}, lambda *_: None)
    assert table.under(table.rows[0]) == "heat-0.3, jax"
    without = from_frame(frame[["method", "median"]], "comparison", "", {}, lambda *_: None)
    assert without.under(without.rows[0]) == ""


def test_backends_are_compared_in_sentences_with_the_tables_numbers(page, inputs):
    text = html.unescape(page.read_text(encoding="utf-8"))
    section = text.partition('id="frameworks"')[2].partition("</section>")[0]
    overall = pd.read_csv(next(path for path in inputs.tables if path.stem == "backends-overall")).iloc[0]
    assert overall["rows"] == 3 and overall["rows without a ratio"] == 1, "one run diverged"
    assert f"{times(overall['CPU ms per evaluation b / a'])} (95 %:" in section
    assert f"{overall['peak memory MiB, b']:.0f} MiB against {overall['peak memory MiB, a']:.0f} MiB" in section
    assert "In 1 method a run did not finish" in section


def test_equations_are_set_as_mathematics(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("<math") >= 2 * 4 and "<msub><mi>u</mi><mi>xx</mi></msub>" in text
    for name in CATALOGUE.names("experiments"):
        for formula in formulas(problems.load(**dict(CATALOGUE.experiment(name).problem))):
            elements = [f"<p>{line}</p>" for line in formula.mathml.split("; ")]
            assert formula.name and all(ElementTree.fromstring(line) is not None for line in elements)


def test_the_glossary_stands_in_one_place(page, tmp_path):
    text, parts = page.read_text(encoding="utf-8"), glossary()
    terms = [term for part in parts for term, _ in part.terms]
    assert all(f"<dt>{term}</dt>" in text for term in terms)
    named = " ".join(terms)
    assert all(word in named for word in ("MFF", "INN", "IFNN", "GRS", "LRA", "SA", "HC", "Numerics"))
    assert all(str(verdict) in named.lower().replace("better, worse", "better worse") for verdict in Verdict)
    (tmp_path / "broken.md").write_text("# G\n\n## Part\n\n**Term**\n: meaning\n\nand more\n")
    with pytest.raises(ValueError, match=r"broken\.md: 'and more'"):
        glossary(tmp_path / "broken.md")


def test_a_figure_without_numbers_is_left_out(inputs, tmp_path):
    folder = tmp_path / "figures/heat-0.3"
    folder.mkdir(parents=True)
    (name,) = [path for path in inputs.figures if path.stem == "errors" and path.parent.name == "heat-0.3"]
    shutil.copy(name, folder / "differences.png")
    (folder / "differences.csv").write_text("method,difference\n")
    write_page(tmp_path / "index.html", replace(inputs, figures=[folder / "differences.png"]))
    assert "<img" not in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("ratio", "marked"), [(1.05, 0), (1.15, 6)])
def test_runs_that_waited_for_others_are_marked(inputs, ratio, marked):
    summary = read_summary(inputs.summary)
    path, page = (
        inputs.summary.with_name(f"waited-{marked}.csv"),
        inputs.summary.with_name(f"waited-{marked}.html"),
    )
    summary.assign(wall_seconds=ratio * summary.cpu_seconds).to_csv(path, index=False)
    write_page(page, replace(inputs, summary=path))
    text = re.sub(r"\s+", " ", page.read_text(encoding="utf-8"))
    assert text.count("mark is-contended") == text.count(f"{ratio} contended") == marked
    assert f"{marked} runs with more than 1.1 wall seconds for a CPU second" in text


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
@pytest.mark.parametrize("width", [1400, 500, 360])
def test_nothing_is_wider_than_the_window(page, tmp_path, width):
    probe = "return [innerWidth, document.documentElement.scrollWidth];"
    inner, content = visit(page, probe, tmp_path, (width, 900)).answer
    assert inner <= width and content <= inner


def test_archived_runs_beside_others_are_counted_and_marked(inputs, tmp_path):
    summary = read_summary(inputs.summary)
    summary["source"] = ["archive", "archive", *["fresh"] * (len(summary) - 2)]
    summary.to_csv(tmp_path / "summary.csv", index=False)
    write_page(tmp_path / "index.html", replace(inputs, summary=tmp_path / "summary.csv"))
    text = (tmp_path / "index.html").read_text()
    assert f"{len(summary)} runs, 2 of them from the archive" in text and text.count(", archived<") == 2


def test_runs_that_are_not_of_todays_code_are_marked(inputs, tmp_path):
    """Archived ones: fresh ones are made again."""
    summary = read_summary(inputs.summary)
    summary["outdated"] = ["specification and code", "code", *[""] * (len(summary) - 2)]
    summary.to_csv(tmp_path / "summary.csv", index=False)
    write_page(tmp_path / "index.html", replace(inputs, summary=tmp_path / "summary.csv"))
    text = (tmp_path / "index.html").read_text()
    assert "1 archived run was made with other specification and code than today’s" in text
    assert len(re.findall(r", other (?:specification and )?code<", text)) == 2
