"""What stands on the page, gathered from the reports of one sweep."""

import inspect
import os
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import problems
from solvers.configuration.catalogue import Catalogue
from workflow.analysis import register
from workflow.analysis.summary import (
    CONTENDED,
    contended,
    grouped_by,
    read_summary,
)
from workflow.page.answer import answers
from workflow.page.beyond import beyond_in
from workflow.page.check import check_in
from workflow.page.claims import told_in
from workflow.page.equations import Formula, formulas
from workflow.page.float32 import stops
from workflow.page.floor import FloorTold, floor_told
from workflow.page.frameworks import frameworks
from workflow.page.glossary import glossary
from workflow.page.leaderboard import HEAT_MAP, PICTURES, board_in
from workflow.page.opening import Kind, kind_of, opening
from workflow.page.pictures import Embedded, Picture, embedded, picture, shows_something
from workflow.page.provenance import origins
from workflow.page.runs import RunRow, run_anchors, run_columns, run_rows
from workflow.page.tables import Anchors, Table, read_table

__all__ = ["Inputs", "Picture", "Section", "render", "write_page"]

WORKFLOW = Path(__file__).resolve().parent.parent
ROOT = WORKFLOW.parent
MAIN = {
    Kind.PAPER: ("verdicts",),
    Kind.OTHER_CONDITIONS: ("comparison",),
    Kind.OWN: ("leaderboard", "points", "comparison"),
}
"""Tables that give the answer, the first that exists counts: it is shown open. Verdicts are none where the
conditions are not the paper's."""
PAPER_STUDY = "paper"
PUBLISHED = "published"
"""The table of errors that others give for a problem: each experiment shows its rows."""
MOST_RUNS = 600
"""Of more runs than this all seeds of one stand in one line: a line for each would make a page too large."""


@dataclass(frozen=True)
class Inputs:
    """The files a page is made of: the summary, tables as CSV, figures as PNG (those of an experiment in a folder
    of its name), the pipeline's configuration, and what the study says of itself."""

    summary: Path
    tables: Sequence[Path]
    figures: Sequence[Path]
    config: Mapping[str, Any]
    title: str = ""
    description: str = ""


@dataclass(frozen=True)
class Section:
    """Everything about one experiment; ``group``: that of problems beside the paper's which it belongs to, or
    nothing."""

    name: str
    title: str
    group: str
    formulas: list[Formula]
    sources: dict[str, str]
    floor: FloorTold | None
    tables: list[Table]
    pictures: list[Picture]
    runs: list[RunRow]


def write_page(page: Path, inputs: Inputs, threads: int = 1) -> None:
    """The page at ``page``; links are relative to it. Images are compressed in so many ``threads``."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render(page, inputs, threads), encoding="utf-8")


def render(page: Path, inputs: Inputs, threads: int = 1) -> str:
    """The page as text, to be put at ``page``."""
    summary, catalogue = read_summary(inputs.summary), Catalogue()
    kind = kind_of(summary, catalogue)
    anchors = run_anchors(summary)
    link = _linker(page)
    paths = [path for path in inputs.tables if kind != Kind.OWN or path.stem not in register.OF_THE_PAPER]
    tables = _tables(paths, anchors, link)
    main = next((name for name in MAIN[kind] if name in [table.name for table in tables]), "")
    figures = [path for path in inputs.figures if path.stem != HEAT_MAP and shows_something(path)]
    with ThreadPoolExecutor(threads) as pool:
        images = dict(zip(figures, pool.map(embedded, figures), strict=True))
    together = len(summary) > MOST_RUNS
    shown = [table for table in tables if table.name in (main, PUBLISHED)]
    sections = [
        _section(catalogue, name, runs, shown, images, link, together)
        for name, runs in summary.groupby("experiment", sort=False)
    ]
    sections.sort(key=lambda section: section.group)
    pictures = [
        picture(path, image, "", link)
        for path, image in images.items()
        if path.parent.name not in set(summary.experiment)
    ]
    title, description = _titles(kind, summary, catalogue, inputs)
    environment = Environment(
        loader=FileSystemLoader(WORKFLOW / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        description=description,
        opening=opening(summary, paths, catalogue),
        facts=facts(summary),
        main=main,
        board=board_in(paths, summary),
        together=together,
        answers=[answer for answer in answers(paths) if answer.papers],
        check=check_in(paths),
        claims=told_in(paths),
        beyond=beyond_in(paths),
        frameworks=frameworks(paths, anchors, link),
        glossary=glossary(),
        sources=_sources(inputs, link),
        stops=stops(inputs.tables, anchors, link),
        tables=tables,
        overview=[each for each in pictures if each.name not in PICTURES],
        board_pictures=[each for each in pictures if each.name in PICTURES],
        heat_map=next((link(path) for path in inputs.figures if path.stem == HEAT_MAP), ""),
        sections=sections,
        axes={
            axis: list(dict.fromkeys(summary[axis])) for axis in ("experiment", "backend", "numerics", "method")
        },
        origins=origins(Path(folder) for folder in summary.folder),
        config=yaml.safe_dump(dict(inputs.config), sort_keys=False),
        run_columns=run_columns(summary),
        summary=link(inputs.summary),
    )


def _tables(paths: Sequence[Path], anchors: Anchors, link: Callable[[Path], str]) -> list[Table]:
    captions = {table.name: table.caption for table in register.TABLES}
    return [read_table(path, captions.get(path.stem, ""), anchors, link) for path in paths]


def _titles(kind: str, summary: pd.DataFrame, catalogue: Catalogue, inputs: Inputs) -> tuple[str, str]:
    """Title and description: those of the study, unless it is that of the paper and none of its rows is here."""
    if kind != Kind.OWN or inputs.config.get("study", PAPER_STUDY) != PAPER_STUDY:
        return inputs.title, inputs.description
    titles = [catalogue.experiment(name).title for name in summary.experiment.unique()]
    shown = textwrap.shorten("; ".join(titles), 120, placeholder=" ...")
    published = any(catalogue.experiment(name).published for name in summary.experiment.unique())
    known = "Errors that others publish stand beside ours." if published else "No paper's number is known of them."
    return shown, f"Methods side by side on the same points and seeds, on problems beside the paper's. {known}"


def _sources(inputs: Inputs, link: Callable[[Path], str]) -> dict[str, str]:
    """Where code and data of the page stand, by what they are."""
    folder = inputs.summary.parent
    found = {
        "all runs, one row each (CSV)": inputs.summary,
        "tables (CSV, Markdown, LaTeX, HTML)": folder / "tables",
        "figures (PDF, PNG, CSV of their numbers)": folder / "figures",
        "rules of the verdicts and claims": ROOT / "config/paper/manifest.yaml",
        "the authors' numbers": ROOT / "config/paper/authors_results.csv",
        "problems": ROOT / "problems",
        "methods and training": ROOT / "solvers",
        "tables, figures and this page": ROOT / "workflow",
    }
    return {name: link(path) + ("/" if path.is_dir() else "") for name, path in found.items() if path.exists()}


def _linker(page: Path) -> Callable[[Path], str]:
    def link(path: Path) -> str:
        return Path(os.path.relpath(path, page.parent)).as_posix()

    return link


def facts(summary: pd.DataFrame) -> dict[str, Any]:
    """The sweep in numbers."""
    seeds = summary.groupby(grouped_by(summary)).seed.nunique()
    return {
        "scale": summary.scale.iloc[0],
        "backends": list(dict.fromkeys(summary.backend)),
        "numerics": list(dict.fromkeys(summary.numerics)),
        "experiments": summary.experiment.nunique(),
        "methods": len(summary.groupby(["experiment", "method"])),
        "runs": len(summary),
        "statuses": dict(Counter(summary.status).most_common()),
        "seeds": (int(seeds.min()), int(seeds.max())),
        "hours": float(summary.cpu_seconds.sum()) / 3600,
        "wall_hours": float(summary.wall_seconds.sum()) / 3600,
        "contended": int(contended(summary).sum()),
        "limit": CONTENDED,
        "archived": int((summary.source == "archive").sum()),
        "outdated": dict(Counter(summary.outdated[summary.outdated != ""]).most_common()),
    }


def _section(
    catalogue: Catalogue,
    name: str,
    runs: pd.DataFrame,
    tables: Sequence[Table],
    images: Mapping[Path, Embedded],
    link: Callable[[Path], str],
    together: bool,
) -> Section:
    experiment = catalogue.experiment(name)
    problem = problems.load(**dict(experiment.problem))
    own = [table.of(name) for table in tables]
    files = {
        "experiment": catalogue.folder / "experiments" / f"{name}.yaml",
        "problem": Path(inspect.getfile(type(problem))),
    }
    return Section(
        name=name,
        title=experiment.title,
        group=experiment.group or "",
        formulas=formulas(problem),
        sources={what: link(path) for what, path in files.items() if path.exists()},
        floor=floor_told(runs, link),
        tables=[table for table in own if table.rows],
        pictures=[
            picture(path, image, experiment.title, link)
            for path, image in images.items()
            if path.parent.name == name
        ],
        runs=run_rows(runs, link, together),
    )
