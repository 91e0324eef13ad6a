"""The shapes that are timed: problem, network, points and parameters of an experiment at the paper's scale."""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from problems.base import Problem
from solvers import backends, balancing
from solvers.backends import Backend
from solvers.configuration import Catalogue
from solvers.run import build_model, collocation_points, initial_parameters
from solvers.spec import RunSpec
from solvers.terms import Model, Piece, build_terms

__all__ = ["SHAPES", "Shape", "alternate", "floor_seconds", "quartiles"]

NUMERICS = {"float32": "paper", "float64": "strict"}


@dataclass(frozen=True)
class Shape:
    """One method of an experiment at the paper's scale, in one precision, with the plain sum as objective."""

    experiment: str
    method: str
    overrides: tuple[str, ...] = ()

    def spec(self, dtype: str, backend: str = "jax") -> RunSpec:
        """Its specification."""
        catalogue = Catalogue()
        axes = self.experiment, self.method, backend, NUMERICS[dtype], "paper"
        return catalogue.resolve(*axes, overrides=self.overrides)

    @cached_property
    def problem(self) -> Problem:
        """The problem."""
        return self.spec("float64").build_problem()

    @cached_property
    def pieces(self) -> list[Piece]:
        """The points of all terms."""
        return collocation_points(self.spec("float64"), self.problem)

    @cached_property
    def model(self) -> Model:
        """The model."""
        return build_model(self.spec("float64"), self.problem)

    def theta(self, dtype: str) -> np.ndarray:
        """Initial parameters, moved a little so that no bias is zero."""
        theta = initial_parameters(self.spec(dtype), self.problem)
        return (theta + 0.01 * np.random.default_rng(1).standard_normal(theta.shape)).astype(dtype)

    def backend(self, name: str, dtype: str, chunk_size: int | None = None) -> Backend:
        """Ours."""
        rule = balancing.load("sum")()
        return backends.load(name)(self.model, build_terms(self.pieces), rule, dtype, chunk_size=chunk_size)


SHAPES: Mapping[str, Shape] = {
    "heat": Shape("heat-0.15", "mmpinn"),
    "helmholtz": Shape("helmholtz-1-8", "mmpinn-mff"),
    "helmholtz-inn": Shape("helmholtz-1-8", "mmpinn-inn"),
    "helmholtz-ifnn": Shape(
        "helmholtz-1-8", "lra-ifnn", ("points.residual.count=10000", "points.boundary.count=1200")
    ),
    "klein-gordon": Shape(
        "klein-gordon-5",
        "pinn",
        ("points.residual.count=10000", "points.initial.count=400", "points.boundary.count=400"),
    ),
    "klein-gordon-mff": Shape(
        "klein-gordon-5",
        "mmpinn-mff",
        ("points.residual.count=10000", "points.initial.count=400", "points.boundary.count=400"),
    ),
    "multifrequency": Shape("multifrequency-20", "mmpinn-mff", ("points.residual.count=12000",)),
}


def alternate(
    contenders: Mapping[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Seconds of each call of each contender, taken in turns, until ``rounds`` or ``seconds`` are used up."""
    for call in contenders.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    end = time.perf_counter() + seconds
    for done in itertools.count(1):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
        if done >= rounds or (done >= 5 and time.perf_counter() > end):
            return times


def quartiles(times: list[float]) -> list[float]:
    """Lower quartile, median, upper quartile."""
    return [float(q) for q in np.percentile(times, [25, 50, 75])]


def floor_seconds(shape: Shape, dtype: str) -> float:
    """Time of the same matrix products and tanh calls alone, each at the best rate found in cache.

    Of every hidden layer and channel of the residual: forward, by its input and by its weights; the first layer of
    a network of raw coordinates has few columns and is free, Fourier features need nothing of their frequencies.
    """
    network, points = shape.model.network, len(shape.pieces[-1].points)
    (residual,) = build_terms(shape.pieces[-1:])
    (block,) = residual.blocks
    square = [s for n, s in shape.model.shapes.items() if len(s) == 2 and s[0] == s[1]]
    branches = len(getattr(network, "maps", [None]))
    shared = [n for n in shape.model.shapes if n.startswith(("hidden", "layer")) and n.endswith(".weight")]
    hidden = [n for n in shared if shape.model.shapes[n][0] == shape.model.shapes[n][1]]
    uses = len(hidden) * branches + (len(square) - len(hidden))
    channels = 1 + len(block.layout)
    flops = 2 * 3 * uses * channels * points * network.width**2
    depth = getattr(network, "depth", 0)
    encoders = len(network.encoders(2)) // 2
    return flops / _gemm_rate(network.width, dtype) + (
        depth * branches + encoders
    ) * points * network.width / _tanh_rate(network.width, dtype)


def _best(call: Callable[[], object], repeat: int = 40) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _gemm_rate(width: int, dtype: str) -> float:
    """Flops a second of (n, width) @ (width, width), NumPy, at the best n in cache."""
    rates = []
    for n in (250, 500, 1000, 2000):
        x, w = np.ones((n, width), dtype), np.ones((width, width), dtype)
        out = np.empty_like(x)
        rates.append(2 * n * width**2 / _best(lambda x=x, w=w, out=out: np.matmul(x, w, out=out)))
    return max(rates)


def _tanh_rate(width: int, dtype: str) -> float:
    x = np.random.default_rng(0).standard_normal((1000, width)).astype(dtype)
    out = np.empty_like(x)
    return x.size / _best(lambda: np.tanh(x, out=out))
