"""What a network must give."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from solvers.jets import Jet, Ops

__all__ = ["Network", "flatten", "parameter_count", "unflatten", "xavier"]

Shapes = Mapping[str, tuple[int, ...]]


class Network(ABC):
    """A network from d scaled coordinates to one number. A subclass is a dataclass of its sizes."""

    @abstractmethod
    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each trainable array, in the order of the flat parameter vector."""

    @abstractmethod
    def initialise(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Initial values of the trainable arrays, float64."""

    @abstractmethod
    def forward(self, parameters: Mapping[str, Any], inputs: Jet, ops: Ops) -> Jet:
        """The jet of the output (N, 1) from the jet of the scaled coordinates (N, d)."""


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


def parameter_count(shapes: Shapes) -> int:
    """Number of trainable parameters."""
    return sum(int(np.prod(shape)) for shape in shapes.values())


def xavier(rng: np.random.Generator, fan_in: int, fan_out: int, truncated: bool) -> np.ndarray:
    """Weights (fan_in, fan_out) ~ N(0, 2 / (fan_in + fan_out)), if ``truncated`` redrawn beyond two
    standard deviations (Glorot and Bengio 2010; the truncation is TensorFlow's)."""
    drawn = rng.standard_normal((fan_in, fan_out))
    while truncated and (outside := np.abs(drawn) > 2).any():
        drawn[outside] = rng.standard_normal(int(outside.sum()))
    return np.sqrt(2 / (fan_in + fan_out)) * drawn
