"""sin z and cos z at once, for the networks whose units are sines."""

import math
from typing import Any

from solvers.model.jets import Ops

__all__ = ["sine_and_cosine"]

PI = (float.fromhex("0x1.921fb544p+1"), float.fromhex("0x1.0b4611a6p-33"), float.fromhex("0x1.3198a2e037073p-68"))
"""Their sum is pi to 119 bits. The first two have 33 bits at most, so that n of them are exact for |n| < 2^20."""
SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(11))
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(12))
"""Taylor's coefficients. On [-pi / 2, pi / 2] what is left out is below 2e-18, of a third derivative 2e-15."""


def sine_and_cosine(z: Any, ops: Ops) -> tuple[Any, Any]:
    """Both of ``z``: by polynomials if it is an array of the array API standard (JAX's, NumPy's), else by ``ops``.

    For each sine of float64 XLA on a CPU, and NumPy, call the C library, which takes ten times as long: two thirds
    of an evaluation of a network of 1,341 parameters. PyTorch has sines of whole vectors.
    """
    if not hasattr(z, "__array_namespace__"):
        return ops.sin(z), ops.cos(z)
    return _by_polynomials(z, z.__array_namespace__())


def _by_polynomials(z: Any, xp: Any) -> tuple[Any, Any]:
    """With z = n pi + r and |r| <= pi / 2, both are (-1)^n times those of r (Cody and Waite 1980). In float64,
    whatever ``z`` has; the absolute error is below 4e-16 for |z| < 1e6. Of an infinite z they are not a number."""
    wide = xp.astype(z, xp.float64)
    n = xp.round(wide / math.pi)
    r = ((wide - n * PI[0]) - n * PI[1]) - n * PI[2]
    sign = 1 - 2 * xp.abs(n - 2 * xp.round(n / 2))
    square = r * r
    sine = sign * (r + r * square * _polynomial(square, SINE[1:]))
    cosine = sign * (1 + square * _polynomial(square, COSINE[1:]))
    return xp.astype(sine, z.dtype), xp.astype(cosine, z.dtype)


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """sum_k c_k x^k."""
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total
