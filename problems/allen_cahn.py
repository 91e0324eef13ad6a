"""Allen-Cahn equation with thin fronts, in the setting of Raissi, Perdikaris and Karniadakis (2019); its solution
is computed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy
from scipy.integrate import solve_ivp
from scipy.interpolate import RectBivariateSpline

from problems.base import Condition, Parameter, ReferenceProblem, Solution
from problems.derivatives import Derivatives

__all__ = ["AllenCahn"]

FINER = 32
"""Nodes for one node of the solution, to project the initial values."""
STABLE = 5.0
"""Step times the fastest rate of diffusion: the method, explicit and of order 8, is stable up to about 6."""


def _start(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
    """The initial values."""
    return x**2 * sympy.cos(sympy.pi * x)


def _slope(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
    """u_x: the operator of the second periodic condition."""
    return u.x


class AllenCahn(ReferenceProblem):
    """u_t - d u_xx + r (u^3 - u) = 0 on [-1, 1] x [0, 1], periodic in x, with u(x, 0) = x^2 cos(pi x)."""

    coordinates = ("x", "t")
    domain = {"x": (-1, 1), "t": (0, 1)}
    # Less diffusion makes thinner fronts, which need a higher resolution.
    parameters = {"diffusion": Parameter(1e-4, above=5e-5), "reaction": Parameter(5)}
    conditions = (
        Condition("initial", {"t": 0}, data=_start),
        Condition("boundary", {"x": -1}, opposite={"x": 1}),
        Condition("boundary", {"x": -1}, _slope, opposite={"x": 1}),
    )
    resolution = 2048
    accuracy = 1e-5

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The Allen-Cahn operator."""
        return u.t - p.diffusion * u.xx + p.reaction * (u.value**3 - u.value)

    def reference(self, resolution: int) -> Solution:
        """Fourier collocation at ``resolution`` nodes in x, from the projection of the initial values, then a
        spline in x and the root of t.

        The periodic continuation of the initial values has a kink at x = 1. Collocated, it would leave an error
        like the square of the nodes' distance everywhere; projected, it leaves 2e-4 beside the kink, until
        diffusion has rounded that: above ``accuracy`` for t < 0.005 and |x| > 0.998 alone, and 1e-8 in the mean.
        There u - u(x, 0) grows like the root of t.
        """
        x, root = np.linspace(-1, 1, resolution + 1), np.linspace(0, 1, 201)
        k = np.pi * np.arange(resolution // 2 + 1)

        def slope(t: float, u: np.ndarray) -> np.ndarray:
            bent = np.fft.irfft(-(k**2) * np.fft.rfft(u))
            return -self.residual.apply({"": u, "t": 0, "xx": bent}, (x[:-1], t))

        def initial(x: np.ndarray) -> np.ndarray:
            return self.equations[0].target(np.stack([x, 0 * x], axis=1))

        fine = np.linspace(-1, 1, FINER * resolution, endpoint=False)
        start = np.fft.irfft(np.fft.rfft(initial(fine))[: len(k)] / FINER, resolution)
        stable = STABLE / (self.values["diffusion"] * k[-1] ** 2)
        solved = solve_ivp(slope, (0, 1), start, "DOP853", root**2, rtol=1e-10, atol=1e-10, max_step=stable)
        values = np.vstack([solved.y, solved.y[:1]])
        values[:, 0] = initial(x)
        spline = RectBivariateSpline(x, root, values, kx=5, ky=5)
        return lambda points: spline.ev(points[:, 0], np.sqrt(points[:, 1]))
