"""Learning-rate annealing (Wang, Teng and Perdikaris 2021, algorithm 1; LRA in arXiv 2308.06672)."""

from dataclasses import dataclass

import numpy as np

from solvers.balancing.base import TINY, Observation, Signal, State
from solvers.balancing.sum import Sum

__all__ = ["Lra"]


@dataclass(frozen=True)
class Lra(Sum):
    """L = L_r + sum_s lambda_s L_s over the supervised terms s, where every ``update_every`` steps

        lambda_s <- (1 - rate) lambda_s + rate max |dL_r/dW| / mean |d(lambda_s L_s)/dW|,

    the largest entry over all weight matrices W, and the mean over the matrices of the mean entry of each.
    Encoders and biases do not count. The denominator is the gradient of the term as weighted so far, as in the
    authors' code; the residual terms are one sum.
    """

    update_every: int = 1000
    rate: float = 0.1

    def __post_init__(self) -> None:
        if self.update_every < 1:
            raise ValueError(f"update_every {self.update_every} must be at least 1")
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate {self.rate} must lie in (0, 1]")

    @property
    def every(self) -> int | None:
        """``update_every``."""
        return self.update_every

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The weights after one update; those of residual terms stay at one."""
        weights, gradients, places = state["weights"], observation.gradients, observation.matrices
        residual = np.array([term.startswith("residual") for term in observation.terms])
        total = gradients[residual].sum(axis=0)
        largest = max(np.abs(total[place]).max() for place in places)
        means = np.mean([np.abs(gradients[:, place]).mean(axis=1) for place in places], axis=0)
        balanced = largest / np.maximum(weights * means, TINY)  # a term without a gradient: a finite weight
        return {"weights": np.where(residual, weights, (1 - self.rate) * weights + self.rate * balanced)}, None
