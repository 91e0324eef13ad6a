"""Uncertainty weights, lbPINN (Xiang et al. 2021, arXiv 2104.06217, after Kendall, Gal and Cipolla 2018)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.balancing.base import Balancing, State, StepObservation

__all__ = ["Uncertainty"]

LEAST = -20.0
"""No s counts as less: exp(20) is the largest weight, so that float32 holds what it multiplies."""


@dataclass(frozen=True)
class Uncertainty(Balancing):
    """L = 1/2 sum_i (exp(-s_i) L_i + s_i), minimised in the parameters and, while a first-order optimizer runs, in
    the s_i, by the same optimizer with the same settings, from zero. At the optimum s_i = log L_i, and L is half
    the sum of the logarithms of the terms but for a constant. A line search keeps the s_i."""

    @property
    def trained(self) -> tuple[str, ...]:
        """The s_i."""
        return ("log_variance",)

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """s (k,) of zeros."""
        return {"log_variance": np.zeros(len(terms))}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The objective and the weights exp(-s_i) / 2."""
        s = state["log_variance"].clip(LEAST)
        weights = 0.5 * xp.exp(-s) * xp.ones_like(values)  # s may be in float32, the terms are in float64
        return (weights * values).sum() + 0.5 * s.sum(), weights

    def trained_gradients(self, seen: StepObservation, state: State, xp: Any) -> list[Any]:
        """dL/ds_i = (1 - exp(-s_i) L_i) / 2."""
        s = state["log_variance"].clip(LEAST)
        return [0.5 * (1 - xp.exp(-s) * seen.values)]
