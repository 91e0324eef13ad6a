"""Poisson's equation on a square, the first test of natural-gradient methods (Müller and Zeinhofer 2023)."""

from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["Poisson2d"]


class Poisson2d(ExactProblem):
    """-(u_xx + u_yy) = f on [0, 1]^2, with u = sin(a pi x) sin(a pi y); a = 1 in arXiv 2302.13163."""

    coordinates = ("x", "y")
    domain = {"x": (0, 1), "y": (0, 1)}
    parameters = {"a": Parameter(1, above=0)}
    conditions = (
        Condition("boundary", {"x": 0}),
        Condition("boundary", {"x": 1}),
        Condition("boundary", {"y": 0}),
        Condition("boundary", {"y": 1}),
    )

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol, y: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""
        return sympy.sin(p.a * sympy.pi * x) * sympy.sin(p.a * sympy.pi * y)

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """Minus the Laplacian."""
        return -(u.xx + u.yy)
