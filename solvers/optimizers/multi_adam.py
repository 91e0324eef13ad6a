"""MultiAdam: moments of their own for the equation and for the conditions (Yao et al. 2023, arXiv 2306.02816)."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from solvers.backends.base import Array, Backend, Tree
from solvers.balancing.base import is_residual
from solvers.optimizers.adam import Adam
from solvers.optimizers.base import Memory, Transformation

__all__ = ["MultiAdam"]


@dataclass(frozen=True)
class MultiAdam(Adam):
    """With G groups of terms and g_i the sum of the weighted gradients of group i, after every step

        m_i <- ``beta1`` m_i + (1 - ``beta1``) g_i,    v_i <- ``beta2`` v_i + (1 - ``beta2``) g_i^2,
        theta <- theta - rate (1 / G) sum_i m^_i / (sqrt(v^_i) + ``epsilon``),

    m^ and v^ the moments after Adam's correction of their bias. The groups are the residual and the conditions, as
    published, or, with ``groups: term``, the terms one by one. A constant that multiplies the terms of a group
    changes nothing, but for ``epsilon``. What a balancing rule makes of the gradients of all terms together
    (its own direction, or weights that it trains) has no place here.
    """

    beta1: float = 0.99
    beta2: float = 0.99
    groups: Literal["equation", "term"] = "equation"

    by_term: ClassVar[bool] = True

    @property
    def key(self) -> Hashable:
        """Rates and budget are arguments of a compiled step."""
        return "multi-adam", self.beta1, self.beta2, self.epsilon, self.groups

    def members(self, terms: list[str]) -> np.ndarray:
        """One where a term (k) is in a group (G): (G, k)."""
        if self.groups == "term":
            return np.eye(len(terms))
        residual = np.array([is_residual(term) for term in terms])
        return np.array([own for own in (residual, ~residual) if own.any()], dtype=float)

    def transformation(self, backend: Backend) -> Transformation:
        """Over the array namespace."""
        return _Moments(self, backend)


@dataclass(frozen=True)
class _Moments:
    """The first and second moments (G, P) of each group, and the steps made (1,)."""

    optimizer: MultiAdam
    backend: Backend

    def _member(self) -> Array:
        return self.backend.array(self.optimizer.members(self.backend.names))

    def init(self, theta: Array) -> Tree:
        xp = self.backend.xp
        zeros = xp.zeros_like(theta) * self._member()[:, :1]
        return {"first": zeros, "second": zeros, "count": xp.zeros_like(theta[:1])}

    def update(self, theta: Array, direction: Array, memory: Tree, inputs: Any) -> tuple[Array, Tree]:
        own, xp, member = self.optimizer, self.backend.xp, self._member()
        gradients, count = member @ direction, memory["count"] + 1
        first = own.beta1 * memory["first"] + (1 - own.beta1) * gradients
        second = own.beta2 * memory["second"] + (1 - own.beta2) * gradients * gradients
        corrected = xp.sqrt(second / (1 - own.beta2**count)) + own.epsilon
        step = (first / (1 - own.beta1**count) / corrected).sum(0) / len(member)
        return theta - inputs * step, {"first": first, "second": second, "count": count}

    def export(self, memory: Tree) -> dict[str, np.ndarray]:
        return self.backend.numpy(memory)

    def restore(self, theta: Array, kept: Memory) -> Tree:
        return self.backend.array(dict(kept))
