"""Weights that make the gradients of all terms equally long (Wang et al. 2023, arXiv 2308.08468, algorithm 1)."""

from dataclasses import dataclass

import numpy as np

from solvers.balancing.base import TINY, Observation, Signal, State
from solvers.balancing.lra import Lra

__all__ = ["GradientNorm"]


@dataclass(frozen=True)
class GradientNorm(Lra):
    """L = sum_i lambda_i L_i, where every ``update_every`` steps, with g_i the gradient of L_i,

    lambda_i <- (1 - rate) lambda_i + rate sum_j |g_j| / |g_i|.
    """

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The weights (k,) after one update."""
        norms = np.linalg.norm(observation.gradients, axis=1)
        balanced = norms.sum() / np.maximum(norms, TINY)
        return {"weights": (1 - self.rate) * state["weights"] + self.rate * balanced}, None
