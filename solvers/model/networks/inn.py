"""Integrated network: Fourier features with the gates of the improved network (INN in arXiv 2308.06672)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.model.jets import Jet, Ops
from solvers.model.networks.base import gated, initial_encoders
from solvers.model.networks.mff import Mff

__all__ = ["Inn"]


@dataclass(frozen=True)
class Inn(Mff):
    """An :class:`Mff` with two encoders U, V = tanh(phi A + c) for each map, and hidden layers
    H <- Z U + (1 - Z) V with Z = tanh(H W + b), whose W and b all maps share."""

    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """Those of :class:`Mff`, then ``u0.weight`` (width, width), ``u0.bias``, ``v0.weight``, ... by map."""
        return super().shapes(dimension) | self.encoders(dimension)

    def encoders(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """Weights (width, width) and biases (width,) of U and V of each map."""
        names = [f"{letter}{i}" for i in range(len(self.maps)) for letter in "uv"]
        square, row = (self.width, self.width), (self.width,)
        return {key: shape for n in names for key, shape in ((f"{n}.weight", square), (f"{n}.bias", row))}

    def initialise(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """As :class:`Mff`; the encoders' biases are Xavier too, as in the authors' code."""
        return super().initialise(dimension, rng) | initial_encoders(self.encoders(dimension), rng, self.weights)

    def _hidden(self, branch: int, feature: Jet, parameters: Mapping[str, Any], ops: Ops) -> Jet:
        return gated(feature, parameters, (f"u{branch}", f"v{branch}"), "hidden", self.depth, ops)
