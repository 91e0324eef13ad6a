"""Convection of a sine around a circle (Krishnapriyan et al. 2021, arXiv 2109.01050): the larger beta, the more
waves pass any place in the time given, and the sooner a plain network fails."""

import math
from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["Convection"]

END = 2 * math.pi


class Convection(ExactProblem):
    """u_t + beta u_x = 0 on [0, 2 pi] x [0, 1], periodic in x, with u = sin(x - beta t)."""

    coordinates = ("x", "t")
    domain = {"x": (0, END), "t": (0, 1)}
    parameters = {"beta": Parameter(30)}
    conditions = (
        Condition("initial", {"t": 0}),
        Condition("boundary", {"x": 0}, opposite={"x": END}),
    )

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""
        return sympy.sin(x - p.beta * t)

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The operator of convection."""
        return u.t + p.beta * u.x
