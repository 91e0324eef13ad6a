"""Dual balancing, DB-PINN (Zhou et al. 2025, arXiv 2505.11117)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from solvers.balancing.base import TINY, Observation, Signal, State, is_residual
from solvers.balancing.sum import Sum

__all__ = ["DualBalanced"]


@dataclass(frozen=True)
class DualBalanced(Sum):
    """L = L_r + sum_i lambda_i L_i over the supervised terms i. Every ``update_every`` steps, at the n-th update,

        lambda_i <- lambda_i + (H l_i / sum_j l_j - lambda_i) / n,    l_i = L_i / (mean of L_i over the updates),

    where H = sum_i A_i is shared by how hard a term is to lower, and A_i compares its gradient with the residual's
    by the ``statistic``: ``mean`` is max |g_r| / mean |lambda_i g_i|, ``std`` the ratio of standard deviations,
    ``kurt`` that of standard deviations over kurtoses. The residual terms are one sum. As running means, the
    weights come to rest.
    """

    update_every: int = 100
    statistic: Literal["mean", "std", "kurt"] = "mean"

    def __post_init__(self) -> None:
        if self.update_every < 1:
            raise ValueError(f"update_every {self.update_every} must be at least 1")

    @property
    def every(self) -> int | None:
        """``update_every``."""
        return self.update_every

    def init(self, terms: dict[str, int], rng: np.random.Generator) -> State:  # type: ignore[override]
        """The weights (k,), the running means of the terms (k,), and the number of updates (1,)."""
        return super().init(terms, rng) | {"means": np.zeros(len(terms)), "updates": np.zeros(1)}

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The weights after one update; those of residual terms stay."""
        residual = np.array([is_residual(term) for term in observation.terms])
        values, gradients, weights = observation.values, observation.gradients, state["weights"]
        n = state["updates"] + 1
        means = state["means"] + (values - state["means"]) / n
        if residual.all():
            return state | {"means": means, "updates": n}, None
        of_residual = gradients[residual].sum(axis=0)
        own = gradients[~residual] * (weights[~residual, None] if self.statistic == "mean" else 1.0)
        budget = sum(self._size(of_residual, top=True) / max(self._size(g, top=False), TINY) for g in own)
        difficulty = values[~residual] / np.maximum(means[~residual], TINY)
        wanted = budget * difficulty / max(difficulty.sum(), TINY)
        weights = weights.copy()
        weights[~residual] += (wanted - weights[~residual]) / n
        return {"weights": weights, "means": means, "updates": n}, None

    def _size(self, gradient: np.ndarray, top: bool) -> float:
        if self.statistic == "mean":
            return float(np.abs(gradient).max() if top else np.abs(gradient).mean())
        deviation = gradient.std()
        if self.statistic == "std" or deviation == 0:
            return float(deviation)
        return float(deviation / (((gradient - gradient.mean()) / deviation) ** 4).mean())
