"""What a run is made of, by its specification: points, network, initial parameters, backend."""

import numpy as np

from problems.base import Problem
from solvers import backends
from solvers.backends.base import Backend
from solvers.configuration.spec import RunSpec
from solvers.model.jets import numpy_ops
from solvers.model.networks.base import flatten, unflatten
from solvers.model.terms import INPUTS, CollocationPoints, Model, build_terms, constraint_arrays, residuals
from solvers.model.trial import trial_for
from solvers.points.sampling import Minibatches, PointSets, PointSource
from solvers.randomness import generator
from solvers.stopwatch import Stopwatch
from solvers.training.levels import Backends

__all__ = [
    "build_backend",
    "build_backends",
    "build_model",
    "collocation_points",
    "initial_parameters",
    "minibatches",
    "point_sets",
]


def point_sets(spec: RunSpec, problem: Problem) -> PointSets:
    """The points of every equation; for one experiment and seed the same for all methods and backends."""
    return PointSets(_sources(spec, problem, "points"))


def collocation_points(spec: RunSpec, problem: Problem) -> list[CollocationPoints]:
    """The points of every term at the start."""
    return point_sets(spec, problem).collocation()


def minibatches(spec: RunSpec, problem: Problem, model: Model) -> Minibatches | None:
    """Fresh points for every step of a first-order optimizer, if a sampler says so."""
    if not spec.resampled:
        return None
    return Minibatches(model, _sources(spec, problem, "batches"))


def _sources(spec: RunSpec, problem: Problem, purpose: str) -> list[PointSource]:
    """One for each equation; a hard constraint leaves the residual's."""

    def untrained(points: np.ndarray) -> np.ndarray:
        return _untrained_residual(spec, problem, points)

    return [
        PointSource(
            equation=equation,
            sampler=spec.build_sampler(equation.term),
            rng=generator(spec.experiment, spec.seed, f"{purpose}/{equation.term}/{i}"),
            grouping=None if equation.where else spec.build_grouping(),
            residual=untrained,
        )
        for i, equation in enumerate(problem.equations)
        if not (equation.where and spec.trial != "identity")
    ]


def _untrained_residual(spec: RunSpec, problem: Problem, points: np.ndarray) -> np.ndarray:
    """|operator(u) - target| (N,) of the untrained network, in NumPy: the same for every backend."""
    model = build_model(spec, problem)
    (term,) = build_terms([CollocationPoints("residual", problem.residual, points)])
    (constraint,) = term.constraints
    parameters = unflatten(initial_parameters(spec, problem), model.shapes)
    chunk = constraint_arrays(model, constraint) | model.constants(constraint.layout)
    return np.abs(residuals(model, constraint, parameters, chunk, numpy_ops))


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


def build_backend(
    spec: RunSpec, problem: Problem, stopwatch: Stopwatch | None = None, points: PointSets | None = None
) -> Backend:
    """The backend in the run's precision with the problem's terms over the run's points."""
    return _backend(spec, problem, stopwatch, points or point_sets(spec, problem), spec.precision)


def build_backends(spec: RunSpec, problem: Problem, stopwatch: Stopwatch, points: PointSets) -> Backends:
    """The backend in the run's precision, and those in others that stages ask for."""
    own = build_backend(spec, problem, stopwatch, points)
    return Backends(own, lambda precision: _backend(spec, problem, stopwatch, points, precision))


def _backend(
    spec: RunSpec, problem: Problem, stopwatch: Stopwatch | None, points: PointSets, precision: str
) -> Backend:
    return backends.load(spec.backend)(
        model=build_model(spec, problem),
        terms=points.terms(),
        dtype=precision,
        stopwatch=stopwatch,
        chunk_size=spec.chunk_size,
    )
