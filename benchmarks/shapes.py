"""The shapes that are timed: problem, network, points and parameters of an experiment at the paper's scale."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np

from problems.base import Problem
from solvers import backends
from solvers.backends import Backend
from solvers.balancing.base import State
from solvers.balancing.sum import Sum
from solvers.configuration.assembly import build_model, collocation_points, initial_parameters
from solvers.configuration.catalogue import Catalogue
from solvers.configuration.spec import RunSpec
from solvers.model.jets import numpy_ops
from solvers.model.networks.base import unflatten
from solvers.model.terms import CollocationPoints, Model, build_terms
from solvers.training.loss import Loss

__all__ = ["SHAPES", "Shape", "alternate", "floor_seconds", "operations", "quartiles"]

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
    def collocation(self) -> list[CollocationPoints]:
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
        return backends.load(name)(self.model, build_terms(self.collocation), dtype, chunk_size=chunk_size)

    def loss(self, name: str, dtype: str, chunk_size: int | None = None) -> tuple[Loss, State]:
        """Our terms under the plain sum, and the state of that rule."""
        loss = Loss(self.backend(name, dtype, chunk_size), Sum())
        return loss, loss.initial_state(np.random.default_rng(0))


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
    """Seconds of each call of each contender, taken in turns, until ``rounds`` or ``seconds`` are used up.

    Each call follows an untimed one of its own, as in training: directly after another contender, and its memory,
    it takes up to 1.5 times as long.
    """
    for call in contenders.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    end = time.perf_counter() + seconds
    for done in itertools.count(1):
        for name, call in contenders.items():
            call()
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
        if done >= rounds or (done >= 5 and time.perf_counter() > end):
            return times


def quartiles(times: list[float]) -> list[float]:
    """Lower quartile, median, upper quartile."""
    return [float(q) for q in np.percentile(times, [25, 50, 75])]


class _Recorded(np.ndarray):
    """An array that notes the matrix products and tanh calls it takes part in; so do the results."""

    notes: ClassVar[list[tuple[str, int, int, int]]] = []

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        result = getattr(ufunc, method)(*(np.asarray(each) for each in inputs), **options)
        if ufunc is np.matmul:
            x, weight = inputs
            kind = "product" if isinstance(x, _Recorded) else "first product"
            self.notes.append((kind, len(x), *weight.shape))
        elif ufunc is np.tanh:
            self.notes.append(("tanh", *result.shape, 1))
        return result.view(_Recorded)


def operations(shape: Shape) -> Counter[tuple[str, int, int]]:
    """Rows of every matrix product, by kind and the size of its matrix, and of tanh by its width, of one forward
    sweep over all points: noted while the network runs on NumPy arrays. A ``first product`` is one whose input
    depends on no parameter."""
    model, counts = shape.model, Counter()
    parameters = {n: a.view(_Recorded) for n, a in unflatten(shape.theta("float64"), model.shapes).items()}
    for term in build_terms(shape.collocation):
        for constraint in term.constraints:
            _Recorded.notes.clear()
            model.output(
                constraint.points, constraint.layout, parameters, model.constants(constraint.layout), numpy_ops
            )
            for kind, rows, *size in _Recorded.notes:
                counts[kind, *size] += rows
    return counts


def floor_seconds(shape: Shape, dtype: str) -> float:
    """Time of the same matrix products and tanh calls alone, each at the best rate that NumPy has in cache.

    Forward, by the weights and, but for a first product, by the input; the points of the conditions count too.
    Sines, products of branches, the activation's derivatives and sums are free.
    """
    total = 0.0
    for (kind, *size), rows in operations(shape).items():
        row = _tanh_seconds(size[0], dtype) if kind == "tanh" else _product_seconds(*size, kind, dtype)
        total += rows * row
    return total


def _best(call: Callable[[], object], repeat: int = 40) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@cache
def _product_seconds(inner: int, outer: int, kind: str, dtype: str) -> float:
    """Seconds for one row of (n, inner) @ (inner, outer), forward and backward, at the best n."""
    times = []
    for n in (250, 500, 1000, 2000):
        x, w, z = (np.ones(size, dtype) for size in ((n, inner), (inner, outer), (n, outer)))
        forward, by_weights, by_input = np.empty_like(z), np.empty_like(w), np.empty_like(x)
        seconds = _best(lambda x=x, w=w, out=forward: np.matmul(x, w, out=out))
        seconds += _best(lambda x=x, z=z, out=by_weights: np.matmul(x.T, z, out=out))
        if kind == "product":
            seconds += _best(lambda z=z, w=w, out=by_input: np.matmul(z, w.T, out=out))
        times.append(seconds / n)
    return min(times)


@cache
def _tanh_seconds(width: int, dtype: str) -> float:
    """Seconds for one row of tanh."""
    x = np.random.default_rng(0).standard_normal((1000, width)).astype(dtype)
    out = np.empty_like(x)
    return _best(lambda: np.tanh(x, out=out)) / len(x)
