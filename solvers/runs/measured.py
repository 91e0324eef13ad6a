"""What is measured of a run when its training has ended."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np

from problems.base import Problem
from solvers.backends.base import Backend
from solvers.configuration.spec import RunSpec
from solvers.points.fresh import fresh_residual_ratio
from solvers.runs.record import RunErrors, finite
from solvers.training.history import Monitor
from solvers.training.metrics import fields, grid_errors
from solvers.training.records import Training

__all__ = ["Results", "measured"]


@dataclass(frozen=True)
class Results:
    """What is measured when training has ended, and what the backend says of itself."""

    last: RunErrors | None = None
    best: RunErrors | None = None
    fields: Mapping[str, np.ndarray] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=lambda: {"device": "unknown"})
    problems: Sequence[str] = ()
    fresh_residual_ratio: float | None = None


FRESH = 8192
"""Fresh points of the residual at which every run is looked at when it has ended."""


def measured(
    spec: RunSpec,
    problem: Problem,
    backend: Backend,
    theta: np.ndarray,
    training: Training,
    monitor: Monitor,
) -> Results:
    """All that is measured; nothing, and why, if that fails: what was trained is kept."""
    try:
        last, best = _errors(spec, problem, backend, theta, training, monitor)
        return Results(
            last=last,
            best=best,
            fields=fields(problem, partial(backend.predict, theta), spec.evaluation.nodes("field_grid")),
            description=backend.description,
            fresh_residual_ratio=finite(fresh_residual_ratio(backend, theta, FRESH)),
        )
    except Exception as error:
        found = f"its errors could not be measured: {type(error).__name__}: {error}"
        return Results(description=backend.description, problems=[" ".join(found.split())])


def _errors(
    spec: RunSpec,
    problem: Problem,
    backend: Backend,
    theta: np.ndarray,
    training: Training,
    monitor: Monitor,
) -> tuple[RunErrors, RunErrors | None]:
    """Of the last iterate and of the best, if one is kept."""

    def measure(theta: np.ndarray, iteration: int) -> RunErrors:
        errors = grid_errors(problem, partial(backend.predict, theta), spec.evaluation.nodes("grid"))
        return RunErrors(iteration=iteration, **{key: finite(value) for key, value in asdict(errors).items()})

    best = monitor.best
    # A stage that diverges, or has no memory left, keeps what it started from.
    lost = monitor.stage.iterations if training.status in ("diverged", "out-of-memory") else 0
    last = measure(theta, monitor.total.iterations - lost)
    return last, measure(best.theta, best.iteration) if best else None
