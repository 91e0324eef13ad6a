"""What a network must give."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np

from problems.base import Problem
from solvers.model.jets import Jet, Layout, Ops

__all__ = [
    "Biases",
    "Network",
    "Weights",
    "flatten",
    "gated",
    "initial_encoders",
    "initial_layers",
    "layer_shapes",
    "parameter_count",
    "places",
    "unflatten",
    "xavier",
]

Shapes = Mapping[str, tuple[int, ...]]


class Network(ABC):
    """A network from d scaled coordinates to one number. A subclass is a dataclass of its sizes."""

    def adapted(self, problem: Problem, scale: np.ndarray) -> Self:
        """The network with all that follows from the problem put in as numbers; ``scale`` (d,) is that of the
        scaled coordinates, xi = scale (X - shift). By default the network itself.

        Raises :class:`solvers.plugins.KeyProblem` if a setting does not fit the problem.
        """
        return self

    @abstractmethod
    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each trainable array, in the order of the flat parameter vector."""

    @abstractmethod
    def initialise(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Initial values of the trainable arrays, float64."""

    def frozen(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Arrays drawn once and never trained, such as Fourier frequencies; none by default."""
        return {}

    def encoders(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """Those of :meth:`shapes` that belong to encoders, which gate the layers; none by default."""
        return {}

    def layer_weights(self, dimension: int) -> list[str]:
        """Names of the weight matrices of the layers, from the first to the output."""
        encoders = self.encoders(dimension)
        return [n for n, shape in self.shapes(dimension).items() if len(shape) == 2 and n not in encoders]

    def output_layer(self, dimension: int) -> list[str]:
        """Names of the arrays of :meth:`shapes` in which, the others fixed, the output is linear: by default the
        last layer's weights and biases. A network whose last layer is not linear has none."""
        last = self.layer_weights(dimension)[-1]
        return [last, f"{last.removesuffix('weight')}bias"]

    def frequency_arrays(self, dimension: int) -> list[str]:
        """Names of the arrays of :meth:`shapes` whose initial values are proportional to the frequencies of the
        first layer, if such are set; none by default."""
        return []

    def features(self, frozen: Mapping[str, Any], inputs: Jet, ops: Ops) -> tuple[Jet, ...]:
        """What :meth:`forward` starts from and no training changes: jets of functions of the scaled coordinates
        (N, d), from their jet and the ``frozen`` arrays. They are computed once for points that stay the same; by
        default the coordinates themselves."""
        return (inputs,)

    @abstractmethod
    def forward(self, parameters: Mapping[str, Any], features: Sequence[Jet], layout: Layout, ops: Ops) -> Jet:
        """The jet of the output (N, 1) with all channels of ``layout``, from :meth:`features` and the trainable
        arrays by name."""


def flatten(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """All arrays as one vector, in their order."""
    return np.concatenate([np.ravel(array) for array in arrays.values()])


def unflatten(theta: Any, shapes: Shapes) -> dict[str, Any]:
    """Views of the flat vector ``theta`` of any array namespace, by name."""
    arrays, start = {}, 0
    for name, shape in shapes.items():
        stop = start + int(np.prod(shape))
        arrays[name] = theta[start:stop].reshape(shape)
        start = stop
    return arrays


def places(shapes: Shapes, names: Sequence[str]) -> np.ndarray:
    """Where the entries of the arrays called ``names`` stand in the flat vector of all."""
    found = unflatten(np.arange(parameter_count(shapes)), shapes)
    return np.concatenate([found[name].ravel() for name in names] or [np.zeros(0, dtype=int)])


def layer_shapes(sizes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """``layer0.weight`` (sizes[0], sizes[1]), ``layer0.bias`` (sizes[1],), ... of layers one after the other."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i, size in enumerate(pairwise(sizes)):
        shapes |= {f"layer{i}.weight": size, f"layer{i}.bias": size[1:]}
    return shapes


def parameter_count(shapes: Shapes) -> int:
    """Number of trainable parameters."""
    return sum(int(np.prod(shape)) for shape in shapes.values())


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """The shape of a matrix, or of a vector as one row."""
    return (shape[0], shape[1]) if len(shape) == 2 else (1, shape[0])


Weights = Literal["xavier", "truncated-xavier"]
Biases = Literal["zero", "normal"]


def xavier(rng: np.random.Generator, fan_in: int, fan_out: int, kind: Weights) -> np.ndarray:
    """Weights (fan_in, fan_out) ~ N(0, 2 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    ``truncated-xavier`` draws again beyond two standard deviations, as TensorFlow does.
    """
    drawn = rng.standard_normal((fan_in, fan_out))
    while kind == "truncated-xavier" and (outside := np.abs(drawn) > 2).any():
        drawn[outside] = rng.standard_normal(int(outside.sum()))
    return np.sqrt(2 / (fan_in + fan_out)) * drawn


def initial_layers(
    shapes: Shapes, rng: np.random.Generator, weights: Weights, biases: Biases
) -> dict[str, np.ndarray]:
    """Initial values for arrays called ``*.weight`` (fan_in, fan_out) and ``*.bias`` (fan_out,), in order."""
    arrays = {}
    for name, shape in shapes.items():
        if name.endswith(".weight"):
            arrays[name] = xavier(rng, shape[0], shape[1], weights)
        else:
            arrays[name] = rng.standard_normal(shape) if biases == "normal" else np.zeros(shape)
    return arrays


def initial_encoders(shapes: Shapes, rng: np.random.Generator, weights: Weights) -> dict[str, np.ndarray]:
    """Xavier weights and, unusually, biases drawn as Xavier weights (1, width) are."""
    return {name: xavier(rng, *_matrix(shape), weights).reshape(shape) for name, shape in shapes.items()}


def gated(
    inputs: Jet, parameters: Mapping[str, Any], encoders: tuple[str, str], layers: str, depth: int, ops: Ops
) -> Jet:
    """``depth`` layers H <- Z U + (1 - Z) V, Z = tanh(H W + b), from H = ``inputs`` (Wang, Teng and Perdikaris
    2021); U and V are tanh layers of the inputs."""

    def layer(jet: Jet, name: str) -> Jet:
        return jet.tanh_layer(parameters[f"{name}.weight"], parameters[f"{name}.bias"], ops)

    u, v = (layer(inputs, name) for name in encoders)
    difference = u - v
    jet = inputs
    for i in range(depth):
        jet = layer(jet, f"{layers}{i}").times(difference, v.layout, ops, plus=v)
    return jet
