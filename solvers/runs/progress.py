"""Live progress of one run: a table in a terminal, a line now and then in a log."""

import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from solvers.configuration.spec import RunSpec

__all__ = ["LiveDisplay", "duration"]

SECONDS_BETWEEN_LINES = 10.0


def duration(seconds: float) -> str:
    """``seconds`` as minutes:seconds, from an hour on hours:minutes:seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class LiveDisplay:
    """Shows stage, iteration, raw terms, error and the time left if every stage used its whole budget."""

    def __init__(self, spec: RunSpec, console: Console) -> None:
        self._spec, self._console = spec, console
        self._stages = [stage for level in spec.levels for stage in level.stages]
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}", markup=False),
        )
        title = f"{spec.experiment} {spec.method} {spec.backend} seed {spec.seed}"
        self._task = self._progress.add_task(title, total=spec.budget, left="")
        self._live = Live(self._progress, console=console, transient=True) if console.is_terminal else None
        self._last_line = float("-inf")
        self._stage_start = (-1, 0, 0.0)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, row: dict[str, Any]) -> None:
        """A new row of the history."""
        if row["stage"] != self._stage_start[0]:
            self._stage_start = (row["stage"], row["iteration"], row["seconds"])
        if self._live:
            self._progress.update(self._task, completed=self._completed(row), left=self._left(row))
            self._live.update(self._table(row), refresh=False)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            with suppress(OSError):  # a log that is full costs no training
                self._console.print(self._line(row), highlight=False, soft_wrap=True, markup=False)

    def _completed(self, row: dict[str, Any]) -> int:
        before = sum(stage["iterations"] for stage in self._stages[: row["stage"]])
        return before + row["iteration"] - self._stage_start[1]

    def _left(self, row: dict[str, Any]) -> str:
        made = row["iteration"] - self._stage_start[1]
        if made <= 0:
            return ""
        pace = (row["seconds"] - self._stage_start[2]) / made
        return f"at most {duration(pace * (self._spec.budget - self._completed(row)))} left"

    def _numbers(self, row: dict[str, Any]) -> list[tuple[str, str]]:
        level = f"{row['level'] + 1} of {len(self._spec.levels)}"
        numbers = [("level", level), ("stage", row["optimizer"]), ("iteration", str(row["iteration"]))]
        numbers += [(key[5:], f"{value:.3e}") for key, value in row.items() if key.startswith("term.")]
        return [*numbers, ("relative L2 error", f"{row['rel_l2']:.3e}")]

    def _table(self, row: dict[str, Any]) -> Table:
        grid = Table.grid()
        numbers = Table(box=None)
        for name, _ in self._numbers(row):
            numbers.add_column(name)
        numbers.add_row(*(value for _, value in self._numbers(row)))
        grid.add_row(self._progress)
        grid.add_row(numbers)
        return grid

    def _line(self, row: dict[str, Any]) -> str:
        return "  ".join([*(f"{name} {value}" for name, value in self._numbers(row)), self._left(row)])
