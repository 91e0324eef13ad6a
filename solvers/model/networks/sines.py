"""Fully connected network whose first layer has the frequencies of the problem, and whose last hidden layer may be
sines of learned phases."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Discriminator, Tag

from problems.base import Problem
from solvers.model.jets import Jet, Layout, Ops
from solvers.model.networks._sines import sine_and_cosine
from solvers.model.networks.base import Network, Weights, layer_shapes, xavier
from solvers.model.wave_numbers import wave_numbers
from solvers.plugins import KeyProblem

__all__ = ["OfForcing", "Sines"]


@dataclass(frozen=True)
class OfForcing:
    """sigma_k = ``forcing`` kappa_k, where kappa_k are the wave numbers of the problem's right-hand side, or of
    its initial values if that is zero (:func:`solvers.model.wave_numbers.wave_numbers`), in the scaled
    coordinates."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    forcing: float

    def __post_init__(self) -> None:
        if not self.forcing > 0:
            raise KeyProblem("forcing", self.forcing, "must be greater than 0")


def _form(given: Any) -> str | None:
    if isinstance(given, list):
        return "list"
    return "mapping" if isinstance(given, dict | OfForcing) else None


# A plain union would complain of what the first member lacks, whichever form is meant.
Frequencies = Annotated[
    Annotated[list[float], Tag("list")] | Annotated[OfForcing, Tag("mapping")],
    Discriminator(
        _form,
        custom_error_type="frequencies",
        custom_error_message="must be a list of numbers, one for each coordinate, or {forcing: a factor}",
    ),
]


@dataclass(frozen=True)
class Sines(Network):
    """``depth`` hidden layers of ``width`` units, then, if ``phases`` is not 0, so many units sin(h W + b) of the
    last of them, h: sines whose phases are learned functions of the coordinates. The output is ``scale`` times a
    linear function of the last hidden layer. The first layer is of sines or tanh (``first``), the others tanh.

    ``frequencies`` are the standard deviations sigma_k of the first layer's weights W_1[k, :] by scaled
    coordinate: numbers, or ``{forcing: 0.5}`` for half the forcing's wave numbers (without a forcing those of the
    initial values), of which none counts as less than ``wave_numbers_at_least``. A coordinate on which the forcing
    hardly depends would else be lost: with frequencies near zero no unit of that layer changes along it.

    The biases of the first layer are then uniform: on [-pi, pi] for sines, and for tanh on [-1, 1] times
    sum_k |W_1[k, :]|, so that every unit bends within the domain. Without frequencies that layer starts like the
    others: Xavier weights, biases zero. The weights of the phases start at ``phase_scale`` times Xavier's, their
    biases uniform on [-pi, pi].
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    width: int
    depth: int
    first: Literal["sine", "tanh"] = "sine"
    frequencies: Frequencies | None = None
    wave_numbers_at_least: float = 0.0
    phases: int = 0
    phase_scale: float = 1.0
    scale: float = 1.0
    weights: Weights = "truncated-xavier"

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 1:
            raise ValueError(f"width {self.width} and depth {self.depth} must be at least 1")
        if self.phases < 0:
            raise KeyProblem("phases", self.phases, "must be 0, which is none, or more")
        if not 0 <= self.wave_numbers_at_least < np.inf:
            raise KeyProblem("wave_numbers_at_least", self.wave_numbers_at_least, "must be a number, 0 or more")
        for name in ("phase_scale", "scale"):
            if not getattr(self, name) > 0:
                raise KeyProblem(name, getattr(self, name), "must be greater than 0")
        if isinstance(self.frequencies, list) and not (self.frequencies and min(self.frequencies) >= 0):
            raise KeyProblem("frequencies", self.frequencies, "must be numbers >= 0, one for each coordinate")

    def adapted(self, problem: Problem, scale: np.ndarray) -> "Sines":
        """With the forcing's wave numbers, or the initial values', in numbers."""
        if not isinstance(self.frequencies, OfForcing):
            if self.frequencies is not None and len(self.frequencies) != problem.dimension:
                needed = f"needs a number for each of {list(problem.coordinates)}"
                raise KeyProblem("frequencies", self.frequencies, needed)
            return self
        try:
            numbers = wave_numbers(problem)
        except ValueError as error:
            needed = f"{error}; give a list with a number for each of {list(problem.coordinates)}"
            raise KeyProblem("frequencies.forcing", self.frequencies.forcing, needed) from None
        numbers = np.maximum(numbers / scale, self.wave_numbers_at_least)
        return replace(self, frequencies=(self.frequencies.forcing * numbers).tolist())

    def _sizes(self, dimension: int) -> list[int]:
        return [dimension, *[self.width] * self.depth, *([self.phases] if self.phases else []), 1]

    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """``layer0.weight`` (d, width), ``layer0.bias`` (width,), ..., the phases and the output the last ones."""
        return layer_shapes(self._sizes(dimension))

    def frequency_arrays(self, dimension: int) -> list[str]:
        """The first layer's weights and, if they are drawn in proportion to these, its biases."""
        if self.frequencies is None:
            return []
        return ["layer0.weight", *(["layer0.bias"] if self.first == "tanh" else [])]

    def initialise(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """As the class says."""
        arrays: dict[str, np.ndarray] = {}
        for i, size in enumerate(itertools.pairwise(self._sizes(dimension))):
            weight, bias = self._first(size, rng) if i == 0 else self._later(i, size, rng)
            arrays |= {f"layer{i}.weight": weight, f"layer{i}.bias": bias}
        return arrays

    def _first(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if self.frequencies is None:
            return self._later(0, size, rng)
        if isinstance(self.frequencies, OfForcing):
            raise LookupError("the frequencies follow from the forcing: ask the network adapted to the problem")
        weight = np.array(self.frequencies)[:, None] * rng.standard_normal(size)
        if self.first == "sine":
            return weight, rng.uniform(-np.pi, np.pi, size[1])
        return weight, rng.uniform(-1, 1, size[1]) * np.abs(weight).sum(axis=0)

    def _later(self, i: int, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        weight = xavier(rng, *size, self.weights)
        if self.phases and i == self.depth:
            return self.phase_scale * weight, rng.uniform(-np.pi, np.pi, size[1])
        return weight, np.zeros(size[1])

    def forward(self, parameters: Mapping[str, Any], features: Sequence[Jet], layout: Layout, ops: Ops) -> Jet:
        """The first layer, tanh layers, the phases, then a linear one."""
        (jet,) = features
        last = self.depth + bool(self.phases)
        for i in range(last):
            weight, bias = parameters[f"layer{i}.weight"], parameters[f"layer{i}.bias"]
            of_sines = self.first == "sine" if i == 0 else i == self.depth
            jet = _sine(jet.affine(weight, bias, ops), ops) if of_sines else jet.tanh_layer(weight, bias, ops)
        weight, bias = parameters[f"layer{last}.weight"], parameters[f"layer{last}.bias"]
        return jet.affine(self.scale * weight, self.scale * bias, ops)


def _sine(jet: Jet, ops: Ops) -> Jet:
    """The jet of sin z."""
    sine, cosine = sine_and_cosine(jet.value, ops)
    return jet.compose(sine, cosine, -sine)
