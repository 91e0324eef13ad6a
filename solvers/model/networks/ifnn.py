"""Improved fully connected network (Wang, Teng and Perdikaris 2021; IFNN in arXiv 2308.06672)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.model.jets import Jet, Layout, Ops
from solvers.model.networks.base import gated, initial_encoders
from solvers.model.networks.dense import Dense

__all__ = ["Ifnn"]


@dataclass(frozen=True)
class Ifnn(Dense):
    """A :class:`Dense` network with two encoders U, V = tanh(z A + c) of the inputs z, and hidden layers
    H <- Z U + (1 - Z) V with Z = tanh(H W + b)."""

    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """Those of :class:`Dense`, then ``u.weight`` (d, width), ``u.bias`` (width,), ``v.weight``, ``v.bias``."""
        return super().shapes(dimension) | self.encoders(dimension)

    def encoders(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """Weights (d, width) and biases (width,) of U and V."""
        weight, bias = (dimension, self.width), (self.width,)
        return {"u.weight": weight, "u.bias": bias, "v.weight": weight, "v.bias": bias}

    def initialise(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """As :class:`Dense`; the encoders' biases are Xavier too, as in the authors' code."""
        return super().initialise(dimension, rng) | initial_encoders(self.encoders(dimension), rng, self.weights)

    def forward(self, parameters: Mapping[str, Any], features: Sequence[Jet], layout: Layout, ops: Ops) -> Jet:
        """Gated layers, then a linear one."""
        (inputs,) = features
        jet = gated(inputs, parameters, ("u", "v"), "layer", self.depth, ops)
        return jet.affine(parameters[f"layer{self.depth}.weight"], parameters[f"layer{self.depth}.bias"], ops)
