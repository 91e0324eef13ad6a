"""What a run sees of itself: counts, history, the best iterate, and whether it has diverged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from solvers.stopwatch import Stopwatch

__all__ = ["Best", "Counts", "Display", "Diverged", "History", "Monitor", "Silent"]


class Diverged(Exception):
    """Training left the finite or the reasonable; the message says at which step and in which term."""


class Display(Protocol):
    """Where progress is shown."""

    def show(self, row: dict[str, Any]) -> None:
        """A new row of the history."""


class Silent:
    """Shows nothing."""

    def show(self, row: dict[str, Any]) -> None:
        """Nothing."""


@dataclass
class Counts:
    """Iterations, function and gradient evaluations: three different counts."""

    iterations: int = 0
    function_evaluations: int = 0
    gradient_evaluations: int = 0

    def add(self, iterations: int = 0, evaluations: int = 0) -> None:
        """Count iterations, and evaluations of function and gradient together."""
        self.iterations += iterations
        self.function_evaluations += evaluations
        self.gradient_evaluations += evaluations


@dataclass(frozen=True)
class Best:
    """The recorded iterate with the lowest loss since the loss last became another function: at a level, at new
    points, or at a stage whose weights or points change. There is none while they change at every step."""

    theta: np.ndarray
    iteration: int
    objective: float


@dataclass
class History:
    """What was seen of a run so far: its counts, the iterates that were recorded, the best of them, the stage it
    is in, and whether its losses can be compared."""

    terms: Sequence[str]
    _: KW_ONLY
    rows: list[dict[str, Any]] = field(default_factory=list)
    total: Counts = field(default_factory=Counts)
    stage: Counts = field(default_factory=Counts)
    best: Best | None = None
    comparable: bool = True
    place: dict[str, Any] = field(default_factory=dict)
    first_objective: float | None = None

    @property
    def columns(self) -> list[str]:
        """Names of a row's entries."""
        kinds = [f"{kind}.{term}" for term in self.terms for kind in ("term", "weight", "gradient_norm")]
        place = ["level", "stage", "optimizer"]
        return [*place, "iteration", "evaluation", "seconds", "objective", "rel_l2", *kinds]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """For a checkpoint: numbers and texts, and arrays."""
        data = {
            "rows": self.rows,
            "total": asdict(self.total),
            "stage": asdict(self.stage),
            "place": self.place,
            "first_objective": self.first_objective,
            "comparable": self.comparable,
            "best": self.best and [self.best.iteration, self.best.objective],
        }
        return data, {"best": self.best.theta} if self.best else {}

    def restore(self, data: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what :meth:`state` gave."""
        self.rows = list(data["rows"])
        self.total, self.stage = Counts(**data["total"]), Counts(**data["stage"])
        self.place, self.first_objective = dict(data["place"]), data["first_objective"]
        self.comparable = data["comparable"]
        self.best = Best(arrays["best"], *data["best"]) if data["best"] else None


@dataclass
class Monitor(History):
    """Collects the history of a run in progress.

    ``error`` gives the relative L2 error of parameters on the history's grid. A row is kept every ``every``
    iterations. The objective here is the balanced loss, before any transform. A run has diverged when it or a
    gradient is not finite, or when it exceeds ``divergence_factor`` times the first of the level. (Not so a raw
    term: under a power of 1/4 a residual may rise a million times on the way down.)"""

    error: Callable[[np.ndarray], float]
    every: int
    divergence_factor: float
    stopwatch: Stopwatch
    display: Display = field(default_factory=Silent)

    def begin_stage(self, level: int, stage: int, optimizer: str, comparable: bool = True) -> None:
        """A stage starts; its losses are ``comparable`` if neither its weights nor its points change. The best
        iterate is sought anew where the loss becomes another function."""
        if self.place.get("level") != level:
            self.first_objective = None
        if self.place.get("level") != level or not (comparable and self.comparable):
            self.best = None
        self.comparable = comparable
        self.place = {"level": level, "stage": stage, "optimizer": optimizer}
        self.stage = Counts()

    def count(self, iterations: int = 0, evaluations: int = 0) -> None:
        """Count for the stage and for the run."""
        self.stage.add(iterations, evaluations)
        self.total.add(iterations, evaluations)

    def check(self, seen: Any, before: int = 0) -> None:
        """Raise :class:`Diverged` if an evaluation, or any row of a trace, is not finite or beyond reason.

        ``before``: iterations made since the trace's first row.
        """
        values, norms = np.atleast_2d(seen.values), np.atleast_2d(seen.gradient_norms)
        objective = np.atleast_1d(seen.loss)
        if self.first_objective is None:
            self.first_objective = float(objective[0])
        # A loss may be below zero, as that of a rule with logarithms: the limit stays above its first value.
        limit = self.first_objective + (self.divergence_factor - 1) * abs(self.first_objective)
        finite = np.isfinite(objective) & np.isfinite(norms).all(axis=1)
        bad = ~finite | (objective > limit)
        if bad.any():
            row = int(bad.argmax())
            worst = int(np.argmax(np.nan_to_num(values[row], nan=np.inf)))
            reason = f"exceeds {limit:.6g}" if finite[row] else "or a gradient is not finite"
            raise Diverged(
                f"term {self.terms[worst]} is {values[row, worst]:.6g} at iteration "
                f"{self.total.iterations - before + row}: the objective {objective[row]:.6g} {reason}"
            )

    def record(self, theta: np.ndarray, seen: Any, iterations: int, evaluations: int, seconds: float) -> None:
        """Keep a row: ``seen`` has loss, values, weights and gradient_norms at ``theta``."""
        with self.stopwatch.phase("monitoring"):
            objective = float(seen.loss)
            row = self.place | {
                "iteration": iterations,
                "evaluation": evaluations,
                "seconds": seconds,
                "objective": objective,
                "rel_l2": self.error(theta),
            }
            for i, term in enumerate(self.terms):
                row[f"term.{term}"] = float(seen.values[i])
                row[f"weight.{term}"] = float(seen.weights[i])
                row[f"gradient_norm.{term}"] = float(seen.gradient_norms[i])
            self.rows.append(row)
            if (
                self.comparable
                and np.isfinite(objective)
                and (self.best is None or objective < self.best.objective)
            ):
                self.best = Best(np.array(theta, copy=True), iterations, objective)
            self.display.show(row)

    def record_now(self, theta: np.ndarray, seen: Any) -> None:
        """:meth:`record` at the current counts and time."""
        self.record(
            theta,
            seen,
            self.total.iterations,
            self.total.function_evaluations,
            self.stopwatch.seconds("training"),
        )
