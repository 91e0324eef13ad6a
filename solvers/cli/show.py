"""``show``: what a run is and how it ended."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from solvers.cli.catalogue import catalogue_of
from solvers.cli.said import error, output, ratio, table
from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.spec import RunSpec
from solvers.runs.checked import checked_record
from solvers.runs.command import command_line
from solvers.runs.finished import made_otherwise
from solvers.runs.loading import find_run
from solvers.runs.progress import duration
from solvers.runs.record import RunRecord, read_data
from solvers.runs.rows import source_of
from solvers.runs.status import read_progress

__all__ = ["execute"]


def execute(options: argparse.Namespace) -> int:
    """Print it in words and tables, or the whole record; of a run that has not ended yet, how far it is."""
    begun = None if options.json else _begun(Path(options.run), Path(options.results))
    if begun is not None:
        print(begun)
        return 0
    folder = find_run(options.run, options.results)
    record = checked_record(folder)
    if options.json:
        print(json.dumps(record.model_dump(mode="json"), indent=2))
        return 0
    console = output()
    for part in _parts(record, folder, catalogue_of(options)):
        console.print(part, soft_wrap=isinstance(part, str))
    return 0


def _begun(run: Path, results: Path) -> str | None:
    """How far a run is that has no record yet; ``None`` if it has one, or was never begun."""
    for folder in (run, results / run):
        progress = None if (folder / "run.json").exists() else read_progress(folder)
        if progress is not None:
            state = "running" if progress.alive else "interrupted: the same command takes it up again"
            part = f"iteration {progress.iteration} of at most {progress.planned}"
            return f"{folder}: not finished yet, {part} after {duration(progress.seconds)}; {state}"
    return None


def _parts(record: RunRecord, folder: Path, catalogue: Catalogue) -> Iterator[object]:
    spec, wanted = record.spec, _today(record.spec, catalogue)
    yield f"{folder}{' (archived)' if source_of(folder) == 'archive' else ''}"
    yield "; ".join([_title(spec, catalogue), _names(spec), *spec.overrides])
    yield f"{record.status}: {record.reason}\n"
    yield _errors(record, catalogue)
    yield ""
    yield _stages(record)
    yield f"\n{_costs(record)}"
    yield _made_by(record)
    yield f"today's code and configuration: {_today_in_words(folder, wanted)}"
    yield f"made again by: {command_line(spec)}"


def _today(spec: RunSpec, catalogue: Catalogue) -> RunSpec | None:
    """What the same command would run today, ``None`` if there is no such method any more."""
    names = (spec.experiment, spec.method, spec.backend, spec.numerics, spec.scale, spec.seed)
    try:
        return catalogue.resolve(*names, spec.overrides)
    except ConfigurationError:
        return None


def _today_in_words(folder: Path, wanted: RunSpec | None) -> str:
    if wanted is None:
        return "know no such run any more"
    return " and ".join(made_otherwise(wanted, read_data(folder)).values()) or "the same"


def _title(spec: RunSpec, catalogue: Catalogue) -> str:
    """Titles of experiment and method, or their names if the catalogue has them no more."""
    try:
        experiment = catalogue.experiment(spec.experiment)
        return f"{experiment.title}, {experiment.methods[spec.method].title}"
    except (ConfigurationError, KeyError):
        return f"{spec.experiment}, {spec.method}"


def _names(spec: RunSpec) -> str:
    return f"{spec.backend}, numerics {spec.numerics}, scale {spec.scale}, seed {spec.seed}"


def _errors(record: RunRecord, catalogue: Catalogue) -> object:
    """The errors of the last and the best iterate, beside the authors' where these are known."""
    found = table("error", "last iterate", "best by loss", "authors'", "ours / authors'")
    authors = _authors(record.spec, catalogue)
    for name, title in (("rel_l2", "relative L2"), ("mean_absolute", "mean absolute"), ("maximum", "maximum")):
        last, best = (getattr(errors, name, None) for errors in (record.last, record.best))
        found.add_row(title, error(last), error(best), error(authors[name]), ratio(last, authors[name]))
    last, best = (str(errors.iteration) if errors else "-" for errors in (record.last, record.best))
    found.add_row("after iteration", last, best, "", "")
    return found


def _authors(spec: RunSpec, catalogue: Catalogue) -> dict[str, float | None]:
    """Theirs, at their scale alone and with nothing changed."""
    names = ("rel_l2", "mean_absolute", "maximum")
    try:
        known = catalogue.experiment(spec.experiment).methods[spec.method].authors
    except (ConfigurationError, KeyError):
        return dict.fromkeys(names)
    comparable = spec.scale == "paper" and not spec.overrides
    return {name: getattr(known, name) if comparable else None for name in names}


def _stages(record: RunRecord) -> object:
    found = table("level", "optimizer", "iterations", "evaluations", "seconds", "stopped by")
    for stage in record.stages:
        counts = (str(stage.iterations), str(stage.function_evaluations), f"{stage.seconds:.1f}")
        found.add_row(str(stage.level + 1), stage.optimizer, *counts, stage.reason)
    return found


def _costs(record: RunRecord) -> str:
    cpu, wall = (seconds.get("training", 0.0) for seconds in (record.cpu_seconds, record.seconds))
    restarts = f", {len(record.restarts)} restarts" if record.restarts else ""
    return (
        f"training: {cpu:.1f} CPU seconds, {wall:.1f} on the wall; all: {duration(sum(record.seconds.values()))}"
        f"{restarts}; {record.peak_memory_bytes / 2**20:.0f} MiB; {record.parameters} parameters"
    )


def _made_by(record: RunRecord) -> str:
    origin = record.provenance
    commit = origin.commit[:12] if origin.commit else "no commit"
    changed = " with uncommitted changes" if origin.uncommitted_changes else ""
    return f"made: {origin.finished} on {origin.machine.processor} ({origin.machine.device}), {commit}{changed}"
