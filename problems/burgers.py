"""Burgers' equation with a front of width nu at x = 0: a problem whose solution is computed, not stated.

The setting of Raissi, Perdikaris and Karniadakis (2019) and, long before, of Basdevant et al. (1986).
"""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy
from scipy.integrate import solve_ivp
from scipy.interpolate import RectBivariateSpline

from problems.base import Condition, Parameter, ReferenceProblem, Solution
from problems.derivatives import Derivatives

__all__ = ["Burgers"]


def _sine(p: SimpleNamespace, x: sympy.Symbol, t: sympy.Symbol) -> sympy.Expr:
    """The initial values."""
    return -sympy.sin(sympy.pi * x)


class Burgers(ReferenceProblem):
    """u_t + u u_x - nu u_xx = 0 on [-1, 1] x [0, 1], with u(x, 0) = -sin(pi x) and u(-1, t) = u(1, t) = 0."""

    coordinates = ("x", "t")
    domain = {"x": (-1, 1), "t": (0, 1)}
    parameters = {"nu": Parameter(0.01 / math.pi, above=0.003)}  # a narrower front needs a higher resolution
    conditions = (
        Condition("initial", {"t": 0}, data=_sine),
        Condition("boundary", {"x": -1}),
        Condition("boundary", {"x": 1}),
    )
    resolution = 1024
    accuracy = 1e-6

    @staticmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """The Burgers operator."""
        return u.t + u.value * u.x - p.nu * u.xx

    def reference(self, resolution: int) -> Solution:
        """Fourier collocation at ``resolution`` nodes in x, then a spline. u is odd, so its periodic continuation
        meets the boundary conditions."""
        x, t = np.linspace(-1, 1, resolution, endpoint=False), np.linspace(0, 1, 201)
        k = 1j * np.pi * np.arange(resolution // 2 + 1)

        def slope(t: float, u: np.ndarray) -> np.ndarray:
            spectrum = np.fft.rfft(u)
            derivatives = {"": u, "t": 0, "x": np.fft.irfft(k * spectrum), "xx": np.fft.irfft(k**2 * spectrum)}
            return -self.residual.apply(derivatives, (x, t))

        start = self.equations[0].target(np.stack([x, 0 * x], axis=1))
        solved = solve_ivp(slope, (0, 1), start, t_eval=t, rtol=1e-8, atol=1e-8)
        fine = 4 * np.fft.irfft(np.fft.rfft(solved.y, axis=0), 4 * resolution, axis=0)
        periodic = np.vstack([fine, fine[:1]])
        spline = RectBivariateSpline(np.linspace(-1, 1, len(periodic)), t, periodic, kx=5, ky=5)
        return lambda points: spline.ev(*points.T)
