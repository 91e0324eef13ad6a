"""Heat conduction in a plate: a problem of one's own, in two directions of space and in time."""

from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["Plate"]


class Plate(ExactProblem):
    """u_t - alpha (u_xx + u_yy) = f on [0, 2] x [0, 1] x [0, 1], with u = exp(-t) sin(pi x) sin(pi y)."""

    coordinates = ("x", "y", "t")
    domain = {"x": (0, 2), "y": (0, 1), "t": (0, 1)}
    parameters = {"alpha": Parameter(0.1, above=0)}
    conditions = (
        Condition("initial", {"t": 0}),
        Condition("boundary", {"x": 0}),
        Condition("boundary", {"x": 2}),
        Condition("boundary", {"y": 0}),
        Condition("boundary", {"y": 1}),
    )

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol, y: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""
        return sympy.exp(-t) * sympy.sin(sympy.pi * x) * sympy.sin(sympy.pi * y)

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The heat operator."""
        return u.t - p.alpha * (u.xx + u.yy)
