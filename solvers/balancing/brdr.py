"""Balanced residual decay rates, BRDR (Chen, Howard and Stinis 2025, arXiv 2407.01613)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.balancing._pointwise import Pointwise
from solvers.balancing.base import State, StepObservation

__all__ = ["Brdr"]

SMALL = 1e-14
"""Added to the root mean square that a residual is divided by, as published."""


@dataclass(frozen=True)
class Brdr(Pointwise):
    """L = sum over the terms of <w_j r_j^2>, where points whose residual falls more slowly than that of others
    weigh more: after step n, with M a running mean of r^4,

        M <- ``decay`` M + (1 - ``decay``) r^4,    q = r^2 / sqrt(M / (1 - ``decay``^n)),
        w <- ``rate`` w + (1 - ``rate``) q / mean q,

    the mean over all points of the ``terms`` that are weighted; others enter as they are. Without the global scale
    that the paper adds for its learning rate. q does not depend on the units of a term, and w is one in the mean.
    """

    decay: float = 0.999
    rate: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("decay", "rate"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must lie in (0, 1)")

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """By term sqrt(w) and M (n,), ones and zeros; the number of steps (1,)."""
        return self.filled("multiplier", 1, terms) | self.filled("fourth", 0, terms) | {"steps": np.zeros(1)}

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step."""
        steps, after, rates = state["steps"] + 1, {}, {}
        for term in self.terms:
            square = seen.residuals[term] ** 2
            fourth = self.decay * state[f"fourth.{term}"] + (1 - self.decay) * square**2
            rates[term] = square / (xp.sqrt(fourth / (1 - self.decay**steps)) + SMALL)
            after[f"fourth.{term}"] = fourth
        mean = sum(each.sum() for each in rates.values()) / sum(len(each) for each in rates.values())
        for term, own in rates.items():
            weights = self.rate * state[f"multiplier.{term}"] ** 2 + (1 - self.rate) * own / (mean + SMALL)
            after[f"multiplier.{term}"] = xp.sqrt(weights)
        return after | {"steps": steps}
