"""MMPINN's powers with levels that end as soon as the terms are of one magnitude, not when a budget is spent."""

from dataclasses import dataclass

import numpy as np

from solvers.balancing.base import TINY, Observation, Signal, State, is_residual
from solvers.balancing.power import Power

__all__ = ["ConditionalPower"]


@dataclass(frozen=True)
class ConditionalPower(Power):
    """:class:`~solvers.balancing.power.Power`; a level ends behind the first of its stages at whose end the
    largest of L_s and the residual terms is at most ``within`` times the smallest. So a level is written as
    several short stages."""

    within: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.within >= 1:
            raise ValueError(f"within {self.within} must be at least 1")

    def between_stages(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """``END_LEVEL`` once the terms are of one magnitude."""
        values, residual = observation.values, np.array([is_residual(term) for term in observation.terms])
        sums = np.array([values[~residual].sum(), *values[residual]]) + TINY
        return state, Signal.END_LEVEL if sums.max() <= self.within * sums.min() else None
