"""Helmholtz equation with a high frequency in one direction (arXiv 2308.06672)."""

from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["Helmholtz"]


class Helmholtz(ExactProblem):
    """u_xx + u_yy + k^2 u = q on [-1, 1]^2, with u = sin(a1 pi x) sin(a2 pi y)."""

    coordinates = ("x", "y")
    domain = {"x": (-1, 1), "y": (-1, 1)}
    parameters = {"a1": Parameter(1, above=0), "a2": Parameter(8, above=0), "k": Parameter(1)}
    conditions = (
        Condition("boundary", {"x": -1}),
        Condition("boundary", {"x": 1}),
        Condition("boundary", {"y": -1}),
        Condition("boundary", {"y": 1}),
    )

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol, y: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""
        return sympy.sin(p.a1 * sympy.pi * x) * sympy.sin(p.a2 * sympy.pi * y)

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The Helmholtz operator."""
        return u.xx + u.yy + p.k**2 * u.value

    @staticmethod
    def lift(p: SimpleNamespace, x: sympy.Symbol, y: sympy.Symbol) -> sympy.Expr:
        """Meets the conditions."""
        return sympy.Integer(0)

    @staticmethod
    def vanishing(p: SimpleNamespace, x: sympy.Symbol, y: sympy.Symbol) -> sympy.Expr:
        """Vanishes where the conditions are given."""
        return (1 - x**2) * (1 - y**2)
