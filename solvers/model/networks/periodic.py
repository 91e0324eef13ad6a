"""Fully connected network that is periodic in some coordinates, whatever its weights (Dong and Ni 2021)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from problems.base import Problem
from solvers.model.jets import Jet, Ops, join
from solvers.model.networks.base import layer_shapes
from solvers.model.networks.dense import Dense
from solvers.plugins import KeyProblem

__all__ = ["Periodic"]


@dataclass(frozen=True)
class Periodic(Dense):
    """``depth`` hidden tanh layers of ``width`` units over sin(omega xi), cos(omega xi) of every coordinate named
    in ``coordinates``, omega = 2 pi / (length of the domain in scaled coordinates), and over all others as they
    are: u and all its derivatives are the same on both sides of the domain (arXiv 2007.07442, section 2).

    ``frequencies`` are the omega by coordinate of the problem, 0 where it is not periodic: those of the domain,
    which is one period, if not given.
    """

    coordinates: tuple[str, ...] = ()
    frequencies: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.coordinates:
            raise KeyProblem("coordinates", list(self.coordinates), "must name at least one coordinate")

    def adapted(self, problem: Problem, scale: np.ndarray) -> "Periodic":
        """With the frequencies of the problem's domain."""
        for name in self.coordinates:
            if name not in problem.coordinates:
                allowed = ", ".join(problem.coordinates)
                raise KeyProblem("coordinates", name, f"is no coordinate of the problem; allowed: {allowed}")
        if self.frequencies is not None:
            if [omega > 0 for omega in self.frequencies] != [n in self.coordinates for n in problem.coordinates]:
                needed = f"needs a number for each of {list(problem.coordinates)}, above 0"
                needed += f" for {list(self.coordinates)} alone"
                raise KeyProblem("frequencies", list(self.frequencies), needed)
            return self
        omega = 2 * np.pi / (scale * (problem.upper - problem.lower))
        periodic = np.isin(problem.coordinates, self.coordinates)
        return replace(self, frequencies=tuple(np.where(periodic, omega, 0.0).tolist()))

    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """``layer0.weight`` (d + p, width) of p periodic coordinates, ``layer0.bias`` (width,), ..."""
        return layer_shapes([dimension + len(self.coordinates), *[self.width] * self.depth, 1])

    def frozen(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """``omega`` (p, p): the frequencies of the periodic coordinates on its diagonal."""
        if self.frequencies is None:
            raise LookupError("the frequencies follow from the domain: ask the network adapted to the problem")
        return {"omega": np.diag([omega for omega in self.frequencies if omega])}

    def features(self, frozen: Mapping[str, Any], inputs: Jet, ops: Ops) -> tuple[Jet, ...]:
        """Sines and cosines of the periodic coordinates, then the others."""
        assert self.frequencies is not None
        waves = [i for i, omega in enumerate(self.frequencies) if omega]
        others = [i for i, omega in enumerate(self.frequencies) if not omega]
        parts = [inputs.coordinates(waves).linear(frozen["omega"]).sines(ops)]
        parts += [inputs.coordinates(others)] if others else []
        return (join([part.within(inputs.layout) for part in parts], ops),)
