"""One run from its specification to its directory."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from problems.base import Problem
from solvers import backends
from solvers.backends.base import Backend
from solvers.errors import grid_errors
from solvers.monitor import Display, Monitor, Silent
from solvers.networks.base import flatten, parameter_count, unflatten
from solvers.provenance import peak_memory_bytes, provenance
from solvers.randomness import generator
from solvers.record import RunErrors, RunRecord, StageRecord, finite, write_run
from solvers.sampling import Minibatches, Source, uniform_grid
from solvers.spec import RunSpec
from solvers.stopwatch import Stopwatch
from solvers.terms import INPUTS, Model, Piece, build_terms
from solvers.training import StageResult, Training, train
from solvers.trial import trial_for

__all__ = [
    "build_backend",
    "build_model",
    "collocation_points",
    "command_line",
    "initial_parameters",
    "minibatches",
    "run",
    "run_folder",
]

LONGEST_NAME = 120


def collocation_points(spec: RunSpec, problem: Problem) -> list[Piece]:
    """The points of every term; for one experiment and seed the same for all methods and backends."""
    return [piece for source in _sources(spec, problem, "points") for piece in source.draw()]


def minibatches(spec: RunSpec, problem: Problem, model: Model) -> Minibatches | None:
    """Fresh points for every Adam step, if the points' strategy says so."""
    if not spec.resampled:
        return None
    return Minibatches(model, _sources(spec, problem, "batches"))


def _sources(spec: RunSpec, problem: Problem, purpose: str) -> list[Source]:
    """One for each equation; a hard constraint leaves the residual's."""
    return [
        Source(
            equation=equation,
            strategy=spec.points[equation.term].strategy,
            count=spec.points[equation.term].count,
            rng=generator(spec.experiment, spec.seed, f"{purpose}/{equation.term}/{i}"),
            groups={} if equation.where else spec.groups,
        )
        for i, equation in enumerate(problem.equations)
        if not (equation.where and spec.trial != "identity")
    ]


def build_model(spec: RunSpec, problem: Problem) -> Model:
    """The network with its scaling, its frozen arrays and its trial function."""
    network = spec.build_network()
    frozen = network.frozen(problem.dimension, generator(spec.experiment, spec.seed, "frozen"))
    shift, scale = INPUTS[spec.inputs](problem.lower, problem.upper)
    return Model(network, shift, scale, frozen, trial_for(spec.trial, problem))


def initial_parameters(spec: RunSpec, problem: Problem) -> np.ndarray:
    """Initial parameters (P,), float64; the same for both backends and all methods with this network."""
    rng = generator(spec.experiment, spec.seed, "weights")
    return flatten(spec.build_network().initialise(problem.dimension, rng))


def build_backend(spec: RunSpec, problem: Problem, stopwatch: Stopwatch | None = None) -> Backend:
    """The backend with the problem's terms over the run's points."""
    return backends.load(spec.backend)(
        model=build_model(spec, problem),
        terms=build_terms(collocation_points(spec, problem)),
        balancing=spec.build_balancing(),
        dtype=spec.precision,
        stopwatch=stopwatch,
        chunk_size=spec.chunk_size,
    )


def run(spec: RunSpec, folder: Path, display: Display | None = None, pinned_core: int | None = None) -> RunRecord:
    """Train as specified, measure the errors and write the run's directory.

    A run that diverges ends normally, with that status. ``pinned_core`` is only noted.
    """
    started = datetime.now(UTC)
    stopwatch = Stopwatch()
    stopwatch.wall["startup"] = started.timestamp() - psutil.Process().create_time()
    stopwatch.cpu["startup"] = time.process_time()
    with stopwatch.phase("setup"):
        problem = spec.build_problem()
        backend = build_backend(spec, problem, stopwatch)
        theta = initial_parameters(spec, problem).astype(spec.dtype)
        monitor = _monitor(spec, problem, backend, stopwatch, display or Silent())
        batches = minibatches(spec, problem, backend.model)
        rng = generator(spec.experiment, spec.seed, "balancing")
    training = train(backend, spec.build_levels(), theta, monitor, rng, batches)
    with stopwatch.phase("evaluation"):
        errors = _errors(spec, problem, backend, training, monitor)
        fields = _fields(spec, problem, backend, training.theta)
    times = started.isoformat(timespec="seconds"), datetime.now(UTC).isoformat(timespec="seconds")
    record = RunRecord(
        status="diverged" if training.diverged else "finished",
        reason=training.diverged or training.stages[-1].reason.explanation,
        command=command_line(spec),
        spec=spec,
        parameters=parameter_count(backend.model.shapes),
        **asdict(monitor.total),
        stages=[_stage_record(stage) for stage in training.stages],
        terms={name: finite(monitor.rows[-1][f"term.{name}"]) for name in spec.terms},
        **errors,
        seconds=dict(stopwatch.wall),
        cpu_seconds=dict(stopwatch.cpu),
        peak_memory_bytes=peak_memory_bytes(),
        provenance=provenance(spec, backend.description, pinned_core, *times),
    )
    write_run(folder, record, pd.DataFrame(monitor.rows), fields, _weights(backend, training, monitor))
    return record


def _monitor(spec: RunSpec, problem: Problem, backend: Backend, stopwatch: Stopwatch, display: Display) -> Monitor:
    grid = uniform_grid(problem.lower, problem.upper, spec.evaluation.history_grid)
    exact = problem.solution(grid)
    size = float(np.linalg.norm(exact))

    def error(theta: np.ndarray) -> float:
        return float(np.linalg.norm(backend.predict(theta, grid) - exact)) / size

    return Monitor(
        spec.terms,
        error,
        spec.evaluation.every,
        spec.evaluation.divergence_factor,
        stopwatch,
        display,
    )


def _errors(
    spec: RunSpec, problem: Problem, backend: Backend, training: Training, monitor: Monitor
) -> dict[str, RunErrors | None]:
    def measure(theta: np.ndarray, iteration: int) -> RunErrors:
        errors = grid_errors(problem, lambda points: backend.predict(theta, points), spec.evaluation.grid)
        return RunErrors(iteration=iteration, **{key: finite(value) for key, value in asdict(errors).items()})

    best = monitor.best
    lost = monitor.stage.iterations if training.diverged else 0  # a diverged stage keeps what it started from
    return {
        "last": measure(training.theta, monitor.total.iterations - lost),
        "best": measure(best.theta, best.iteration) if best else None,
    }


def _fields(spec: RunSpec, problem: Problem, backend: Backend, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Coordinates (n,) by name, exact and predicted solution on the field grid."""
    counts = spec.evaluation.field_grid
    grid = uniform_grid(problem.lower, problem.upper, counts)
    bounds = zip(problem.coordinates, problem.lower, problem.upper, counts, strict=True)
    axes = {name: np.linspace(low, high, count) for name, low, high, count in bounds}
    predicted = backend.predict(theta, grid).reshape(counts)
    return axes | {"exact": problem.solution(grid).reshape(counts), "predicted": predicted}


def _stage_record(stage: StageResult) -> StageRecord:
    return StageRecord(**asdict(stage) | {"reason": str(stage.reason), "explanation": stage.reason.explanation})


def _weights(backend: Backend, training: Training, monitor: Monitor) -> dict[str, np.ndarray]:
    shapes = backend.model.shapes
    kinds: dict[str, Mapping[str, np.ndarray]] = {"last": unflatten(training.theta, shapes)}
    if monitor.best:
        kinds["best"] = unflatten(monitor.best.theta, shapes)
    kinds["frozen"] = backend.model.frozen
    return {
        f"{kind}/{name}": np.ascontiguousarray(array, dtype=backend.dtype)
        for kind, arrays in kinds.items()
        for name, array in arrays.items()
    }


def run_folder(spec: RunSpec, root: Path = Path("results")) -> Path:
    """``root/<scale>/<experiment>/<method>/<backend>/<numerics>/<seed>``; overrides mark the experiment,
    by a hash of them where they would make a name too long for a file system."""
    overrides = "@".join(text.replace("/", "_") for text in spec.overrides)
    if len(overrides) > LONGEST_NAME:
        overrides = hashlib.sha256(overrides.encode()).hexdigest()[:16]
    experiment = f"{spec.experiment}@{overrides}" if overrides else spec.experiment
    return root / spec.scale / experiment / spec.method / spec.backend / spec.numerics / str(spec.seed)


def command_line(spec: RunSpec) -> str:
    """The command that makes this run."""
    options = f"--backend {spec.backend} --numerics {spec.numerics} --scale {spec.scale} --seed {spec.seed}"
    overrides = "".join(f" --set {text}" for text in spec.overrides)
    return f"python -m solvers run {spec.experiment} {spec.method} {options}{overrides}"
