"""Heat equation whose solution oscillates at all frequencies up to a highest one (arXiv 2308.06672)."""

from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["Multifrequency"]


class Multifrequency(ExactProblem):
    """u_t - u_xx = f on [-1, 1] x [0, 1], with u = sin(frequency pi t / (1 + 9 x^2))."""

    coordinates = ("x", "t")
    domain = {"x": (-1, 1), "t": (0, 1)}
    parameters = {"frequency": Parameter(20, above=0)}
    conditions = (
        Condition("initial", {"t": 0}),
        Condition("boundary", {"x": -1}),
        Condition("boundary", {"x": 1}),
    )

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""
        return sympy.sin(p.frequency * sympy.pi * t / (1 + 9 * x**2))

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The heat operator."""
        return u.t - u.xx

    @staticmethod
    def lift(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """Meets the conditions."""
        return sympy.sin(p.frequency * sympy.pi * t / 10)

    @staticmethod
    def vanishing(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """Vanishes where the conditions are given."""
        return t * (1 - x**2)
