"""The plain sum of the terms: the loss of the standard PINN."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing

__all__ = ["Sum"]


@dataclass(frozen=True)
class Sum(Balancing):
    """L = sum_i L_i."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def coefficients(
        self, terms: Mapping[str, int], exponents: Mapping[str, float], rng: np.random.Generator
    ) -> np.ndarray:
        """A one for each term; a sum has no exponents."""
        if exponents:
            raise ValueError(f"this balancing takes no exponents, got {dict(exponents)}")
        return np.ones(len(terms))

    def combine(self, values: Any, coefficients: Any) -> tuple[Any, Any]:
        """The sum, each term times its coefficient, and these as the weights."""
        return (coefficients * values).sum(), coefficients
