"""One run from its specification to its directory."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import scipy

from problems.base import Problem
from solvers import backends
from solvers.backends.base import Backend
from solvers.checkpoint import INTERVAL, Checkpoints, sole_writer
from solvers.errors import grid_errors
from solvers.fingerprint import fingerprint
from solvers.monitor import Display, Monitor, Silent
from solvers.networks.base import flatten, parameter_count, unflatten
from solvers.provenance import peak_memory_bytes, provenance, spec_hash
from solvers.randomness import generator
from solvers.record import (
    RecordError,
    RestartRecord,
    RunErrors,
    RunRecord,
    StageRecord,
    check_files,
    finite,
    read_run,
    write_run,
)
from solvers.sampling import Minibatches, Source, uniform_grid
from solvers.spec import RunSpec
from solvers.stopwatch import Stopwatch
from solvers.terms import INPUTS, Model, Piece, build_terms
from solvers.training import StageResult, Training, train
from solvers.trial import trial_for

__all__ = [
    "Conditions",
    "build_backend",
    "build_model",
    "collocation_points",
    "command_line",
    "give_up",
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


@dataclass(frozen=True)
class Conditions:
    """What a run's numbers do not depend on: where it shows its progress, the core it is pinned to (only noted),
    seconds between checkpoints, and the seconds after which it is cut short."""

    display: Display = field(default_factory=Silent)
    pinned_core: int | None = None
    checkpoint_interval: float = INTERVAL
    time_limit: float | None = None


def run(spec: RunSpec, folder: Path, conditions: Conditions | None = None) -> RunRecord:
    """Train as specified, measure the errors and write the run's directory; go on from a checkpoint in it.

    A run that diverges, comes to its time limit or has too little memory ends normally, with that status. If
    another process is making this run, its result is waited for and taken. Raises
    :class:`solvers.record.RecordError` if the directory cannot be written.
    """
    clock = _Clock()
    with sole_writer(folder) as waited:
        made = _made(spec, folder) if waited else None
        return made or _run(spec, folder, conditions or Conditions(), clock)


def give_up(spec: RunSpec, folder: Path, reason: str) -> RunRecord:
    """Write the directory of a run whose process is killed whenever it is tried: status ``killed``."""
    clock = _Clock()
    with sole_writer(folder):
        return _write_nothing(spec, folder, "killed", reason, clock, None)


class _Clock:
    """A stopwatch since the process started, and the date."""

    def __init__(self):
        self.started = datetime.now(UTC)
        self.stopwatch = Stopwatch()
        self.stopwatch.wall["startup"] = self.started.timestamp() - psutil.Process().create_time()
        self.stopwatch.cpu["startup"] = time.process_time()

    def times(self) -> tuple[str, str]:
        """When the run started and ended."""
        ends = self.started, datetime.now(UTC)
        return ends[0].isoformat(timespec="seconds"), ends[1].isoformat(timespec="seconds")


def _made(spec: RunSpec, folder: Path) -> RunRecord | None:
    """The run in ``folder`` if it is this one, by this code."""
    try:
        record = read_run(folder)
        check_files(folder, record)
    except RecordError:
        return None
    same = record.spec == spec and record.provenance.fingerprint == fingerprint(spec.plugins())
    return record if same else None


def _run(spec: RunSpec, folder: Path, conditions: Conditions, clock: "_Clock") -> RunRecord:
    stopwatch = clock.stopwatch
    try:
        parts = _set_up(spec, folder, conditions, stopwatch)
    except Exception as error:
        if not backends.load(spec.backend).out_of_memory(error):
            raise
        reason = f"while setting up: {str(error).splitlines()[0]}"
        return _write_nothing(spec, folder, "out-of-memory", reason, clock, conditions.pinned_core)
    problem, backend, theta, monitor, checkpoints = parts
    batches = minibatches(spec, problem, backend.model)
    rng = generator(spec.experiment, spec.seed, "balancing")
    limit = conditions.time_limit
    training = train(backend, spec.build_levels(), theta, monitor, rng, batches, checkpoints, limit)
    with stopwatch.phase("evaluation"):
        errors = _errors(spec, problem, backend, training, monitor)
        fields = _fields(spec, problem, backend, training.theta)
    record = RunRecord(
        status=training.status,
        reason=training.reason,
        command=command_line(spec),
        spec=spec,
        parameters=parameter_count(backend.model.shapes),
        **asdict(monitor.total),
        stages=[_stage_record(stage) for stage in training.stages],
        terms={name: finite(monitor.rows[-1][f"term.{name}"]) for name in spec.terms} if monitor.rows else {},
        **errors,
        restarts=[RestartRecord(**asdict(restart)) for restart in training.restarts],
        seconds=dict(stopwatch.wall),
        cpu_seconds=dict(stopwatch.cpu),
        peak_memory_bytes=peak_memory_bytes(),
        provenance=provenance(spec, backend.description, conditions.pinned_core, *clock.times()),
    )
    history = pd.DataFrame(monitor.rows, columns=monitor.columns)
    record = write_run(folder, record, history, fields, _weights(backend, training, monitor))
    if training.status != "time-limit":  # with a longer limit it goes on
        checkpoints.clear()
    return record


def _write_nothing(
    spec: RunSpec, folder: Path, status: str, reason: str, clock: "_Clock", pinned_core: int | None
) -> RunRecord:
    """The directory of a run that came to no result."""
    stopwatch = clock.stopwatch
    stopwatch.wall["training"] += 0.0
    record = RunRecord(
        status=status,
        reason=reason,
        command=command_line(spec),
        spec=spec,
        parameters=parameter_count(spec.build_network().shapes(spec.build_problem().dimension)),
        iterations=0,
        function_evaluations=0,
        gradient_evaluations=0,
        stages=[],
        terms={},
        last=None,
        best=None,
        seconds=dict(stopwatch.wall),
        cpu_seconds=dict(stopwatch.cpu),
        peak_memory_bytes=peak_memory_bytes(),
        provenance=provenance(spec, {"device": "unknown"}, pinned_core, *clock.times()),
    )
    columns = Monitor(spec.terms, float, 1, 1.0, stopwatch).columns
    record = write_run(folder, record, pd.DataFrame(columns=columns), {}, {})
    Checkpoints(folder, {}).clear()
    return record


def _set_up(
    spec: RunSpec, folder: Path, conditions: Conditions, stopwatch: Stopwatch
) -> tuple[Problem, Backend, np.ndarray, Monitor, Checkpoints]:
    with stopwatch.phase("setup"):
        problem = spec.build_problem()
        backend = build_backend(spec, problem, stopwatch)
        theta = initial_parameters(spec, problem).astype(spec.dtype)
        monitor = _monitor(spec, problem, backend, stopwatch, conditions.display)
        identity = {"specification": spec_hash(spec), "code": fingerprint(spec.plugins())}
        identity |= {"numpy": np.__version__, "scipy": scipy.__version__, **backend.description}
        checkpoints = Checkpoints(folder, identity, conditions.checkpoint_interval)
    return problem, backend, theta, monitor, checkpoints


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
    # A stage that diverges, or has no memory left, keeps what it started from.
    lost = monitor.stage.iterations if training.status in ("diverged", "out-of-memory") else 0
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
