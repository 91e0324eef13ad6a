"""One run from its specification to its directory."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import psutil
import scipy

from problems.base import Problem
from solvers import backends
from solvers.backends import Backend
from solvers.balancing._located import located
from solvers.configuration.assembly import (
    build_backends,
    build_model,
    initial_parameters,
    minibatches,
    point_sets,
)
from solvers.configuration.spec import RunSpec
from solvers.model.networks.base import parameter_count, unflatten
from solvers.model.terms import Model
from solvers.optimizers import StopReason
from solvers.points.sampling import PointSets
from solvers.randomness import generator
from solvers.runs.checkpoint import INTERVAL, Checkpoints, sole_writer
from solvers.runs.command import command_line
from solvers.runs.finished import FINAL, taken, worth
from solvers.runs.measured import Results, measured
from solvers.runs.place import run_folder
from solvers.runs.provenance import Code, ProcessClock, code_of, identity_of, peak_memory_bytes, provenance
from solvers.runs.record import RunRecord, finite, mend, write_run
from solvers.stopwatch import Stopwatch
from solvers.training.history import Display, History, Monitor, Silent
from solvers.training.levels import Backends
from solvers.training.loop import train
from solvers.training.metrics import history_error
from solvers.training.records import Status, Training
from solvers.training.state import abandoned

__all__ = ["Conditions", "give_up", "run", "run_folder"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conditions:
    """What a run's numbers do not depend on: where it shows its progress, the core it is pinned to (only noted),
    seconds between checkpoints, the seconds after which it is cut short, and whether it is trained ``anew`` though
    it is there, finished or begun."""

    display: Display = field(default_factory=Silent)
    pinned_core: int | None = None
    checkpoint_interval: float = INTERVAL
    time_limit: float | None = None
    anew: bool = False


@dataclass(frozen=True)
class _Job:
    """The run to be made: its folder, its clock, the code that it starts with, and the run of this specification
    and code that is in the folder already, if there is one."""

    spec: RunSpec
    folder: Path
    clock: ProcessClock
    code: Code
    there: RunRecord | None
    pinned_core: int | None = None

    def checkpoints(self, description: Mapping[str, str] | None = None, interval: float = INTERVAL) -> Checkpoints:
        """Those of this run, by a backend that describes itself so."""
        return Checkpoints(self.folder, _identity(self.spec) | dict(description or {}), interval)


def run(spec: RunSpec, folder: Path, conditions: Conditions | None = None) -> RunRecord:
    """Train as specified, measure the errors and write the run's directory; go on from a checkpoint beside it.

    A run that is there already, whole, finished or diverged, and of this specification and code, is taken as it
    is. One that diverges, comes to its time limit or has too little memory ends normally, with that status, which
    never takes the place of a better one. If another process is making this run, its result is waited for and
    taken. Raises :class:`solvers.runs.record.RecordError` if the directory cannot be written.
    """
    conditions = conditions or Conditions()
    with _begun(spec, folder, conditions.pinned_core) as (job, waited):
        if conditions.anew:
            job.checkpoints().start_anew()
        there = job.there
        if there and (waited or there.status in FINAL) and not job.checkpoints().anew:
            if not waited:
                log.warning("%s: is there already, %s; --force trains anew", folder, there.status)
            if there.status in FINAL:
                job.checkpoints().clear()
            return there
        return _run(job, conditions)


def give_up(spec: RunSpec, folder: Path, reason: str) -> RunRecord:
    """Write the directory of a run whose process is killed whenever it is tried: status ``killed``, and what its
    checkpoint holds. The errors are not measured, which could be what it is killed for. A better run of this
    specification and code that is there stays."""
    with _begun(spec, folder) as (job, _):
        return _abandon(job, StopReason.KILLED, reason)


@contextmanager
def _begun(spec: RunSpec, folder: Path, pinned_core: int | None = None) -> Iterator[tuple[_Job, bool]]:
    """A run whose folder is this process's alone; whether another had to be waited for."""
    clock, code = ProcessClock(), code_of(spec)
    with sole_writer(folder) as waited:
        mend(folder)
        yield _Job(spec, folder, clock, code, taken(spec, folder), pinned_core), waited


def _run(job: _Job, conditions: Conditions) -> RunRecord:
    spec = job.spec
    try:
        made = _set_up(job, conditions)
    except Exception as error:
        if not backends.load(spec.backend).out_of_memory(error):
            raise
        return _abandon(job, StopReason.OUT_OF_MEMORY, f"while setting up: {str(error).splitlines()[0]}")
    problem, monitor, model = made.problem, made.monitor, made.backends.own.model
    terms = made.backends.own.terms
    training = train(
        made.backends,
        [replace(each, balancing=located(each.balancing, terms)) for each in spec.build_levels()],
        made.theta,
        monitor,
        generator(spec.experiment, spec.seed, "balancing"),
        made.points,
        minibatches(spec, problem, model),
        made.checkpoints,
        conditions.time_limit,
    )
    backend, theta = made.backends.current, training.theta
    assert theta is not None  # only an abandoned run comes to no iterate
    with job.clock.phase("evaluation"):
        results = measured(spec, problem, backend, theta, training, monitor)
    training = replace(training, reason="; ".join([training.reason, *results.problems]))
    record = _write(job, training, monitor, model, results)
    if training.status != "time-limit":  # with a longer limit it goes on
        made.checkpoints.clear()
    return record


def _abandon(job: _Job, cause: StopReason, reason: str) -> RunRecord:
    """The directory of a run that cannot train: what its checkpoint holds, if there is one."""
    history, checkpoints = History(job.spec.terms), job.checkpoints()
    training = abandoned(checkpoints.load(), history, job.clock, cause, reason)
    model = build_model(job.spec, job.spec.build_problem())
    record = _write(job, training, history, model, Results())
    if record.status != "time-limit":  # the better one that is there
        checkpoints.clear()
    return record


def _write(job: _Job, training: Training, history: History, model: Model, results: Results) -> RunRecord:
    """The run's directory from all that is known of it; the record that is there then."""
    rows, spec = history.rows, job.spec
    record = RunRecord(
        status=cast(Status, training.status),  # checked by the record
        reason=training.reason,
        command=command_line(spec),
        spec=spec,
        parameters=parameter_count(model.shapes),
        **asdict(history.total),
        stages=list(training.stages),
        terms={name: finite(rows[-1][f"term.{name}"]) for name in spec.terms} if rows else {},
        last=results.last,
        best=results.best,
        fresh_residual_ratio=results.fresh_residual_ratio,
        restarts=list(training.restarts),
        seconds=dict(job.clock.wall),
        cpu_seconds=dict(job.clock.cpu),
        peak_memory_bytes=peak_memory_bytes(),
        provenance=provenance(spec, job.code, results.description, job.pinned_core, *job.clock.dates()),
    )
    if job.there and worth(record) < worth(job.there):
        log.warning("%s: %s, %s; the run that is there stays", job.folder, record.status, record.reason)
        return job.there
    weights = _weights(model, training, history)
    return write_run(job.folder, record, pd.DataFrame(rows, columns=history.columns), results.fields, weights)


@dataclass(frozen=True)
class _Made:
    """What a run trains with."""

    problem: Problem
    backends: Backends
    points: PointSets
    theta: np.ndarray
    monitor: Monitor
    checkpoints: Checkpoints


def _set_up(job: _Job, conditions: Conditions) -> _Made:
    spec, stopwatch = job.spec, job.clock
    with stopwatch.phase("setup"):
        problem = spec.build_problem()
        points = point_sets(spec, problem)
        made = build_backends(spec, problem, stopwatch, points)
        _check_memory(spec, made.own)
        theta = initial_parameters(spec, problem).astype(spec.dtype)
        monitor = _monitor(spec, problem, made, stopwatch, conditions.display)
        checkpoints = job.checkpoints(made.own.description, conditions.checkpoint_interval)
    return _Made(problem, made, points, theta, monitor, checkpoints)


def _check_memory(spec: RunSpec, backend: Backend) -> None:
    """``MemoryError`` if an optimizer's matrices, which a GPU has in its own memory, do not fit into what is
    free: known before the first stage, not after hours of it."""
    points, free = sum(backend.sizes.values()), psutil.virtual_memory().available
    for i, level in enumerate(spec.build_levels()):
        for j, stage in enumerate(level.stages):
            needed = stage.optimizer.bytes_for(backend.parameters, points)
            if backend.on_cpu and needed > free:
                raise MemoryError(
                    f"levels.{i}.stages.{j}.optimizer (value {stage.name!r}): needs {needed / 2**30:.3g} GiB with "
                    f"{backend.parameters} parameters and {points} points; {free / 2**30:.3g} GiB are free"
                )


def _identity(spec: RunSpec) -> dict[str, str]:
    """What a checkpoint must agree in with the run, whatever the backend says of itself."""
    known = identity_of(spec)
    made_by = {"specification": known["spec_hash"], "code": known["fingerprint"]}
    return made_by | {"numpy": np.__version__, "scipy": scipy.__version__}


def _monitor(spec: RunSpec, problem: Problem, made: Backends, stopwatch: Stopwatch, display: Display) -> Monitor:
    measure = history_error(problem, spec.evaluation.nodes("history_grid"))

    def error(theta: np.ndarray) -> float:
        return measure(partial(made.current.predict, theta))

    return Monitor(spec.terms, error, spec.evaluation.every, spec.evaluation.divergence_factor, stopwatch, display)


def _weights(model: Model, training: Training, history: History) -> dict[str, np.ndarray]:
    """Parameters of the last and the best iterate and the frozen arrays, none if the run came to no iterate."""
    if training.theta is None:
        return {}
    kinds: dict[str, Mapping[str, np.ndarray]] = {"last": unflatten(training.theta, model.shapes)}
    if history.best:
        kinds["best"] = unflatten(history.best.theta, model.shapes)
    kinds["frozen"] = model.frozen
    return {
        f"{kind}/{name}": np.ascontiguousarray(array, dtype=training.theta.dtype)
        for kind, arrays in kinds.items()
        for name, array in arrays.items()
    }
