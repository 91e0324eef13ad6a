"""Residual-based attention, RBA (Anagnostopoulos et al. 2024, arXiv 2307.00379)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import TINY, Balancing, State, StepObservation
from solvers.plugins import KeyProblem

__all__ = ["Rba"]


@dataclass(frozen=True)
class Rba(Balancing):
    """L = sum over the terms of <(w_j r_j)^2>, where points whose residual stays large weigh more: after each step

        w_j <- ``decay`` w_j + ``rate`` |r_j| / max_l |r_l|

    over the points of each of the ``terms``, from w = 0; others enter as they are. w is below
    ``rate`` / (1 - ``decay``), 1 with the paper's constants, and does not depend on the units of a term.

    L has a small part of the residual at first: of a term whose residuals keep their proportions, w grows as
    1 - ``decay``^t. A line search keeps the w.
    """

    terms: tuple[str, ...] = ("residual",)
    decay: float = 0.999
    rate: float = 1e-3

    changes_each_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("terms must name at least one term")
        if not 0 < self.decay < 1:
            raise ValueError(f"decay {self.decay} must lie in (0, 1)")
        if not self.rate > 0:
            raise ValueError(f"rate {self.rate} must be greater than 0")

    @property
    def pointwise(self) -> tuple[str, ...]:
        """``terms``."""
        return tuple(self.terms)

    @property
    def wants_residuals(self) -> tuple[str, ...]:
        """``terms``."""
        return tuple(self.terms)

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """Zero at every point of ``terms``, (n,) each."""
        for term in self.terms:
            if term not in terms:
                raise KeyProblem("terms", term, f"no such term; allowed: {', '.join(terms)}")
        return {f"multiplier.{term}": np.zeros(terms[term]) for term in self.terms}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The sum of the weighted terms."""
        return values.sum(), values * 0 + 1

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step."""
        after = {}
        for term in self.terms:
            size = xp.abs(seen.residuals[term])
            own = self.rate * size / (xp.amax(size) + TINY)
            after[f"multiplier.{term}"] = self.decay * state[f"multiplier.{term}"] + own
        return after
