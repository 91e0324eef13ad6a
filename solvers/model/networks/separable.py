"""Separable network: a sum of products of functions of one coordinate (SPINN: Cho et al., arXiv 2306.15969)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import numpy as np

from solvers.model.jets import Jet, Layout, Ops
from solvers.model.networks.base import Biases, Network, Weights, initial_layers, layer_shapes

__all__ = ["Separable"]


@dataclass(frozen=True)
class Separable(Network):
    """u(z) = sum_r prod_k f_kr(z_k), where f_k are the ``rank`` outputs of a network of the coordinate z_k alone,
    with ``depth`` hidden tanh layers of ``width`` units and a linear output.

    The paper evaluates it on products of grids, where N^d points take N d evaluations of the networks, with
    forward-mode derivatives. Here points are scattered: every network is evaluated at every point, and what
    remains of the saving is that a network carries the derivatives along its own coordinate alone.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    rank: int
    width: int
    depth: int
    weights: Weights = "truncated-xavier"
    biases: Biases = "zero"

    def __post_init__(self) -> None:
        if self.rank < 1 or self.width < 1 or self.depth < 1:
            raise ValueError(f"rank {self.rank}, width {self.width} and depth {self.depth} must be at least 1")

    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """``axis0.layer0.weight`` (1, width), ``axis0.layer0.bias`` (width,), ..., ``axis1.layer0.weight``, ..."""
        own = layer_shapes([1, *[self.width] * self.depth, self.rank])
        return {f"axis{k}.{name}": shape for k in range(dimension) for name, shape in own.items()}

    def initialise(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Xavier weights and the chosen biases."""
        return initial_layers(self.shapes(dimension), rng, self.weights, self.biases)

    def features(self, frozen: Mapping[str, Any], inputs: Jet, ops: Ops) -> tuple[Jet, ...]:
        """Each coordinate, with the channels that do not vanish on it."""
        return tuple(inputs.coordinates([k]) for k in range(inputs.value.shape[1]))

    def forward(self, parameters: Mapping[str, Any], features: Sequence[Jet], layout: Layout, ops: Ops) -> Jet:
        """The networks of the coordinates, their product, and the sum over the rank."""

        def factor(k: int, jet: Jet) -> Jet:
            for i in range(self.depth):
                name = f"axis{k}.layer{i}"
                jet = jet.tanh_layer(parameters[f"{name}.weight"], parameters[f"{name}.bias"], ops)
            name = f"axis{k}.layer{self.depth}"
            return jet.affine(parameters[f"{name}.weight"], parameters[f"{name}.bias"], ops)

        factors = [factor(k, jet) for k, jet in enumerate(features)]
        product = reduce(lambda one, other: one.times(other, layout, ops), factors).within(layout)
        return Jet(product.value.sum(1)[:, None], tuple(part.sum(1)[:, None] for part in product.parts), layout)
