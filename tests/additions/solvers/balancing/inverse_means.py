"""Weights inverse to the running means of the terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing, State, StepObservation

__all__ = ["InverseMeans"]


@dataclass(frozen=True)
class InverseMeans(Balancing):
    """L = sum_i lambda_i L_i, m_i <- ``decay`` m_i + (1 - decay) L_i after every step, from the first L_i, and
    lambda_i = (1 / m_i) / mean_l (1 / m_l), from 1."""

    decay: float = 0.9
    changes_each_step: ClassVar[bool] = True

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """Equal weights, and no step seen."""
        return {"weights": np.ones(len(terms)), "means": np.zeros(len(terms)), "steps": np.zeros(1)}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The weighted sum."""
        return (state["weights"] * values).sum(), state["weights"]

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step."""
        followed = self.decay * state["means"] + (1 - self.decay) * seen.values
        means = xp.where(state["steps"] > 0, followed, seen.values)
        return {"weights": 1 / means / (1 / means).mean(), "means": means, "steps": state["steps"] + 1}
