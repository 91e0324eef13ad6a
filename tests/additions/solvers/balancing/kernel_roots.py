"""Weights that fall with the root of a term's mean row norm, |dr/dtheta|^2."""

from dataclasses import dataclass

import numpy as np

from solvers.balancing.base import Observation, Signal, State
from solvers.balancing.sum import Sum

__all__ = ["KernelRoots"]


@dataclass(frozen=True)
class KernelRoots(Sum):
    """lambda_i = sqrt(max_l kappa_l / kappa_i), kappa_i = mean_j |dr_ij/dtheta|^2, now and then."""

    update_every: int = 100

    @property
    def every(self) -> int | None:
        """``update_every``."""
        return self.update_every

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The weights from the means as they are now."""
        means = np.array([observation.row_norms[term].mean() for term in observation.terms])
        return {"weights": np.sqrt(means.max() / means)}, None
