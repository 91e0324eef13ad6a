"""One-dimensional Poisson problem with two frequencies (arXiv 2308.06672, "a typical multi-scale problem").

The residual of u = 0 is of order b^4: 2.5e8 for b = 150, where boundary values are of order one.
"""

from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["Poisson"]


class Poisson(ExactProblem):
    """u_xx = f on [0, 1], with u = sin(a pi x) + 0.1 sin(b pi x) and a, b even."""

    coordinates = ("x",)
    domain = {"x": (0, 1)}
    parameters = {"a": Parameter(4, above=0), "b": Parameter(150, above=0)}
    conditions = (Condition("boundary", {"x": 0}), Condition("boundary", {"x": 1}))

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""
        return sympy.sin(p.a * sympy.pi * x) + sympy.sin(p.b * sympy.pi * x) / 10

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The second derivative."""
        return u.xx

    @staticmethod
    def lift(p: SimpleNamespace, x: sympy.Symbol) -> sympy.Expr:
        """Meets the conditions."""
        return sympy.Integer(0)

    @staticmethod
    def vanishing(p: SimpleNamespace, x: sympy.Symbol) -> sympy.Expr:
        """Vanishes where the conditions are given."""
        return x - x**2
