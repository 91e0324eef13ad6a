"""How far a whole sweep is, told in Snakemake's own log: after a job, one line with the time left."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent

from solvers.configuration.catalogue import Catalogue
from solvers.configuration.spec import RunSpec
from solvers.runs.archive import ARCHIVE
from solvers.runs.place import Place
from solvers.runs.status import in_a_line, states
from workflow.campaign.expected import Expectation, records_in

__all__ = ["SweepProgress", "follow"]

SECONDS_BETWEEN_LINES = 10.0


class SweepProgress(logging.Handler):
    """Says after a finished job, at most every ten seconds, how many runs are done and how long the others take.

    ``told`` gets the line; ``workers`` is how many runs there are at a time. What no run of this sweep tells yet
    is expected as the archive's runs say. Once all runs are done it is silent: what follows takes a minute.
    """

    def __init__(
        self, name: str, specs: Sequence[RunSpec], root: Path, workers: int, told: Callable[[str], object]
    ):
        super().__init__()
        self._sweep, self._specs, self._root = name, specs, root
        self._workers, self._told = workers, told
        self._last, self._done = float("-inf"), False
        self._known: dict[Place, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Snakemake has said something: if that a job is done, say how far the sweep is."""
        soon = time.monotonic() - self._last < SECONDS_BETWEEN_LINES
        if getattr(record, "event", None) != LogEvent.PROGRESS or self._done or soon:
            return
        runs = states(self._specs, self._root)
        self._last, self._done = time.monotonic(), all(run.done for run in runs)
        follows = "tables, figures and the page follow"
        self._told(f"{self._sweep}: {in_a_line(runs, self._workers, follows, self._expected)}")

    @cached_property
    def _of_archive(self) -> Expectation:
        return Expectation(records_in([ARCHIVE], self._specs[0].scale), Catalogue())

    def _expected(self, spec: RunSpec) -> float:
        place = Place.of(spec)
        if place not in self._known:
            self._known[place] = self._of_archive(spec)
        return self._known[place]


def follow(logger: logging.Logger, name: str, specs: Sequence[RunSpec], root: Path, workers: int) -> None:
    """Let ``logger``, Snakemake's, tell how far the runs of ``specs`` are; nothing if there are none."""
    if specs:
        logger.addHandler(SweepProgress(name, specs, root, workers, logger.info))
