"""The command line: ``run`` makes one run, ``status`` says how far a sweep is, ``merge`` puts results of several
machines into one folder, ``archive`` keeps some runs, ``list`` shows what there is."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

import problems
from solvers import backends, balancing, networks, optimizers, status
from solvers.archive import ARCHIVE, archive_run
from solvers.checkpoint import INTERVAL
from solvers.configuration import Catalogue, ConfigurationError
from solvers.fingerprint import ROOT
from solvers.merge import merge_results
from solvers.monitor import Silent
from solvers.progress import LiveDisplay
from solvers.record import RecordError, RunRecord
from solvers.run import Conditions, give_up, run, run_folder

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m solvers", description=__doc__)
    parser.add_argument(
        "--catalogue", type=Path, default=ROOT / "config", help="folder of experiments, numerics, scales"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="train one method on one experiment and write its directory")
    one.add_argument("experiment")
    one.add_argument("method")
    one.add_argument("--backend", required=True, metavar="|".join(backends.names()))
    one.add_argument("--numerics", default="paper", help="precision and stop rule (default: paper)")
    one.add_argument("--scale", default="quick", help="how much of it (default: quick)")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one value, e.g. problem.epsilon=0.2 or optimizers.adam.learning_rate=0.01; repeatable",
    )
    one.add_argument(
        "--results", type=Path, default=Path("results"), help="root of the results (default: results)"
    )
    one.add_argument("--quiet", action="store_true", help="no progress")
    one.add_argument(
        "--time-limit",
        type=_positive,
        metavar="SECONDS",
        help="end the run after so many seconds; with a longer limit it goes on from there",
    )
    one.add_argument(
        "--checkpoint-interval",
        type=_positive,
        default=INTERVAL,
        metavar="SECONDS",
        help=f"seconds between checkpoints inside a stage (default: {INTERVAL:g})",
    )
    one.add_argument("--give-up", metavar="REASON", help=argparse.SUPPRESS)  # see solvers.supervisor
    kept = commands.add_parser("archive", help="check finished runs, thin them and put them into the archive")
    kept.add_argument("folders", nargs="+", type=Path, metavar="RUN", help="directory of a run")
    kept.add_argument("--to", type=Path, default=ARCHIVE, help=f"root of the archive (default: {ARCHIVE})")
    kept.add_argument("--replace", action="store_true", help="put a run in the place of one that is there")
    far = commands.add_parser("status", help="how far a sweep is: runs done, running, failed, left; time left")
    far.add_argument("--scale", help="short for --config scale=...")
    far.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="the same as was given to snakemake"
    )
    far.add_argument(
        "--results", type=Path, default=Path("results"), help="root of the results (default: results)"
    )
    more = commands.add_parser("merge", help="copy the finished runs of other results folders into one")
    more.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="root of other results")
    more.add_argument("--into", type=Path, default=Path("results"), help="root of the results (default: results)")
    more.add_argument("--keep", choices=("ours", "theirs"), help="which run stays where two differ")
    commands.add_parser("list", help="show problems, experiments, methods, networks, balancing, scales")
    commands.add_parser("schema", help="print the JSON schema of run.json")
    return parser


def _positive(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0 seconds")
    return seconds


def main(arguments: Sequence[str] | None = None, pinned_core: int | None = None) -> int:
    """Run the command line; 2 for a mistake in the configuration or a run that cannot be archived, merged or
    written, else 0, also if the run failed."""
    options = _parser().parse_args(arguments)
    try:
        return _command(options, pinned_core)
    except (ConfigurationError, RecordError) as error:
        print(error, file=sys.stderr)
        return 2


def _command(options: argparse.Namespace, pinned_core: int | None) -> int:
    catalogue = Catalogue(options.catalogue)
    if not catalogue.names("experiments"):
        raise ConfigurationError("command line", "--catalogue", str(options.catalogue), "holds no experiments")
    if options.command == "list":
        _list(catalogue, Console())
    elif options.command == "schema":
        print(json.dumps(RunRecord.model_json_schema(), indent=2))
    elif options.command == "archive":
        for folder in options.folders:
            print(archive_run(folder, options.to, options.replace))
    elif options.command == "status":
        _status(catalogue, options, Console())
    elif options.command == "merge":
        return _merge(options)
    else:
        _run(catalogue, options, pinned_core)
    return 0


def _status(catalogue: Catalogue, options: argparse.Namespace, console: Console) -> None:
    from workflow.sweep import Sweep  # only here: no run needs the pipeline

    given = [*options.config, *([f"scale={options.scale}"] if options.scale is not None else [])]
    sweep = Sweep.from_command_line(catalogue, given)
    if sweep.archived:
        raise ConfigurationError("--config", "runs", "archive", "archived runs are done; must be fresh")
    status.show(sweep.name, status.states(sweep.specs, options.results), console)


def _merge(options: argparse.Namespace) -> int:
    merged = merge_results(options.sources, options.into, options.keep)
    for place, reason in merged.refused.items():
        print(f"{place}: refused: {' '.join(reason.split())}", file=sys.stderr)
    for place in merged.foreign:
        print(f"{place}: was made by other code than this; status counts it as outdated", file=sys.stderr)
    counts = {name: len(getattr(merged, name)) for name in ("copied", "replaced", "same", "kept", "refused")}
    print(", ".join(f"{count} {name}" for name, count in counts.items() if count))
    return 2 if merged.refused else 0


def _run(catalogue: Catalogue, options: argparse.Namespace, pinned_core: int | None) -> None:
    spec = catalogue.resolve(
        options.experiment,
        options.method,
        options.backend,
        options.numerics,
        options.scale,
        options.seed,
        options.set,
    )
    folder = run_folder(spec, options.results)
    console = Console(stderr=True)
    logging.basicConfig(format="%(message)s")
    if options.give_up:
        return _summarise(give_up(spec, folder, options.give_up), folder, console)
    with ExitStack() as stack:
        display = Silent() if options.quiet else stack.enter_context(LiveDisplay(spec, console))
        conditions = Conditions(display, pinned_core, options.checkpoint_interval, options.time_limit)
        record = run(spec, folder, conditions)
    _summarise(record, folder, console)


def _summarise(record: RunRecord, folder: Path, console: Console) -> None:
    known = record.last is not None and record.last.rel_l2 is not None
    error = f"{record.last.rel_l2:.3e}" if known else "unknown"
    console.print(
        f"{record.status}: relative L2 error {error} after {record.iterations} iterations, "
        f"{record.function_evaluations} evaluations, {record.seconds['training']:.1f} s of training\n"
        f"{record.reason}\n{folder}",
        highlight=False,
        soft_wrap=True,
    )


def _list(catalogue: Catalogue, console: Console) -> None:
    kinds = {
        "problems": problems.names(),
        "networks": networks.names(),
        "balancing": balancing.names(),
        "optimizers": optimizers.names(),
        "backends": backends.names(),
        "numerics": catalogue.names("numerics"),
        "scales": catalogue.names("scales"),
    }
    for kind, names in kinds.items():
        console.print(f"{kind}: {', '.join(names)}", highlight=False)
    names = (Column(name, no_wrap=True) for name in ("experiment", "method"))
    table = Table(*names, "title", "authors' relative L2")
    for name in catalogue.names("experiments"):
        experiment = catalogue.experiment(name)
        for method, entry in experiment.methods.items():
            known = entry.authors.rel_l2
            table.add_row(
                name,
                method,
                f"{experiment.title}, {entry.title}",
                "unknown" if known is None else f"{known:.3e}",
            )
    console.print(table)
