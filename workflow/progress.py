"""How far a whole sweep is, told in Snakemake's own log: after a job, one line with the time left."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent

from solvers.configuration.spec import RunSpec
from solvers.runs.status import in_a_line, states

__all__ = ["SweepProgress", "follow"]

SECONDS_BETWEEN_LINES = 10.0


class SweepProgress(logging.Handler):
    """Says after a finished job, at most every ten seconds, how many runs are done and how long the others take.

    ``told`` gets the line; ``workers`` is how many runs there are at a time. Once all runs are done it is silent:
    what follows takes a minute.
    """

    def __init__(
        self, name: str, specs: Sequence[RunSpec], root: Path, workers: int, told: Callable[[str], object]
    ):
        super().__init__()
        self._sweep, self._specs, self._root = name, specs, root
        self._workers, self._told = workers, told
        self._last, self._done = float("-inf"), False

    def emit(self, record: logging.LogRecord) -> None:
        """Snakemake has said something: if that a job is done, say how far the sweep is."""
        soon = time.monotonic() - self._last < SECONDS_BETWEEN_LINES
        if getattr(record, "event", None) != LogEvent.PROGRESS or self._done or soon:
            return
        runs = states(self._specs, self._root)
        self._last, self._done = time.monotonic(), all(run.done for run in runs)
        self._told(f"{self._sweep}: {in_a_line(runs, self._workers, 'tables, figures and the page follow')}")


def follow(logger: logging.Logger, name: str, specs: Sequence[RunSpec], root: Path, workers: int) -> None:
    """Let ``logger``, Snakemake's, tell how far the runs of ``specs`` are; nothing if there are none."""
    if specs:
        logger.addHandler(SweepProgress(name, specs, root, workers, logger.info))
