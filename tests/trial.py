"""Training without a run's directory: backend, points and monitor of a smoke run, and a rule of choice."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from problems.base import Problem
from solvers.backends import Backend
from solvers.balancing import Balancing
from solvers.balancing._located import located
from solvers.balancing.base import State
from solvers.configuration.assembly import build_backends, initial_parameters, minibatches, point_sets
from solvers.configuration.spec import RunSpec
from solvers.optimizers import Optimizer
from solvers.optimizers.base import Evaluation
from solvers.points.samplers import Sampler
from solvers.points.sampling import Minibatches, PointSets
from solvers.randomness import generator
from solvers.stopwatch import Stopwatch
from solvers.training.history import Monitor
from solvers.training.levels import Backends, Level, Stage
from solvers.training.loop import train
from solvers.training.loss import Loss
from solvers.training.records import Snapshot, Training
from tests.conftest import smoke_spec

__all__ = ["CASE", "Kept", "Killed", "Trial", "assert_same", "continued", "trial_of"]

CASE = ("heat-0.3", "mmpinn")


class Killed(BaseException):
    """Stands for a kill right after a checkpoint."""


@dataclass
class Kept:
    """Keeps every checkpoint as one on disk is kept, and may kill training after one of them."""

    start: Snapshot | None = None
    kill_after: int | None = None
    snapshots: list[Snapshot] = field(default_factory=list)

    def load(self) -> Snapshot | None:
        return self.start

    def due(self) -> bool:
        return True

    def save(self, snapshot: Snapshot) -> None:
        arrays = {name: np.array(array) for name, array in snapshot.arrays.items()}
        self.snapshots.append(Snapshot(json.loads(json.dumps(snapshot.data)), arrays))
        if len(self.snapshots) == self.kill_after:
            raise Killed

    def note(self, iteration: int, planned: int, seconds: float) -> None:
        pass

    @property
    def balancing(self) -> State:
        """The state of the balancing in the last checkpoint."""
        last = self.snapshots[-1] if self.snapshots else self.start
        arrays = last.arrays if last else {}
        return {n.removeprefix("balancing."): a for n, a in arrays.items() if n.startswith("balancing.")}


@dataclass
class Trial:
    """One training to be, with the rule of the first level unless another is given."""

    spec: RunSpec
    problem: Problem
    backends: Backends
    rule: Balancing
    points: PointSets
    minibatches: Minibatches | None
    theta: np.ndarray
    monitor: Monitor
    kept: Kept = field(default_factory=Kept)
    training: Training | None = None

    @property
    def backend(self) -> Backend:
        return self.backends.own

    @property
    def loss(self) -> Loss:
        return Loss(self.backend, self.rule)

    @property
    def start(self) -> State:
        """The rule's state at the start of a level, as :meth:`levels` draws it for the first."""
        return self.loss.initial_state(np.random.default_rng(0))

    @property
    def balancing(self) -> State:
        """The rule's state where training ended."""
        return self.kept.balancing

    def evaluate(self, theta: np.ndarray, state: State | None = None) -> Evaluation:
        return self.loss.evaluate(theta, self.start if state is None else state)

    def train(self, *stages: Stage | Optimizer) -> Training:
        """One level of these stages."""
        own = [each if isinstance(each, Stage) else Stage("test", each) for each in stages]
        return self.through([Level(self.rule, own)])

    def through(self, levels: Sequence[Level], time_limit: float | None = None) -> Training:
        rng = np.random.default_rng(0)
        given = self.points, self.minibatches, self.kept, time_limit
        self.training = train(self.backends, levels, self.theta, self.monitor, rng, *given)
        return self.training

    @property
    def objectives(self) -> np.ndarray:
        """The losses of the history."""
        return np.array([row["objective"] for row in self.monitor.rows])

    @property
    def rows(self) -> list[dict]:
        """The history but for the clock."""
        return [{key: value for key, value in row.items() if key != "seconds"} for row in self.monitor.rows]

    @property
    def iterations(self) -> list[int]:
        """The iterations of the history's rows."""
        return [row["iteration"] for row in self.monitor.rows]


@cache
def _backends(text: str) -> Backends:
    """The same for equal specifications, whose points stay, so that JAX compiles each once for all tests."""
    spec = RunSpec.model_validate_json(text)
    problem = spec.build_problem()
    return build_backends(spec, problem, Stopwatch(), point_sets(spec, problem))


def trial_of(
    backend: str,
    numerics: str = "strict",
    every: int = 1,
    case: tuple[str, str] = CASE,
    rule: Balancing | None = None,
    kept: Kept | None = None,
    sampler: Sampler | None = None,
    **options,
) -> Trial:
    """A trial of a smoke run, from its initial parameters; with a ``sampler`` of choice for the residual."""
    spec = smoke_spec(case, backend, numerics, **options)
    problem, stopwatch = spec.build_problem(), Stopwatch()
    points = point_sets(spec, problem)
    if sampler:
        last = points.sources[-1]
        fresh = generator(spec.experiment, spec.seed, "points/residual")
        points = PointSets([*points.sources[:-1], replace(last, sampler=sampler, rng=fresh)])
        made = build_backends(spec, problem, stopwatch, points)
    else:
        made = _backends(spec.model_dump_json())
    for precision in ("float32", "float64", None):
        made.of(precision).stopwatch = stopwatch
    grid = np.random.default_rng(3).uniform(problem.lower, problem.upper, (50, problem.dimension))

    def error(theta: np.ndarray) -> float:
        return float(np.abs(made.current.predict(theta, grid)).mean())

    return Trial(
        spec,
        problem,
        made,
        located(rule or spec.build_levels()[0].balancing, made.own.terms),
        points,
        minibatches(spec, problem, made.own.model),
        initial_parameters(spec, problem).astype(spec.dtype),
        Monitor(spec.terms, error, every, 1e4, stopwatch),
        kept or Kept(),
    )


def continued(
    make: Callable[[Kept], Trial], train: Callable[[Trial], object], counts: Sequence[int] = ()
) -> Iterator[tuple[Trial, Trial]]:
    """An undisturbed training, and one killed after so many checkpoints and taken up; by default after a few of
    them, the last of all too."""
    whole = make(Kept())
    train(whole)
    total = len(whole.kept.snapshots)
    for count in counts or sorted({1, total // 2, total - 1, total}):
        killed = make(Kept(kill_after=count))
        with contextlib.suppress(Killed):
            train(killed)
        assert len(killed.kept.snapshots) == count and killed.training is None
        again = make(Kept(start=killed.kept.snapshots[-1]))
        train(again)
        yield whole, again


def outcome(trial: Trial) -> tuple:
    """Counts and reasons of the stages, and the best iterate."""
    best = trial.monitor.best
    stages = [(s.iterations, s.function_evaluations, s.reason) for s in trial.training.stages]
    return stages, best and (best.iteration, best.objective, best.theta.tolist())


def assert_same(whole: Trial, again: Trial) -> None:
    """History, parameters, state of the rule, counts and the best iterate, to the last bit."""
    assert again.rows == whole.rows
    np.testing.assert_array_equal(again.training.theta, whole.training.theta)
    assert again.training.theta.dtype == whole.training.theta.dtype
    for name, array in whole.balancing.items():
        np.testing.assert_array_equal(again.balancing[name], array)
    assert again.monitor.total == whole.monitor.total
    assert outcome(again) == outcome(whole)
    assert [restart.exact for restart in again.training.restarts] == [True]
