"""Weights by the neural tangent kernel (Wang, Yu and Perdikaris 2022, arXiv 2007.14527, algorithm 1)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from solvers.balancing.base import TINY, Observation, Signal, State
from solvers.balancing.lra import Lra

__all__ = ["Ntk"]


@dataclass(frozen=True)
class Ntk(Lra):
    """L = sum_i lambda_i L_i, where with K_i = J_i J_i', J_i the Jacobian of the residuals r_ij of term i, after
    steps 1, 1 + ``update_every``, ...

        lambda_i <- (1 - rate) lambda_i + rate (sum_l tr K_l) / tr K_i,    tr K_i = sum_j |dr_ij/dtheta|^2.

    This is the paper's, ``kernel: trace``, which its code computes every 100 steps and does not average. ``kernel:
    mean`` has the mean of the diagonal in the place of the trace and the mean over the terms in that of their sum,
    as others have it (Wang et al. 2023, arXiv 2308.08468, with ``rate`` 0.1 every 1,000 steps). With equally many
    points in each term the two differ by one factor for all; else the trace gives a term of n_i points n_i times
    less than the mean.

    The diagonal is that of all points of a term, where the paper's code draws 300: a row of the Jacobian for each
    point has to be made for it.
    """

    update_every: int = 100
    rate: float = 1.0
    kernel: Literal["trace", "mean"] = "trace"

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The weights (k,) after one update."""
        norms = [np.asarray(observation.row_norms[term], dtype=float) for term in observation.terms]
        sizes = np.array([own.sum() if self.kernel == "trace" else own.mean() for own in norms])
        total = sizes.sum() if self.kernel == "trace" else sizes.mean()
        balanced = total / np.maximum(sizes, TINY)
        return {"weights": (1 - self.rate) * state["weights"] + self.rate * balanced}, None
