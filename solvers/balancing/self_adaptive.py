"""Self-adaptive weights (McClenny and Braga-Neto 2023; SA-PINN in arXiv 2308.06672)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from solvers.balancing.base import Balancing, State, StepObservation
from solvers.plugins import KeyProblem

__all__ = ["SelfAdaptive"]


@dataclass(frozen=True)
class SelfAdaptive(Balancing):
    """L = sum over the terms of sum_i w_i (lambda_i r_i)^2, minimised in the parameters and, while a first-order
    optimizer runs, maximised in the multipliers lambda_i of every point by the same optimizer with the same
    settings. A line search keeps them.

    ``start`` names the terms that have multipliers, with the interval from which they are drawn uniformly; an
    interval [c, c] starts them all at c. Other terms enter unweighted.
    """

    start: dict[str, tuple[float, float]] = field(default_factory=lambda: {"residual": (0.0, 1.0)})

    def __post_init__(self) -> None:
        if not self.start:
            raise ValueError("start must name at least one term")
        for term, (low, high) in self.start.items():
            if not 0 <= low <= high:
                raise ValueError(f"start {term}: [{low}, {high}] must be an interval of numbers >= 0")

    @property
    def pointwise(self) -> tuple[str, ...]:
        """The terms named by ``start``."""
        return tuple(self.start)

    @property
    def wants_residuals(self) -> tuple[str, ...]:
        """The same: the slopes along the multipliers are made of the residuals."""
        return self.pointwise

    @property
    def trained(self) -> tuple[str, ...]:
        """All multipliers."""
        return tuple(f"multiplier.{term}" for term in self.start)

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """The multipliers at the start."""
        for term in self.start:
            if term not in terms:
                raise KeyProblem(f"start.{term}", None, f"no such term; allowed: {', '.join(terms)}")
        return {f"multiplier.{term}": rng.uniform(*self.start[term], terms[term]) for term in self.start}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The sum of the weighted terms."""
        return values.sum(), values * 0 + 1

    def trained_gradients(self, seen: StepObservation, state: State, xp: Any) -> list[Any]:
        """Uphill: minus the derivatives 2 w_i lambda_i r_i^2 of the weighted terms by their multipliers."""
        return [
            -(2 * seen.shares[term] * state[f"multiplier.{term}"] * (seen.residuals[term] * seen.residuals[term]))
            for term in self.start
        ]
