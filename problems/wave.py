"""Two standing waves of different frequency: the wave equation of Wang, Yu and Perdikaris (2022, arXiv
2007.14527), who proposed weights by the neural tangent kernel on it."""

from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["Wave"]


def _velocity(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
    """u_t: the operator of the condition on the initial velocity."""
    return u.t


class Wave(ExactProblem):
    """u_tt - c^2 u_xx = 0 on [0, 1]^2, with u = sin(pi x) cos(c pi t) + sin(a pi x) cos(a c pi t) / 2.

    The initial velocity, zero, is a loss term of its own.
    """

    coordinates = ("x", "t")
    domain = {"x": (0, 1), "t": (0, 1)}
    parameters = {"c": Parameter(2, above=0), "a": Parameter(4, above=0)}
    conditions = (
        Condition("initial", {"t": 0}),
        Condition("velocity", {"t": 0}, _velocity),
        Condition("boundary", {"x": 0}),
        Condition("boundary", {"x": 1}),
    )

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""

        def standing(a: Any) -> sympy.Expr:
            return sympy.sin(a * sympy.pi * x) * sympy.cos(a * p.c * sympy.pi * t)

        return standing(1) + standing(p.a) / 2

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The wave operator."""
        return u.tt - p.c**2 * u.xx
