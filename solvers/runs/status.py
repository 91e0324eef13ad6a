"""How far a sweep is: the state of every run on disk, and the time left by the finished runs of the same kind.

Everything is read from the results, so another terminal, or another machine with the same folder, sees the same.
"""

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from solvers.configuration.spec import RunSpec
from solvers.runs.files import folder_beside, read_json
from solvers.runs.finished import difference
from solvers.runs.place import Place, run_folder
from solvers.runs.progress import duration

__all__ = [
    "Progress",
    "RunState",
    "Seconds",
    "as_data",
    "in_a_line",
    "read_progress",
    "read_state",
    "seconds_left",
    "show",
    "states",
    "time_left",
]

MOST_SILENT_SECONDS = 600.0
"""A run that has said nothing for so long is taken for interrupted."""
MOST = 1e12
"""Iterations or seconds beyond all that a run can make."""
KINDS: tuple[tuple[str, ...], ...] = (
    ("experiment", "method", "backend", "numerics"),
    ("experiment", "method", "backend"),
    ("experiment", "method"),
    ("experiment",),
)
"""Runs are of one kind if they agree in these; the first kind that has a finished run gives the estimate."""


NOTHING_LEFT = "nothing is left to do"
UNFINISHED = ("running", "interrupted", "outdated", "damaged", "left")


@dataclass(frozen=True)
class Progress:
    """What a run in progress says of itself: its part of all iterations planned, its seconds so far, and whether
    its process still works."""

    iteration: int
    planned: int
    seconds: float
    alive: bool


@dataclass(frozen=True)
class RunState:
    """A run of the sweep as it is on disk.

    ``state`` is ``finished`` or another status of ``run.json``, ``running``, ``interrupted``, ``outdated`` (made
    from another specification or by other code: the pipeline makes it again), ``damaged``, or ``left``.
    ``seconds`` is what a run took.
    """

    spec: RunSpec
    folder: Path
    state: str
    seconds: float | None = None
    progress: Progress | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.state not in UNFINISHED


def read_progress(folder: Path, now: datetime | None = None) -> Progress | None:
    """What ``progress.json`` of the run in ``folder`` says; ``None`` if it is missing or not readable.

    A run is alive if its process exists (asked on the same machine only) and it wrote lately.
    """
    try:
        data = read_json(folder_beside(folder) / "progress.json")
        updated = datetime.fromisoformat(data["updated"])
        updated = updated if updated.tzinfo else updated.replace(tzinfo=UTC)
        silent = abs(((now or datetime.now(UTC)) - updated).total_seconds())  # a clock may be ahead, but not years
        here = data["host"] == socket.gethostname()
        alive = silent <= MOST_SILENT_SECONDS and not (here and not psutil.pid_exists(int(data["pid"])))
        made, planned = (int(_count(data[name])) for name in ("iteration", "planned_iterations"))
        return Progress(made, planned, _count(data["seconds"]), alive)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _count(value: Any) -> float:
    """A count, or seconds, that a person could have waited for; ``ValueError`` for any other number."""
    number = float(value)
    if not 0 <= number <= MOST:
        raise ValueError(f"{number} is not from 0 to {MOST:g}")
    return number


def read_state(spec: RunSpec, folder: Path) -> RunState:
    """The state of one run. ``run.json`` is only looked at, not checked: hundreds take no second."""
    progress = read_progress(folder)
    if progress and progress.alive:
        return RunState(spec, folder, "running", progress=progress)
    path = folder / "run.json"
    if not path.exists():
        return RunState(spec, folder, "interrupted" if progress else "left", progress=progress)
    try:
        data = read_json(path)
        status, seconds = str(data["status"]), _count(sum(data["seconds"].values()))
        current = difference(spec, data) is None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return RunState(spec, folder, "damaged")
    return RunState(spec, folder, status if current else "outdated", seconds)


def states(specs: Iterable[RunSpec], root: Path) -> list[RunState]:
    """The states of all runs, whose results stand in ``root``."""
    return [read_state(spec, run_folder(spec, root)) for spec in specs]


Seconds = Callable[[RunState], float | None]
Expected = Callable[[RunSpec], float]
"""What runs take in all that are nowhere done in this sweep."""


def _kind(run: RunState, axes: Sequence[str]) -> tuple[str, ...]:
    return tuple(getattr(run.spec, axis) for axis in axes)


def seconds_left(runs: Sequence[RunState], expected: Expected | None = None) -> Seconds:
    """A function that gives the seconds left of a run: by those of its row that are done, or as ``expected``, or
    by others of its kind, or by its pace; ``None`` if none of these is known.

    Outdated runs count too: they were of the kind.
    """
    known: dict[tuple[str, ...], list[float]] = {}
    for run in runs:
        if run.seconds is not None:
            for axes in KINDS:
                known.setdefault(_kind(run, axes), []).append(run.seconds)

    def left(run: RunState) -> float | None:
        if run.done:
            return 0.0
        spent = run.progress.seconds if run.progress else 0.0
        for axes in KINDS:
            if took := known.get(_kind(run, axes)):
                return max(sum(took) / len(took) - spent, 0.0)
            if expected:
                return max(expected(run.spec) - spent, 0.0)
        return _by_iterations(run.progress)

    return left


def _by_iterations(progress: Progress | None) -> float | None:
    """Seconds left at the pace so far, if all iterations planned are made."""
    if progress is None or progress.iteration < 1:
        return None
    return progress.seconds * max(progress.planned / progress.iteration - 1, 0.0)


def time_left(runs: Sequence[RunState], left: Seconds, workers: int) -> tuple[float, int]:
    """Seconds until all runs are done with ``workers`` at a time, and how many runs these leave out because the
    length of their kind is unknown."""
    each = [left(run) for run in runs]
    known = [seconds for seconds in each if seconds is not None]
    return max(sum(known) / workers, max(known, default=0.0)), len(each) - len(known)


def as_data(name: str, runs: Sequence[RunState], workers: int | None = None) -> dict[str, Any]:
    """The whole sweep for programs: ``study``, ``runs`` (a count), ``done``, ``states`` (a count of each),
    ``seconds_left`` with ``at_a_time`` runs at once, ``null`` if unknown, ``unknown`` (runs whose length is, which
    the seconds leave out), and ``each`` run with its place, state, and seconds."""
    left = seconds_left(runs)
    workers = workers or _workers(runs)
    seconds, unknown = time_left(runs, left, workers)
    known = unknown < sum(not run.done for run in runs) or not unknown
    return {
        "study": name,
        "runs": len(runs),
        "done": sum(run.done for run in runs),
        "states": dict(Counter(run.state for run in runs).most_common()),
        "seconds_left": seconds if known else None,
        "at_a_time": workers,
        "unknown": unknown,
        "each": [_as_data(run, left(run)) for run in runs],
    }


def _as_data(run: RunState, left: float | None) -> dict[str, Any]:
    progress = run.progress and {"iteration": run.progress.iteration, "planned": run.progress.planned}
    place = Place.of(run.spec).path.as_posix()
    return {"run": place, "state": run.state, "seconds": run.seconds, "seconds_left": left, "progress": progress}


def _workers(runs: Sequence[RunState]) -> int:
    """How many runs there are at a time: as many as now, else as there are cores."""
    return sum(run.state == "running" for run in runs) or os.cpu_count() or 1


def in_a_line(
    runs: Sequence[RunState], workers: int, when_done: str = NOTHING_LEFT, expected: Expected | None = None
) -> str:
    """``30 of 80 runs done (30 finished), 2 running, 48 left; time left: about 12:30, 2 at a time``; at the end
    ``when_done`` instead of the time. For ``expected`` see :func:`seconds_left`."""
    if all(run.done for run in runs):
        return f"{_counted(runs)}; {when_done}"
    return f"{_counted(runs)}; {_time_left(runs, seconds_left(runs, expected), workers)}"


def show(name: str, runs: Sequence[RunState], console: Console) -> None:
    """The whole sweep at a glance: one bar, the time left, a row an experiment, the runs in progress."""
    left = seconds_left(runs)
    running = [run for run in runs if run.state == "running"]
    workers = _workers(runs)
    bar = Table.grid()
    bar.add_row(ProgressBar(total=len(runs), completed=sum(run.done for run in runs), width=60))
    told = [f"{name}: {_counted(runs)}", bar, _time_left(runs, left, workers), _by_experiment(runs, left)]
    if running:
        told.append(_in_progress(running, left))
    for part in told:
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))


def _counted(runs: Sequence[RunState]) -> str:
    """``30 of 80 runs done (28 finished, 2 diverged), 2 running, 48 left``."""
    states = Counter(run.state for run in runs)
    done = sum(run.done for run in runs)
    ended = ", ".join(f"{n} {state}" for state, n in states.most_common() if state not in UNFINISHED)
    rest = [f"{states[state]} {state}" for state in UNFINISHED if states[state]]
    return ", ".join([f"{done} of {len(runs)} runs done" + (f" ({ended})" if ended else ""), *rest])


def _time_left(runs: Sequence[RunState], left: Seconds, workers: int) -> str:
    if all(run.done for run in runs):
        return NOTHING_LEFT
    seconds, unknown = time_left(runs, left, workers)
    if unknown == sum(not run.done for run in runs):
        return "time left: unknown, for no run of these kinds has finished"
    apart = f", without {unknown} of unknown length" if unknown else ""
    return f"time left: {'more than' if unknown else 'about'} {duration(seconds)}, {workers} at a time{apart}"


def _by_experiment(runs: Sequence[RunState], left: Seconds) -> Table:
    table = Table("experiment", box=None, pad_edge=False)
    for column in ("runs", "finished", "failed", "running", "left", "core time left"):
        table.add_column(column, justify="right")
    for experiment, group in groupby(runs, lambda run: run.spec.experiment):
        own = list(group)
        counts = Counter(run.state for run in own)
        failed = {s: n for s, n in counts.items() if s not in (*UNFINISHED, "finished")}
        seconds, unknown = time_left(own, left, 1)
        table.add_row(
            experiment,
            str(len(own)),
            str(counts["finished"]),
            ", ".join(f"{n} {state}" for state, n in failed.items()) or "0",
            str(counts["running"]),
            str(sum(counts[state] for state in UNFINISHED) - counts["running"]),
            ("more than " if unknown and seconds else "")
            + (duration(seconds) if seconds or not unknown else "unknown"),
        )
    return table


def _in_progress(running: Sequence[RunState], left: Seconds) -> Table:
    table = Table("running", box=None, pad_edge=False)
    for column in ("iteration", "of at most", "for", "time left"):
        table.add_column(column, justify="right")
    for run in running:
        spec, progress, seconds = run.spec, run.progress, left(run)
        if progress is None:
            continue
        table.add_row(
            f"{spec.experiment} {spec.method} {spec.backend} {spec.numerics} seed {spec.seed}",
            str(progress.iteration),
            str(progress.planned),
            duration(progress.seconds),
            "unknown" if seconds is None else f"about {duration(seconds)}",
        )
    return table
