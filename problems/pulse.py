"""Poisson equation whose solution is a narrow ridge (arXiv 2308.06672, "dramatic variations in different
subdomains"): the residual of u = 0 is nine orders of magnitude larger in the ridge than beside it.
"""

from types import SimpleNamespace
from typing import Any

import sympy

from problems.base import Condition, ExactProblem, Parameter
from problems.derivatives import Derivatives

__all__ = ["Pulse"]


class Pulse(ExactProblem):
    """u_tt + u_xx = f on [0, 1]^2, with u = (1000 + x^2) exp(-(t - 1/2)^2 / (2 h^2)) + 1.

    t is a space coordinate here.
    """

    coordinates = ("x", "t")
    domain = {"x": (0, 1), "t": (0, 1)}
    parameters = {"h": Parameter(0.02, above=0)}
    conditions = (
        Condition("boundary", {"x": 0}),
        Condition("boundary", {"x": 1}),
        Condition("boundary", {"t": 0}),
        Condition("boundary", {"t": 1}),
    )

    @staticmethod
    def exact(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
        """The exact solution."""
        return (1000 + x**2) * sympy.exp(-((t - sympy.Rational(1, 2)) ** 2) / (2 * p.h**2)) + 1

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The Laplacian."""
        return u.tt + u.xx
