"""Weights by the neural tangent kernel (Wang, Yu and Perdikaris 2022)."""

from dataclasses import dataclass

import numpy as np

from solvers.balancing.base import Observation, Signal, State
from solvers.balancing.sum import Sum

__all__ = ["Ntk"]


@dataclass(frozen=True)
class Ntk(Sum):
    """lambda_i = (sum_l tr K_l) / tr K_i, where tr K_i = sum_j |dr_ij/dtheta|^2, every ``update_every`` steps."""

    update_every: int = 100

    @property
    def every(self) -> int | None:
        """``update_every``."""
        return self.update_every

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The weights from the traces as they are now."""
        traces = np.array([observation.row_norms[term].sum() for term in observation.terms])
        return {"weights": traces.sum() / traces}, None
