"""What stands on the page, gathered from the reports of one sweep."""

import base64
import inspect
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

import problems
from solvers.configuration import Catalogue, Experiment
from workflow.analysis.summary import AXES, read_summary
from workflow.analysis.verdicts import Verdict
from workflow.page.provenance import origins
from workflow.page.tables import Anchors, Table, from_frame, read_table, slug

__all__ = ["Inputs", "Picture", "Section", "render", "write_page"]

WORKFLOW = Path(__file__).resolve().parent.parent
MAIN = ("verdicts", "comparison")
"""Tables that give the answer, the first that exists counts: it is shown open."""
RUN_COLUMNS = {
    "method": "method",
    "backend": "backend",
    "numerics": "numerics",
    "seed": "seed",
    "status": "status",
    "rel_l2": "relative L2",
    "iterations": "iterations",
    "function_evaluations": "evaluations",
    "training_seconds": "training seconds",
}


@dataclass(frozen=True)
class Inputs:
    """The files a page is made of: the summary, tables as CSV, figures as PNG (those of an experiment in a folder
    of its name), and the pipeline's configuration."""

    summary: Path
    tables: Sequence[Path]
    figures: Sequence[Path]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Embedded:
    """An image as a data URL, and its size in pixels."""

    data: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """A figure: image, caption, and links to its files."""

    name: str
    title: str
    alt: str
    caption: str
    image: Embedded
    files: dict[str, str]


@dataclass(frozen=True)
class RunRow:
    """A run in the list of its experiment: id, cells, links, command."""

    id: str
    axes: dict[str, str]
    cells: list[Any]
    folder: str
    specification: str
    command: str


@dataclass(frozen=True)
class Section:
    """Everything about one experiment."""

    name: str
    title: str
    equation: str
    tables: list[Table]
    pictures: list[Picture]
    runs: list[RunRow]


@dataclass(frozen=True)
class Answer:
    """How many rows of the paper have which verdict, on one backend with one numerics; ``papers``: under the
    paper's conditions."""

    axes: dict[str, str]
    papers: bool
    of: int
    run: int
    counts: dict[str, int]


def write_page(page: Path, inputs: Inputs, captions: Mapping[str, str], threads: int = 1) -> None:
    """The page at ``page``; links are relative to it. ``captions`` are those of the tables, by name. Images are
    compressed in so many ``threads``."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render(page, inputs, captions, threads), encoding="utf-8")


def render(page: Path, inputs: Inputs, captions: Mapping[str, str], threads: int = 1) -> str:
    """The page as text, to be put at ``page``."""
    summary, catalogue = read_summary(inputs.summary), Catalogue()
    anchors = run_anchors(summary)
    link = _linker(page)
    tables = [read_table(path, captions.get(path.stem, ""), anchors, link) for path in inputs.tables]
    names = [table.name for table in tables]
    main = next((name for name in MAIN if name in names), names[0] if names else "")
    tables.sort(key=lambda table: table.name != main)
    with ThreadPoolExecutor(threads) as pool:
        images = dict(zip(inputs.figures, pool.map(_embedded, inputs.figures), strict=True))
    sections = [
        _section(catalogue.experiment(name), name, runs, tables, images, link)
        for name, runs in summary.groupby("experiment", sort=False)
    ]
    environment = Environment(
        loader=FileSystemLoader(WORKFLOW / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        facts=facts(summary),
        main=main,
        answers=answers(inputs.tables),
        tables=tables,
        overview=[
            _picture(path, image, "", link)
            for path, image in images.items()
            if path.parent.name not in set(summary.experiment)
        ],
        sections=sections,
        axes={
            axis: list(dict.fromkeys(summary[axis])) for axis in ("experiment", "backend", "numerics", "method")
        },
        origins=origins(Path(folder) for folder in summary.folder),
        config=yaml.safe_dump(dict(inputs.config), sort_keys=False),
        run_columns=list(RUN_COLUMNS.values()),
        summary=link(inputs.summary),
    )


def _linker(page: Path) -> Callable[[Path], str]:
    def link(path: Path) -> str:
        return Path(os.path.relpath(path, page.parent)).as_posix()

    return link


def facts(summary: pd.DataFrame) -> dict[str, Any]:
    """The sweep in numbers."""
    seeds = summary.groupby(AXES).seed.nunique()
    return {
        "scale": summary.scale.iloc[0],
        "backends": list(dict.fromkeys(summary.backend)),
        "numerics": list(dict.fromkeys(summary.numerics)),
        "experiments": summary.experiment.nunique(),
        "methods": len(summary.groupby(["experiment", "method"])),
        "runs": len(summary),
        "statuses": dict(Counter(summary.status).most_common()),
        "seeds": (int(seeds.min()), int(seeds.max())),
        "hours": float(summary.training_seconds.sum()) / 3600,
        "archived": bool((summary.source == "archive").any()),
    }


def answers(tables: Sequence[Path]) -> list[Answer]:
    """The rows of the table of verdict counts, if there is one."""
    path = next((path for path in tables if path.stem == "verdict-counts"), None)
    rows = pd.read_csv(path).to_dict("records") if path else []
    named = [str(verdict) for verdict in Verdict]
    return [
        Answer(
            axes={axis: row[axis] for axis in ("backend", "numerics")},
            papers=row["conditions"] == "the paper's",
            of=int(row["rows of the paper"]),
            run=int(row["rows run"]),
            counts={name: int(row[name]) for name in named},
        )
        for row in rows
        if "backend" in row
    ]


def run_id(values: Mapping[str, Any]) -> str:
    """The id of a run on the page."""
    return "run-" + "--".join(slug(str(values[axis])) for axis in [*AXES, "seed"])


def run_anchors(summary: pd.DataFrame) -> Anchors:
    """Where the runs of an experiment, a method, ... begin; missing axes are empty."""
    anchors: dict[tuple[str, ...], str] = {}
    for values in summary.to_dict("records"):
        full = [values[axis] for axis in AXES]
        for mask in range(2 ** len(full)):
            key = tuple(value if mask >> i & 1 else "" for i, value in enumerate(full))
            if key[0]:
                anchors.setdefault(key, run_id(values))
    return anchors


def _section(
    experiment: Experiment,
    name: str,
    runs: pd.DataFrame,
    tables: Sequence[Table],
    images: Mapping[Path, Embedded],
    link: Callable[[Path], str],
) -> Section:
    options = dict(experiment.problem)
    own = [table.of(name) for table in tables]
    return Section(
        name=name,
        title=experiment.title,
        equation=inspect.getdoc(type(problems.load(**options))) or "",
        tables=[table for table in own if table.rows],
        pictures=[
            _picture(path, image, experiment.title, link)
            for path, image in images.items()
            if path.parent.name == name
        ],
        runs=_runs(runs, link),
    )


def _runs(runs: pd.DataFrame, link: Callable[[Path], str]) -> list[RunRow]:
    shown = runs[list(RUN_COLUMNS)].assign(
        rel_l2=runs.rel_l2.map("{:.2e}".format), training_seconds=runs.training_seconds.map("{:.1f}".format)
    )
    rows = from_frame(shown.astype(str), "runs", "", {}, link).rows
    return [
        RunRow(
            id=run_id(values),
            axes=row.axes | {"experiment": values["experiment"]},
            cells=row.cells,
            folder=link(Path(values["folder"])) + "/",
            specification=link(Path(values["folder"]) / "run.json"),
            command=values["command"],
        )
        for row, values in zip(rows, runs.to_dict("records"), strict=True)
    ]


def _embedded(png: Path) -> Embedded:
    with Image.open(png) as image:
        stream = io.BytesIO()
        # At quality 60 it would take twice the time for a fifth less.
        image.convert("RGB").save(stream, "WEBP", lossless=True, quality=20, method=1)
        data = base64.b64encode(stream.getvalue()).decode("ascii")
        return Embedded("data:image/webp;base64," + data, image.size)


def _picture(png: Path, image: Embedded, experiment: str, link: Callable[[Path], str]) -> Picture:
    name = png.stem
    caption = figure_caption(name)
    first = re.split(r"(?<=[.:])\s", caption, maxsplit=1)[0].rstrip(".:")
    return Picture(
        name=name,
        title=name.replace("-", ", ").capitalize(),
        alt=f"{experiment}: {first}" if experiment else first,
        caption=caption,
        image=image,
        files={
            suffix: link(png.with_suffix(f".{suffix}"))
            for suffix in ("pdf", "png", "csv")
            if png.with_suffix(f".{suffix}").exists()
        },
    )


def figure_caption(name: str) -> str:
    """The caption that Snakemake's report shows as well; ``a-b`` without one of its own has that of ``a``."""
    paths = (WORKFLOW / f"report/{stem}.rst" for stem in (name, name.partition("-")[0]))
    path = next(path for path in paths if path.exists())
    return " ".join(path.read_text(encoding="utf-8").split())
