"""What a run is made of, by its specification: points, network, initial parameters, backend."""

import numpy as np

from problems.base import Problem
from solvers import backends
from solvers.backends.base import Backend
from solvers.networks.base import flatten
from solvers.randomness import generator
from solvers.sampling import Minibatches, Source
from solvers.spec import RunSpec
from solvers.stopwatch import Stopwatch
from solvers.terms import INPUTS, Model, Piece, build_terms
from solvers.trial import trial_for

__all__ = ["build_backend", "build_model", "collocation_points", "initial_parameters", "minibatches"]


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
