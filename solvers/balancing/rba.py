"""Residual-based attention, RBA (Anagnostopoulos et al. 2024, arXiv 2307.00379)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.balancing._pointwise import Pointwise
from solvers.balancing.base import TINY, State, StepObservation

__all__ = ["Rba"]


@dataclass(frozen=True)
class Rba(Pointwise):
    """L = sum over the terms of <(w_j r_j)^2>, where points whose residual stays large weigh more: after each step

        w_j <- ``decay`` w_j + ``rate`` |r_j| / max_l |r_l|

    over the points of each of the ``terms``, from w = 0; others enter as they are. w is below
    ``rate`` / (1 - ``decay``), 1 with the paper's constants, and does not depend on the units of a term.

    L has a small part of the residual at first: of a term whose residuals keep their proportions, w grows as
    1 - ``decay``^t. A line search keeps the w.
    """

    decay: float = 0.999
    rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.decay < 1:
            raise ValueError(f"decay {self.decay} must lie in (0, 1)")
        if not self.rate > 0:
            raise ValueError(f"rate {self.rate} must be greater than 0")

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """Zero at every point of ``terms``, (n,) each."""
        return self.filled("multiplier", 0, terms)

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step."""
        after = {}
        for term in self.terms:
            size = xp.abs(seen.residuals[term])
            own = self.rate * size / (xp.amax(size) + TINY)
            after[f"multiplier.{term}"] = self.decay * state[f"multiplier.{term}"] + own
        return after
