"""``run``: one run, from its specification to its directory."""

import argparse
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from rich.console import Console

from solvers import backends
from solvers.cli.catalogue import catalogue_of
from solvers.cli.said import close_output
from solvers.configuration.catalogue import ConfigurationError
from solvers.configuration.spec import RunSpec
from solvers.configuration.strict_yaml import one_line
from solvers.plugins import PluginError
from solvers.runs.checkpoint import INTERVAL
from solvers.runs.progress import LiveDisplay
from solvers.runs.record import RunRecord
from solvers.runs.run import Conditions, give_up, run, run_folder
from solvers.runs.supervisor import attempt
from solvers.training.history import Silent

__all__ = ["execute", "summarise"]


def execute(options: argparse.Namespace) -> int:
    """Make the run, and print how it ended: 0, also if it failed, for that is a result."""
    spec = catalogue_of(options).resolve(
        options.experiment,
        options.method,
        options.backend,
        options.numerics,
        options.scale,
        options.seed,
        options.set,
    )
    folder = run_folder(spec, options.results)
    logging.basicConfig(format="%(message)s")
    with _only_errors() if options.quiet else nullcontext():
        record = _made(spec, folder, options)
    if not options.quiet:
        summarise(record, folder)
    return 0


@contextmanager
def _only_errors() -> Iterator[None]:
    """Nothing is logged but what is wrong."""
    logger = logging.getLogger("solvers")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _made(spec: RunSpec, folder: Path, options: argparse.Namespace) -> RunRecord:
    if options.give_up:
        return give_up(spec, folder, options.give_up)
    _check_device(spec.backend)
    with ExitStack() as stack:
        shown = LiveDisplay(spec, Console(stderr=True, markup=False))
        display = Silent() if options.quiet else stack.enter_context(shown)
        anew = options.force and not attempt()  # started again after a kill, it goes on
        interval = options.checkpoint_interval or INTERVAL
        return run(spec, folder, Conditions(display, options.pinned_core, interval, options.time_limit, anew))


def _check_device(backend: str) -> None:
    try:
        backends.load(backend).check_device()
    except PluginError:
        raise
    except ValueError as error:
        raise ConfigurationError("environment", "", None, str(error)) from None


def summarise(record: RunRecord, folder: Path) -> None:
    """How a run ended, its error and its folder, on standard output."""
    found = record.last.rel_l2 if record.last else None
    error = "unknown" if found is None else f"{found:.3e}"
    try:
        print(
            f"{record.status}: relative L2 error {error} after {record.iterations} iterations, "
            f"{record.function_evaluations} evaluations, {record.seconds.get('training', 0.0):.1f} s of training\n"
            f"{one_line(record.reason)}\n{one_line(str(folder))}",
            flush=True,
        )
    except OSError:  # the run is written, whether that can be said or not
        close_output()
