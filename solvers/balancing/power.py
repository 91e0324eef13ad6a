"""Terms raised to powers so that all are of one magnitude: the loss of MMPINN (arXiv 2308.06672)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import TINY, Balancing

__all__ = ["Power"]


@dataclass(frozen=True)
class Power(Balancing):
    """L = L_s^(1/m) + sum_r L_r^(1/n_r).

    L_s is the sum of all supervised terms (initial and boundary), m the exponent called ``supervised``; each
    residual term has its own exponent under its own name. An exponent not named is 1.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def coefficients(
        self, terms: Mapping[str, int], exponents: Mapping[str, float], rng: np.random.Generator
    ) -> np.ndarray:
        """Row 0: membership in L_s, then one row for each residual term; last column: 1 / exponent."""
        residuals = [term for term in terms if term.startswith("residual")]
        groups = ["supervised", *residuals]
        unknown = sorted(set(exponents) - set(groups))
        if unknown:
            raise ValueError(f"exponents of {unknown} do not exist; allowed: {groups}")
        if any(not exponent > 0 for exponent in exponents.values()):
            raise ValueError(f"exponents {dict(exponents)} must be greater than 0")
        member = [[float(term not in residuals) for term in terms]]
        member += [[float(term == residual) for term in terms] for residual in residuals]
        powers = [[1.0 / exponents.get(group, 1.0)] for group in groups]
        return np.hstack([np.array(member), np.array(powers)])

    def combine(self, values: Any, coefficients: Any) -> tuple[Any, Any]:
        """Sum of powers; the weight of a term is p S^(p - 1) of its group's sum S, with p = 1 / exponent."""
        member, power = coefficients[:, :-1], coefficients[:, -1]
        # The slope at S = 0 is infinite, and times a gradient of zero NaN: below TINY it is that at TINY.
        sums = (member @ values).clip(TINY)
        return (sums**power).sum(), (power * sums ** (power - 1)) @ member
