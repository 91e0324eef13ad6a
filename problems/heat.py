"""Heat conduction with a source that peaks at t = 1/2 (arXiv 2308.06672, the heat conduction problem).

The smaller epsilon, the larger the residual beside the initial and boundary terms: their mean squares for
u = 0 differ by 3, 6 and 8 orders of magnitude for epsilon = 0.3, 0.15 and 0.11.
"""

from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["Heat"]


class Heat(ExactProblem):
    """u_t - u_xx = f on [-1, 1] x [0, 1], with u = (1 - x^2) exp(1 / ((2t - 1)^2 + epsilon))."""

    coordinates = ("x", "t")
    domain = {"x": (-1, 1), "t": (0, 1)}
    parameters = {"epsilon": Parameter(0.15, above=0)}
    conditions = (
        Condition("initial", {"t": 0}),
        Condition("boundary", {"x": -1}),
        Condition("boundary", {"x": 1}),
    )

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""
        return (1 - x**2) * sympy.exp(1 / ((2 * t - 1) ** 2 + p.epsilon))

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The heat operator."""
        return u.t - u.xx

    @staticmethod
    def lift(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """Meets the conditions."""
        return (1 - x**2) * sympy.exp(1 / (1 + p.epsilon))

    @staticmethod
    def vanishing(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """Vanishes where the conditions are given."""
        return t * (1 - x**2)
