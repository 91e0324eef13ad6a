"""One run from its specification to its directory."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import scipy

from problems.base import Problem
from solvers import backends
from solvers.assembly import build_backend, build_model, initial_parameters, minibatches
from solvers.backends.base import Backend
from solvers.checkpoint import INTERVAL, Checkpoints, sole_writer
from solvers.errors import grid_errors
from solvers.fingerprint import fingerprint
from solvers.monitor import Display, History, Monitor, Silent
from solvers.networks.base import parameter_count, unflatten
from solvers.optimizers import StopReason
from solvers.provenance import ProcessClock, is_run_of, peak_memory_bytes, provenance, spec_hash
from solvers.randomness import generator
from solvers.record import RecordError, RunErrors, RunRecord, check_files, finite, read_run, write_run
from solvers.sampling import uniform_grid
from solvers.spec import RunSpec
from solvers.stopwatch import Stopwatch
from solvers.terms import Model
from solvers.training import Training, abandoned, train

__all__ = ["Conditions", "command_line", "give_up", "run", "run_folder"]

LONGEST_NAME = 120


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
    clock = ProcessClock()
    with sole_writer(folder) as waited:
        made = _made(spec, folder) if waited else None
        return made or _run(spec, folder, conditions or Conditions(), clock)


def give_up(spec: RunSpec, folder: Path, reason: str) -> RunRecord:
    """Write the directory of a run whose process is killed whenever it is tried: status ``killed``, and what its
    checkpoint holds. The errors are not measured, which could be what it is killed for."""
    clock = ProcessClock()
    with sole_writer(folder):
        return _abandon(spec, folder, StopReason.KILLED, reason, clock)


def _made(spec: RunSpec, folder: Path) -> RunRecord | None:
    """The run in ``folder`` if it is this one, by this code."""
    try:
        record = read_run(folder)
        check_files(folder, record)
    except RecordError:
        return None
    return record if is_run_of(spec, dict(record.provenance)) else None


def _run(spec: RunSpec, folder: Path, conditions: Conditions, clock: ProcessClock) -> RunRecord:
    try:
        problem, backend, theta, monitor, checkpoints = _set_up(spec, folder, conditions, clock)
    except Exception as error:
        if not backends.load(spec.backend).out_of_memory(error):
            raise
        reason = f"while setting up: {str(error).splitlines()[0]}"
        return _abandon(spec, folder, StopReason.OUT_OF_MEMORY, reason, clock, conditions.pinned_core)
    batches = minibatches(spec, problem, backend.model)
    rng = generator(spec.experiment, spec.seed, "balancing")
    limit = conditions.time_limit
    training = train(backend, spec.build_levels(), theta, monitor, rng, batches, checkpoints, limit)
    with clock.phase("evaluation"):
        results = _Results(
            **_errors(spec, problem, backend, training, monitor),
            fields=_fields(spec, problem, backend, training.theta),
            description=backend.description,
        )
    record = _write(spec, folder, clock, training, monitor, backend.model, results, conditions.pinned_core)
    if training.status != "time-limit":  # with a longer limit it goes on
        checkpoints.clear()
    return record


def _abandon(
    spec: RunSpec,
    folder: Path,
    cause: StopReason,
    reason: str,
    clock: ProcessClock,
    pinned_core: int | None = None,
) -> RunRecord:
    """The directory of a run that cannot train: what its checkpoint holds, if there is one."""
    history, checkpoints = History(spec.terms), Checkpoints(folder, _identity(spec))
    training = abandoned(checkpoints.load(), history, clock, cause, reason)
    model = build_model(spec, spec.build_problem())
    record = _write(spec, folder, clock, training, history, model, _Results(), pinned_core)
    checkpoints.clear()
    return record


@dataclass(frozen=True)
class _Results:
    """What is measured when training has ended, and what the backend says of itself."""

    last: RunErrors | None = None
    best: RunErrors | None = None
    fields: Mapping[str, np.ndarray] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=lambda: {"device": "unknown"})


def _write(
    spec: RunSpec,
    folder: Path,
    clock: ProcessClock,
    training: Training,
    history: History,
    model: Model,
    results: _Results,
    pinned_core: int | None,
) -> RunRecord:
    """The run's directory from all that is known of it."""
    rows = history.rows
    record = RunRecord(
        status=training.status,
        reason=training.reason,
        command=command_line(spec),
        spec=spec,
        parameters=parameter_count(model.shapes),
        **asdict(history.total),
        stages=list(training.stages),
        terms={name: finite(rows[-1][f"term.{name}"]) for name in spec.terms} if rows else {},
        last=results.last,
        best=results.best,
        restarts=list(training.restarts),
        seconds=dict(clock.wall),
        cpu_seconds=dict(clock.cpu),
        peak_memory_bytes=peak_memory_bytes(),
        provenance=provenance(spec, results.description, pinned_core, *clock.dates()),
    )
    weights = _weights(model, training, history, spec.dtype)
    return write_run(folder, record, pd.DataFrame(rows, columns=history.columns), results.fields, weights)


def _set_up(
    spec: RunSpec, folder: Path, conditions: Conditions, stopwatch: Stopwatch
) -> tuple[Problem, Backend, np.ndarray, Monitor, Checkpoints]:
    with stopwatch.phase("setup"):
        problem = spec.build_problem()
        backend = build_backend(spec, problem, stopwatch)
        theta = initial_parameters(spec, problem).astype(spec.dtype)
        monitor = _monitor(spec, problem, backend, stopwatch, conditions.display)
        identity = _identity(spec) | backend.description
        checkpoints = Checkpoints(folder, identity, conditions.checkpoint_interval)
    return problem, backend, theta, monitor, checkpoints


def _identity(spec: RunSpec) -> dict[str, str]:
    """What a checkpoint must agree in with the run, whatever the backend says of itself."""
    made_by = {"specification": spec_hash(spec), "code": fingerprint(spec.plugins())}
    return made_by | {"numpy": np.__version__, "scipy": scipy.__version__}


def _monitor(spec: RunSpec, problem: Problem, backend: Backend, stopwatch: Stopwatch, display: Display) -> Monitor:
    grid = uniform_grid(problem.lower, problem.upper, spec.evaluation.history_grid)
    exact = problem.solution(grid)
    size = float(np.linalg.norm(exact))

    def error(theta: np.ndarray) -> float:
        return float(np.linalg.norm(backend.predict(theta, grid) - exact)) / size

    return Monitor(spec.terms, error, spec.evaluation.every, spec.evaluation.divergence_factor, stopwatch, display)


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
    """Coordinates (n,) by name, the solution, called ``exact`` also if it is computed, and the predicted one."""
    counts = spec.evaluation.field_grid
    grid = uniform_grid(problem.lower, problem.upper, counts)
    bounds = zip(problem.coordinates, problem.lower, problem.upper, counts, strict=True)
    axes = {name: np.linspace(low, high, count) for name, low, high, count in bounds}
    predicted = backend.predict(theta, grid).reshape(counts)
    return axes | {"exact": problem.solution(grid).reshape(counts), "predicted": predicted}


def _weights(model: Model, training: Training, history: History, dtype: np.dtype) -> dict[str, np.ndarray]:
    """Parameters of the last and the best iterate and the frozen arrays, none if the run came to no iterate."""
    if training.theta is None:
        return {}
    kinds: dict[str, Mapping[str, np.ndarray]] = {"last": unflatten(training.theta, model.shapes)}
    if history.best:
        kinds["best"] = unflatten(history.best.theta, model.shapes)
    kinds["frozen"] = model.frozen
    return {
        f"{kind}/{name}": np.ascontiguousarray(array, dtype=dtype)
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
