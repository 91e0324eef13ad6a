"""Fully connected network with tanh activations and a linear output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.model.jets import Jet, Layout, Ops
from solvers.model.networks.base import Biases, Network, Weights, initial_layers, layer_shapes

__all__ = ["Dense"]


@dataclass(frozen=True)
class Dense(Network):
    """``depth`` hidden tanh layers of ``width`` units."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    width: int
    depth: int
    weights: Weights = "truncated-xavier"
    biases: Biases = "zero"

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 1:
            raise ValueError(f"width {self.width} and depth {self.depth} must be at least 1")

    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """``layer0.weight`` (d, width), ``layer0.bias`` (width,), ..."""
        return layer_shapes([dimension, *[self.width] * self.depth, 1])

    def initialise(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Xavier weights and the chosen biases."""
        return initial_layers(self.shapes(dimension), rng, self.weights, self.biases)

    def forward(self, parameters: Mapping[str, Any], features: Sequence[Jet], layout: Layout, ops: Ops) -> Jet:
        """tanh layers, then a linear one."""
        (jet,) = features
        for i in range(self.depth):
            jet = jet.tanh_layer(parameters[f"layer{i}.weight"], parameters[f"layer{i}.bias"], ops)
        return jet.affine(parameters[f"layer{self.depth}.weight"], parameters[f"layer{self.depth}.bias"], ops)
