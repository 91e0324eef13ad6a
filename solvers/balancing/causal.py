"""Causal weights: later points count once earlier ones are met (Wang, Sankaran and Perdikaris 2024).

arXiv 2203.07404, Computer Methods in Applied Mechanics and Engineering 421. Written from the paper's formulas. A
notice in the authors' repository says that the method is patented (University of Pennsylvania): whether one may
use it for more than a comparison is for the user to find out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from problems.base import Problem
from solvers.balancing._located import Located
from solvers.balancing.base import RESIDUAL, State, StepObservation
from solvers.balancing.sum import Sum
from solvers.plugins import KeyProblem

__all__ = ["Causal"]


@dataclass(frozen=True)
class Causal(Located, Sum):
    """L = sum_s lambda_s L_s + lambda_r <a_m(j) r_j^2>: the residual's points are sorted by time into ``chunks``
    of one size; with L_m the mean of r^2 in chunk m, and constant for the gradient,

        a_m = exp(-epsilon sum_{l < m} L_l),    a_1 = 1.

    epsilon goes through the ``tolerances``, to the next once every a_m is above ``reached``; the last one stays.
    ``weights`` are the lambda, of one if not given (the authors' code has 1,000 for the initial condition).

    A step's weights are those of the residuals at the step before. The first step, which has none before it, has
    those of residuals without bound: one in the first chunk, zero in all others. A line search keeps the weights
    that it finds.

    Only for problems in time: ``coordinate`` is fixed by a condition where it begins, and by none where it ends.
    """

    tolerances: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)
    reached: float = 0.99
    chunks: int = 32
    coordinate: str = "t"

    changes_each_step: ClassVar[bool] = True
    pointwise: ClassVar[tuple[str, ...]] = (RESIDUAL,)
    wants_residuals: ClassVar[tuple[str, ...]] = (RESIDUAL,)

    def __post_init__(self) -> None:
        if not self.tolerances or self.tolerances[0] <= 0 or any(a >= b for a, b in pairwise(self.tolerances)):
            raise ValueError(f"tolerances {list(self.tolerances)} must be numbers above 0, each above the last")
        if not 0 < self.reached < 1:
            raise ValueError(f"reached {self.reached} must lie in (0, 1)")
        if self.chunks < 1:
            raise ValueError(f"chunks {self.chunks} must be at least 1")

    def check(self, problem: Problem) -> None:
        """The coordinate is a time."""
        name = self.coordinate
        if name not in problem.coordinates:
            known = ", ".join(problem.coordinates)
            raise KeyProblem("coordinate", name, f"is no time: the problem's coordinates are {known}")
        begins, ends = (bounds[problem.coordinates.index(name)] for bounds in (problem.lower, problem.upper))
        fixed = [equation.where[name] for equation in problem.equations if name in equation.where]
        if begins not in fixed or ends in fixed:
            needed = f"must have conditions at its beginning {begins:g} and none at its end {ends:g}"
            raise KeyProblem("coordinate", name, f"is no time: it {needed}")

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """``weights`` (k,); of the n points of the residual ``member`` (m, n), one where a point is in a chunk,
        and the roots of their weights (n,); ``earlier`` (m, m), one below the diagonal; ``tolerances`` (e,) and
        ``epsilon`` (1,)."""
        if RESIDUAL not in terms:
            problem = f"needs the residual in one term, not in groups; there are {', '.join(terms)}"
            raise KeyProblem("name", "causal", problem)
        count, times = terms[RESIDUAL], self.coordinate_of(RESIDUAL, self.coordinate)
        order = np.arange(count) if times is None else np.argsort(times, kind="stable")
        chunks = np.array_split(order, 1 if times is None else min(self.chunks, count))
        member = np.zeros((len(chunks), count))
        for row, chunk in zip(member, chunks, strict=True):
            row[chunk] = 1
        own = {"member": member, f"multiplier.{RESIDUAL}": member[0].copy()}
        own |= {"earlier": np.tril(np.ones((len(chunks), len(chunks))), -1)}
        own |= {"tolerances": np.array(self.tolerances), "epsilon": np.array(self.tolerances[:1])}
        return super().init(terms, rng) | own

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The weights of the next step, and its epsilon."""
        if self.terms_by_name is None:
            raise LookupError("causal weights were not told where the points lie: see balancing._located")
        member, epsilon, tolerances = state["member"], state["epsilon"], state["tolerances"]
        residuals = seen.residuals[RESIDUAL] * xp.ones_like(member[0])  # in the state's precision
        means = (member @ residuals**2) / member.sum(1)
        weights = xp.exp(-epsilon * (state["earlier"] @ means))
        following = xp.amin(xp.where(tolerances > epsilon, tolerances, tolerances[-1]))
        after = xp.where(xp.amin(weights) > self.reached, following, epsilon)
        return state | {f"multiplier.{RESIDUAL}": xp.sqrt(weights @ member), "epsilon": after}
