"""Self-adaptive weights (McClenny and Braga-Neto 2023; SA-PINN in arXiv 2308.06672)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing

__all__ = ["SelfAdaptive"]


@dataclass(frozen=True)
class SelfAdaptive(Balancing):
    """L = sum over the terms of sum_i w_i (lambda_i r_i)^2, minimised in the parameters and, while Adam runs,
    maximised in the multipliers lambda_i of every point by Adam with the same settings. L-BFGS keeps them.

    ``start`` names the terms that have multipliers, with the interval from which they are drawn uniformly; an
    interval [c, c] starts them all at c. Other terms enter unweighted.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    start: dict[str, tuple[float, float]] = field(default_factory=lambda: {"residual": (0.0, 1.0)})

    def __post_init__(self):
        if not self.start:
            raise ValueError("start must name at least one term")
        for term, (low, high) in self.start.items():
            if not 0 <= low <= high:
                raise ValueError(f"start {term}: [{low}, {high}] must be an interval of numbers >= 0")

    @property
    def pointwise(self) -> tuple[str, ...]:
        """The terms named by ``start``."""
        return tuple(self.start)

    def coefficients(
        self, terms: Mapping[str, int], exponents: Mapping[str, float], rng: np.random.Generator
    ) -> np.ndarray:
        """The multipliers at the start."""
        if exponents:
            raise ValueError(f"this balancing takes no exponents, got {dict(exponents)}")
        unknown = sorted(set(self.start) - set(terms))
        if unknown:
            raise ValueError(f"start names terms {unknown} that do not exist; allowed: {list(terms)}")
        return np.concatenate([rng.uniform(*self.start[term], terms[term]) for term in self.start])

    def combine(self, values: Any, coefficients: Any) -> tuple[Any, Any]:
        """The sum of the weighted terms."""
        return values.sum(), values * 0 + 1
