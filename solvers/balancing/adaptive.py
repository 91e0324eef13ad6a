"""A power far away and a weight nearby, neither chosen for the problem: this suite's rule for MMPINN's powers."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import TINY, Balancing, Observation, Signal, State, is_residual

__all__ = ["Adaptive"]


@dataclass(frozen=True)
class Adaptive(Balancing):
    """L = L_s + sum_r psi(L_r) over the residual terms r, L_s the sum of all supervised terms, with

        psi(L) = L^(1/n)                             where its slope is below kappa,
        psi(L) = L*^(1/n) + kappa (L - L*)           below L* = (n kappa)^(n / (1 - n)), where it would exceed it,

    a continuously differentiable function, so that one level serves where MMPINN has several. Far away it is the
    paper's (1, n), which neither drowns the conditions in a large residual nor forgets the residual for them; near
    the solution, where the slope of a root grows without end, the residual has the weight kappa.

    An error of the network that has its own frequencies is to the residual that it makes as the network is to
    what the operator makes of it: mean u^2 / mean N(u)^2, over the residual points. An error of the domain's own
    length has a ratio of about one. ``share`` says where between them kappa is, on a scale of logarithms:

        kappa = (mean u^2 / mean N(u)^2)^share.

    It is measured after steps 1, 1 + ``update_every``, ... of a first-order optimizer and between the stages of a
    level; a line search has one fixed function. Before the first of these kappa is without limit.
    """

    exponent: float = 3.0
    share: float = 0.5
    update_every: int = 100

    changes_between_stages: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.exponent > 1:
            raise ValueError(f"exponent {self.exponent} must be greater than 1")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share {self.share} must lie in [0, 1]")
        if self.update_every < 1:
            raise ValueError(f"update_every {self.update_every} must be at least 1")

    @property
    def key(self) -> Hashable:
        """The exponent is in the state; the rest is read between steps."""
        return "adaptive"

    @property
    def every(self) -> int | None:
        """``update_every``."""
        return self.update_every

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """``supervised`` (k,) is one for the terms in L_s; ``member`` (g, k) has a row for each residual term;
        ``power`` (1,) is 1 / n, ``cap`` (1,) kappa."""
        residuals = [term for term in terms if is_residual(term)]
        return {
            "supervised": np.array([float(term not in residuals) for term in terms]),
            "member": np.array([[float(term == residual) for term in terms] for residual in residuals]),
            "power": np.array([1.0 / self.exponent]),
            "cap": np.array([1.0 / TINY]),
        }

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """L_s + sum psi(L_r); the weights are 1 and the slopes of psi."""
        power, cap = state["power"], state["cap"]
        least = ((cap / power) ** (1 / (power - 1))).clip(TINY)
        residuals = state["member"] @ values
        far, above = residuals > least, xp.where(residuals > least, residuals, least)
        psi = xp.where(far, above**power, least**power + cap * (residuals - least))
        slope = xp.where(far, power * above ** (power - 1), cap)
        supervised = state["supervised"]
        return (supervised * values).sum() + psi.sum(), supervised + slope @ state["member"]

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The state with kappa of the network as it is."""
        residuals, targets, solution = observation.residuals, observation.targets, observation.solution
        names = [term for term in observation.terms if is_residual(term)]
        u = np.concatenate([solution[name] for name in names]).astype(float)
        operator = np.concatenate([residuals[name] + targets[name] for name in names]).astype(float)
        gain = (np.mean(u**2) + TINY) / (np.mean(operator**2) + TINY)
        return state | {"cap": np.array([gain**self.share])}, None

    def between_stages(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """As :meth:`update`."""
        return self.update(state, observation)
