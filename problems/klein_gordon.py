"""Klein-Gordon equation with a cubic term (arXiv 2308.06672)."""

from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["KleinGordon"]


def _velocity(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
    """u_t: the operator of the condition on the initial velocity."""
    return u.t


class KleinGordon(ExactProblem):
    """u_tt - u_xx + u^3 = f on [0, 1]^2, with u = x cos(a pi t) + (x t)^3."""

    coordinates = ("x", "t")
    domain = {"x": (0, 1), "t": (0, 1)}
    parameters = {"a": Parameter(5, above=0)}
    conditions = (
        Condition("initial", {"t": 0}),
        Condition("initial", {"t": 0}, _velocity),
        Condition("boundary", {"x": 0}),
        Condition("boundary", {"x": 1}),
    )

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""
        return x * sympy.cos(p.a * sympy.pi * t) + (x * t) ** 3

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The Klein-Gordon operator."""
        return u.tt - u.xx + u.value**3

    @staticmethod
    def lift(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """Meets the conditions: the boundary values, linear in between. It is all of the solution but
        (x^3 - x) t^3, which makes what is left to learn far easier than the problem is."""
        return x * (sympy.cos(p.a * sympy.pi * t) + t**3)

    @staticmethod
    def vanishing(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """Vanishes where the conditions are given, in t with its first derivative."""
        return t**2 * x * (1 - x)
