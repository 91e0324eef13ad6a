"""Powers that need no choice for a problem: this suite's answer to the paper's question of how to find them."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import TINY, Balancing, Observation, Signal, State, is_residual

__all__ = ["Adaptive"]


@dataclass(frozen=True)
class Adaptive(Balancing):
    """With L_s the sum of all supervised terms and L_g the residual terms, in two phases:

        far:    L = L_s + sum_g L_g^(1/n),
        near:   L = psi(L_s) + sum_g phi(L_g).

    *Far* from the solution the residual has a root and the conditions do not: they are easily met, and with a root
    of their own they would be met to ever more decades while the residual stays where it is. *Near* it they have
    one as well, so that the smaller term is not forgotten, but none that would make them count less: psi is the
    root below L* = n^(n / (1 - n)), where its slope is one, and a line of slope one above. While L_s is above L*,
    phi, too, is a root only where its slope is below kappa, and elsewhere a line of slope kappa:

        kappa = mean u^2 / mean N(u)^2

    over the residual's points, N the operator: the weight with which an error of the network's own frequencies
    counts as much in the residual as in the conditions. Once L_s is below L* phi is the root.

    The phase is *near* once every residual term was seen at ``near`` times its first value. That is looked at,
    with L_s and kappa, after steps 1, 1 + ``update_every``, ... of a first-order optimizer and between the stages
    of a level; a line search has one fixed function.
    """

    exponent: float = 3.0
    near: float = 0.01
    update_every: int = 100

    changes_between_stages: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.exponent > 1:
            raise ValueError(f"exponent {self.exponent} must be greater than 1")
        if not self.near > 0:
            raise ValueError(f"near {self.near} must be greater than 0")
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
        ``power`` (1,) is 1 / n; ``below`` (1,) is L* near the solution and zero far from it; ``cap`` (1,) the
        largest slope of phi; ``start`` (g,) the residual terms as they were first seen."""
        residuals = [term for term in terms if is_residual(term)]
        return {
            "supervised": np.array([float(term not in residuals) for term in terms]),
            "member": np.array([[float(term == residual) for term in terms] for residual in residuals]),
            "power": np.array([1.0 / self.exponent]),
            "below": np.zeros(1),
            "cap": np.array([1 / TINY]),
            "start": np.full(len(residuals), np.inf),
        }

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """psi(L_s) + sum_g phi(L_g); a term's weight is the slope of its part."""
        power, below = state["power"], state["below"]
        supervised = (state["supervised"] * values).sum().clip(TINY)
        groups = (state["member"] @ values).clip(TINY)
        rooted = supervised < below
        psi = xp.where(rooted, supervised**power, below**power + supervised - below)
        slope = xp.where(rooted, power * supervised ** (power - 1), xp.ones_like(below))
        cap = state["cap"]
        least = ((cap / power) ** (1 / (power - 1))).clip(TINY)
        far, above = groups > least, xp.where(groups > least, groups, least)
        roots = xp.where(far, above**power, least**power + cap * (groups - least))
        slopes = xp.where(far, power * above ** (power - 1), cap)
        return (psi + roots.sum()).sum(), slope * state["supervised"] + slopes @ state["member"]

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The state with the phase in which the network is."""
        values = state["member"] @ observation.values
        start = np.where(np.isinf(state["start"]), values, state["start"])
        near = state["below"][0] > 0 or (values <= self.near * start).all()
        below = self.exponent ** (self.exponent / (1 - self.exponent)) if near else 0.0
        cap = 1 / TINY
        if near and state["supervised"] @ observation.values > below:
            cap = _gain(observation)
        return state | {"start": start, "below": np.array([below]), "cap": np.array([cap])}, None

    def between_stages(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """As :meth:`update`."""
        return self.update(state, observation)


def _gain(observation: Observation) -> float:
    """mean u^2 / mean N(u)^2 over the points of the residual."""
    names = [term for term in observation.terms if is_residual(term)]
    u = np.concatenate([observation.solution[name] for name in names]).astype(float)
    operator = [observation.residuals[name] + observation.targets[name] for name in names]
    return float((np.mean(u**2) + TINY) / (np.mean(np.concatenate(operator).astype(float) ** 2) + TINY))
