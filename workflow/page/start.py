"""The start page: all reports that there are, in one list."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["Report", "found_reports", "write_start_page"]

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@dataclass(frozen=True)
class Report:
    """A report: its study, scale, what else its folder says, runs, failures, when it was written, and its page."""

    study: str
    scale: str
    selection: str
    runs: int
    failures: int
    written: str
    page: str


def found_reports(root: Path) -> list[Report]:
    """All reports below ``root``, ``<study>/<scale>[+selection]/index.html``, by study, the newest first."""
    found = [_report(page, root) for page in root.glob("*/*/index.html") if (page.parent / "summary.csv").exists()]
    newest = sorted(found, key=lambda report: report.written, reverse=True)
    return sorted(newest, key=lambda report: report.study)


def _report(page: Path, root: Path) -> Report:
    with (page.parent / "summary.csv").open(encoding="utf-8", newline="") as stream:
        statuses = [row["status"] for row in csv.DictReader(stream)]
    scale, _, selection = page.parent.name.partition("+")
    written = datetime.fromtimestamp(page.stat().st_mtime, UTC)
    return Report(
        study=page.parent.parent.name,
        scale=scale,
        selection=selection.replace("+", ", ") or "all",
        runs=len(statuses),
        failures=sum(status != "finished" for status in statuses),
        written=written.isoformat(sep=" ", timespec="minutes").removesuffix("+00:00") + " UTC",
        page=page.relative_to(root).as_posix(),
    )


def write_start_page(root: Path) -> None:
    """``index.html`` in ``root`` over all its reports; nothing if there are none."""
    if not (reports := found_reports(root)):
        return
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("start.html.j2").render(reports=reports)
    (root / "index.html").write_text(text, encoding="utf-8")
