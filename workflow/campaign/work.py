"""The work of a campaign: runs in processes of their own, so many at a time, archived when they finish."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from solvers.paths import ROOT
from solvers.runs.archive import archive_run
from solvers.runs.finished import FINAL
from solvers.runs.place import run_folder
from solvers.runs.progress import duration
from solvers.runs.provenance import code_of
from solvers.runs.record import RecordError, read_run
from solvers.runs.run import command_line
from solvers.runs.status import read_state
from workflow.campaign.expected import Expectation
from workflow.campaign.plan import Task

__all__ = ["Conditions", "UncommittedError", "work"]

POLL = 0.2
GRACE = 30.0
"""Seconds that a run that is asked to stop has, before it is killed: its checkpoint stays in both cases."""


class UncommittedError(Exception):
    """Runs of this code could not be archived, for it is in no commit."""


@dataclass(frozen=True)
class Conditions:
    """Where results and archive stand, how many runs at a time, for how many seconds at most, seconds between
    checkpoints, if not as usual, and where lines go."""

    results: Path
    archive: Path
    cores: int = 1
    seconds: float | None = None
    checkpoint_interval: float | None = None
    say: Callable[[str], None] = print


@dataclass
class _Running:
    task: Task
    process: subprocess.Popen[bytes]
    expected: float
    started: float


@dataclass
class Worked:
    """What a campaign has done: tasks archived, those that could not be, those that did not fit into the time, and
    CPU seconds spent on what was archived; ``stopped``: it was asked to, or its time was over."""

    archived: list[Task] = field(default_factory=list)
    failed: list[Task] = field(default_factory=list)
    too_long: list[Task] = field(default_factory=list)
    cpu_seconds: float = 0.0
    stopped: bool = False


def work(tasks: Sequence[Task], expected: Expectation, conditions: Conditions) -> Worked:
    """Make and archive those of ``tasks`` that the archive has not, in their order, until all are done, the time
    is over, or a signal (SIGINT, SIGTERM) asks to stop: then runs in progress are stopped, and go on from their
    checkpoints the next time.

    Runs that replace archived ones are put into the archive at the end: from then on tracked files differ from the
    commit, and a run of such code is not archived. Raises :class:`UncommittedError` if that is so already.
    """
    crew = _Crew(conditions, expected, [task for task in tasks if not task.archived])
    before = {name: signal.signal(name, crew.stop) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        return crew.work()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


class _Crew:
    def __init__(self, conditions: Conditions, expected: Expectation, tasks: list[Task]) -> None:
        self._conditions, self._expected, self._waiting = conditions, expected, tasks
        self._running: list[_Running] = []
        self._finished: list[Task] = []
        self._worked = Worked()
        self._end = None if conditions.seconds is None else time.monotonic() + conditions.seconds

    def stop(self, *_: object) -> None:
        """Begin nothing more, and stop what is running."""
        self._worked.stopped = True

    def work(self) -> Worked:
        try:
            while not self._worked.stopped and (self._begin() or self._running):
                time.sleep(POLL)
                self._collect()
                if self._left() <= 0 and self._running:
                    self._conditions.say("the time is over")
                    self._worked.stopped = True
        finally:
            self._interrupt()
        for task in self._finished:
            self._archive(task, replace=True)
        return self._worked

    def _left(self) -> float:
        return float("inf") if self._end is None else self._end - time.monotonic()

    def _begin(self) -> bool:
        """Start runs on cores that are free; whether one was started."""
        begun = False
        while self._waiting and len(self._running) < self._conditions.cores and not self._worked.stopped:
            task = self._waiting.pop(0)
            begun = self._started(task) or begun
        return begun

    def _started(self, task: Task) -> bool:
        folder = run_folder(task.spec, self._conditions.results)
        state = read_state(task.spec, folder)
        if state.state in FINAL:
            self._done(task)
            return False
        if state.state == "running":
            self._conditions.say(f"{task}: another process is making it")
            return False
        seconds = self._expected(task.spec) - (state.progress.seconds if state.progress else 0.0)
        if seconds > self._left():
            self._worked.too_long.append(task)
            return False
        self._check_committed(task)
        self._running.append(_Running(task, self._process(task), seconds, time.monotonic()))
        return True

    def _check_committed(self, task: Task) -> None:
        code = code_of(task.spec)
        if code.commit is None or code.uncommitted_changes:
            raise UncommittedError(
                "the working tree differs from its commit, and runs of such code are not archived: commit first"
            )

    def _process(self, task: Task) -> subprocess.Popen[bytes]:
        """The run's command, in a process group of its own, so that Ctrl-C comes to it through the campaign."""
        interval = self._conditions.checkpoint_interval
        more = [] if interval is None else ["--checkpoint-interval", str(interval)]
        command = [sys.executable, *shlex.split(command_line(task.spec))[1:], "--quiet", *more]
        command += ["--results", str(self._conditions.results.resolve())]
        return subprocess.Popen(
            command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _collect(self) -> None:
        for one in [one for one in self._running if one.process.poll() is not None]:
            self._running.remove(one)
            self._done(one.task, one)

    def _done(self, task: Task, one: _Running | None = None) -> None:
        """Archive a run whose process has ended, or that was there."""
        try:
            record = read_run(run_folder(task.spec, self._conditions.results))
        except RecordError as error:
            code = f" (exit code {one.process.returncode})" if one else ""
            self._failed(task, f"left no result{code}: {error}; its command shows why")
            return
        error = "unknown" if record.last is None or record.last.rel_l2 is None else f"{record.last.rel_l2:.3e}"
        took = (
            f"{duration(time.monotonic() - one.started)}, expected {duration(one.expected)}"
            if one
            else "was there"
        )
        told = f"{record.status}, relative L2 error {error}, {record.iterations} iterations ({took})"
        if record.status not in FINAL:
            self._failed(task, told)
        elif task.replaces:
            self._conditions.say(f"{task}: {told}; archived at the end, in the place of an older one")
            self._finished.append(task)
        else:
            self._archive(task, told=f"{told}; ")

    def _archive(self, task: Task, replace: bool = False, told: str = "") -> None:
        folder = run_folder(task.spec, self._conditions.results)
        try:
            target = archive_run(folder, self._conditions.archive, replace)
        except RecordError as error:
            self._failed(task, f"{told}not archived: {error}")
            return
        self._worked.archived.append(task)
        self._worked.cpu_seconds += sum(read_run(folder).cpu_seconds.values())
        self._conditions.say(f"{task}: {told}archived in {target}")

    def _failed(self, task: Task, why: str) -> None:
        self._worked.failed.append(task)
        self._conditions.say(f"{task}: {why}")

    def _interrupt(self) -> None:
        """Stop what is running as Ctrl-C does."""
        for one in self._running:
            _signal(one.process, signal.SIGINT)
        for one in self._running:
            try:
                one.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                _signal(one.process, signal.SIGKILL)
                one.process.wait()
            self._conditions.say(f"{one.task}: stopped; it goes on from its checkpoint")
        self._running.clear()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the process and those that it has started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
