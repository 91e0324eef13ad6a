"""Terms raised to powers so that all are of one magnitude: the loss of MMPINN (arXiv 2308.06672)."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from solvers.balancing.base import RESIDUAL, SUPERVISED, TINY, Balancing, State, is_residual, term_weights
from solvers.plugins import KeyProblem

__all__ = ["Power"]


@dataclass(frozen=True)
class Power(Balancing):
    """L = L_s^(1/m) + sum_r L_r^(1/n_r).

    L_s is the sum of all supervised terms (initial and boundary), m the exponent called ``supervised``; each
    residual term has its own exponent under its own name, or that called ``residual``, which is for all groups
    not named. Where neither is given it is 1. ``weights``, by term or of
    all ``supervised`` ones, multiply terms before a power is taken: L_s = sum_i w_i L_i.
    """

    exponents: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, exponent in self.exponents.items():
            if not exponent > 0:
                raise KeyProblem(f"exponents.{name}", exponent, "must be greater than 0")

    @property
    def key(self) -> Hashable:
        """Exponents and weights are in the state: levels share their compiled programs."""
        return "power"

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """``member`` (g, k): row 0 the weights of the terms in L_s, then one row for each residual term; ``power``
        (g,)."""
        residuals = [term for term in terms if is_residual(term)]
        groups = [SUPERVISED, *residuals]
        for name in self.exponents:
            if name not in (*groups, RESIDUAL):
                allowed = ", ".join(dict.fromkeys([*groups, RESIDUAL]))
                raise KeyProblem(f"exponents.{name}", None, f"no such term; allowed: {allowed}")
        of_all = self.exponents.get(RESIDUAL, 1.0)
        exponents = {SUPERVISED: 1.0} | dict.fromkeys(residuals, of_all) | self.exponents
        member = [[float(term not in residuals) for term in terms]]
        member += [[float(term == residual) for term in terms] for residual in residuals]
        return {
            "member": np.array(member) * term_weights(self.weights, list(terms)),
            "power": np.array([1.0 / exponents[group] for group in groups]),
        }

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """Sum of powers; the weight of a term is p S^(p - 1) of its group's sum S, with p = 1 / exponent."""
        member, power = state["member"], state["power"]
        # The slope at S = 0 is infinite, and times a gradient of zero NaN: below TINY it is that at TINY.
        sums = (member @ values).clip(TINY)
        return (sums**power).sum(), (power * sums ** (power - 1)) @ member
