"""Where the time of a run goes: named phases, an inner one not counted in the outer one."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["Stopwatch"]


class Stopwatch:
    """Wall seconds and CPU seconds (of the whole process) by phase."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._mark = (time.perf_counter(), time.process_time())

    def _settle(self) -> None:
        now = (time.perf_counter(), time.process_time())
        if self._running:
            self.wall[self._running[-1]] += now[0] - self._mark[0]
            self.cpu[self._running[-1]] += now[1] - self._mark[1]
        self._mark = now

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Attribute the time inside to ``name``, and stop the clock of the phase around it meanwhile."""
        self._settle()
        self._running.append(name)
        try:
            yield
        finally:
            self._settle()
            self._running.pop()

    def seconds(self, name: str) -> float:
        """Wall seconds of a phase so far, a running one included."""
        self._settle()
        return self.wall[name]

    def total(self) -> float:
        """Wall seconds of all phases so far."""
        self._settle()
        return sum(self.wall.values())

    def state(self) -> dict[str, dict[str, float]]:
        """For a checkpoint."""
        self._settle()
        return {"wall": dict(self.wall), "cpu": dict(self.cpu)}

    def add(self, state: Mapping[str, Mapping[str, float]]) -> None:
        """Count the time of an earlier process too."""
        for mine, other in ((self.wall, state["wall"]), (self.cpu, state["cpu"])):
            for name, seconds in other.items():
                mine[name] += seconds
