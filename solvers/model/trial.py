"""Trial functions: what turns the network N into u."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from problems.base import Problem
from solvers.model.jets import Jet, Layout, Ops

__all__ = ["TRIALS", "HardConstraint", "channel_expression", "trial_for"]

TRIALS = ("identity", "hard-constraint")


def channel_expression(
    layout: Layout, k: int, expression: sympy.Expr, symbols: tuple[sympy.Symbol, ...]
) -> sympy.Expr:
    """Channel k of a layout applied to a SymPy expression: sum_i b_i d_i + sum_ij a_ij d_i d_j of it."""
    total = sympy.Integer(0)
    for i, coefficient in layout[k].first:
        total += sympy.nsimplify(coefficient) * sympy.diff(expression, symbols[i])
    for i, j, coefficient in layout[k].quadratic:
        (first, _), (second, _) = layout[i].first[0], layout[j].first[0]
        total += sympy.nsimplify(coefficient) * sympy.diff(expression, symbols[first], symbols[second])
    return total


@dataclass(frozen=True)
class HardConstraint:
    """u = lift + vanishing * N: the conditions hold whatever the network N is.

    Both factors come from the problem, as SymPy expressions; their channels are computed once for the points.
    """

    problem: Problem

    @property
    def _factors(self) -> tuple[sympy.Expr, sympy.Expr]:
        factors = self.problem.hard_constraint
        if factors is None:
            raise ValueError(f"{type(self.problem).__name__} states no lift and vanishing factor")
        return factors

    def arrays(self, points: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
        """``lift`` and ``vanishing`` (N, 1 + C): value and channels at ``points`` (N, d)."""
        return {
            name: np.stack([function(points) for function in self._channels(expression, layout)], axis=1)
            for name, expression in zip(("lift", "vanishing"), self._factors, strict=True)
        }

    def _channels(self, expression: sympy.Expr, layout: Layout) -> list[Callable[[np.ndarray], np.ndarray]]:
        symbols = self.problem.symbols
        derived = [channel_expression(layout, k, expression, symbols) for k in range(len(layout))]
        return [self.problem.numeric(each) for each in (expression, *derived)]

    def jet(self, network: Jet, arrays: Mapping[str, Any], ops: Ops) -> Jet:
        """The jet of u (n, 1) from that of N and the arrays of the same points."""

        def given(name: str) -> Jet:
            columns = [arrays[name][:, k : k + 1] for k in range(1 + len(network.layout))]
            return Jet(columns[0], tuple(columns[1:]), network.layout)

        return given("vanishing").times(network, network.layout, ops, plus=given("lift"))

    def value(self, network: np.ndarray, points: np.ndarray) -> np.ndarray:
        """u (N,) from N (N,) at ``points`` (N, d), in the precision of N."""
        arrays = self.arrays(points, ())
        u = arrays["lift"][:, 0] + arrays["vanishing"][:, 0] * network
        return u.astype(network.dtype)


def trial_for(name: str, problem: Problem) -> HardConstraint | None:
    """The trial function called ``name``; ``None`` is u = N.

    Raises ``ValueError`` if the problem states no lift and vanishing factor.
    """
    if name == "identity":
        return None
    if problem.hard_constraint is None:
        raise ValueError(f"{type(problem).__name__} states no lift and vanishing factor for a hard constraint")
    return HardConstraint(problem)
