"""Multi-scale Fourier-feature network (Wang, Wang and Perdikaris 2021; MFF in arXiv 2308.06672)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, Literal

import numpy as np

from solvers.model.jets import Jet, Layout, Ops, join
from solvers.model.networks.base import Biases, Network, Weights, initial_layers

__all__ = ["FourierMap", "Mff"]


@dataclass(frozen=True)
class FourierMap:
    """One map phi(z) = [sin(z W), cos(z W)] of some of the scaled coordinates z, W ~ N(0, sigma^2) frozen.

    ``axes`` are positions in the problem's coordinates. No 2 pi: sigma means what it means on the scaled inputs.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    axes: list[int]
    sigma: float

    def __post_init__(self) -> None:
        if not self.axes or len(set(self.axes)) < len(self.axes) or min(self.axes) < 0:
            raise ValueError(f"axes {self.axes} must be different positions of coordinates")
        if not self.sigma > 0:
            raise ValueError(f"sigma {self.sigma} must be greater than 0")


@dataclass(frozen=True)
class Mff(Network):
    """Fourier maps ``width`` wide, ``depth`` hidden tanh layers whose weights all maps share, then the maps'
    results merged, by element-wise product or side by side, and a linear output."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    width: int
    depth: int
    maps: list[FourierMap]
    merge: Literal["product", "concatenate"] = "product"
    weights: Weights = "xavier"
    biases: Biases = "normal"

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2 or self.depth < 1:
            raise ValueError(f"width {self.width} must be even and depth {self.depth} at least 1")
        if not self.maps:
            raise ValueError("maps must name at least one Fourier map")

    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """``hidden0.weight`` (width, width), ``hidden0.bias`` (width,), ..., ``output.weight``, ``.bias``."""
        shapes: dict[str, tuple[int, ...]] = {}
        for i in range(self.depth):
            shapes |= {f"hidden{i}.weight": (self.width, self.width), f"hidden{i}.bias": (self.width,)}
        merged = self.width * (len(self.maps) if self.merge == "concatenate" else 1)
        return shapes | {"output.weight": (merged, 1), "output.bias": (1,)}

    def initialise(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Xavier weights and the chosen biases."""
        return initial_layers(self.shapes(dimension), rng, self.weights, self.biases)

    def frozen(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """``frequencies0`` (axes of map 0, width / 2), ...; ``ValueError`` for an axis the problem lacks."""
        for fourier in self.maps:
            if max(fourier.axes) >= dimension:
                raise ValueError(f"axes {fourier.axes} of a Fourier map: the problem has {dimension} coordinates")
        return {
            f"frequencies{i}": fourier.sigma * rng.standard_normal((len(fourier.axes), self.width // 2))
            for i, fourier in enumerate(self.maps)
        }

    def features(self, frozen: Mapping[str, Any], inputs: Jet, ops: Ops) -> tuple[Jet, ...]:
        """The Fourier maps, each with the channels that do not vanish on its axes."""
        return tuple(
            inputs.coordinates(fourier.axes).linear(frozen[f"frequencies{i}"]).sines(ops)
            for i, fourier in enumerate(self.maps)
        )

    def forward(self, parameters: Mapping[str, Any], features: Sequence[Jet], layout: Layout, ops: Ops) -> Jet:
        """Shared hidden layers of each map, merge, linear output."""
        branches = [self._hidden(i, feature, parameters, ops) for i, feature in enumerate(features)]
        merged = self._merged(branches, layout, ops)
        return merged.affine(parameters["output.weight"], parameters["output.bias"], ops)

    def _hidden(self, branch: int, feature: Jet, parameters: Mapping[str, Any], ops: Ops) -> Jet:
        jet = feature
        for i in range(self.depth):
            jet = jet.tanh_layer(parameters[f"hidden{i}.weight"], parameters[f"hidden{i}.bias"], ops)
        return jet

    def _merged(self, branches: Sequence[Jet], layout: Layout, ops: Ops) -> Jet:
        if self.merge == "product":
            return reduce(lambda jet, branch: jet.times(branch, layout, ops), branches).within(layout)
        return join([branch.within(layout) for branch in branches], ops)
