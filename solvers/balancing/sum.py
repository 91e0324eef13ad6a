"""The sum of the terms: the loss of the standard PINN, or with weights chosen beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from solvers.balancing.base import Balancing, State, term_weights

__all__ = ["Sum"]


@dataclass(frozen=True)
class Sum(Balancing):
    """L = sum_i lambda_i L_i. All lambda_i are 1, but for the ``weights`` given by term or, called ``supervised``,
    to all initial and boundary terms; a rule that changes them starts there."""

    weights: dict[str, float] = field(default_factory=dict)

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """The weights (k,)."""
        return {"weights": term_weights(self.weights, list(terms))}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The sum, each term times its weight, and the weights."""
        return (state["weights"] * values).sum(), state["weights"]
