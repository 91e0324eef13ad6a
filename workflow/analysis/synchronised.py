"""How many power operations bring the terms together, predicted from their sizes and by the gradients."""

import math

__all__ = ["MOST", "number_of_powers", "within_a_decade"]

MOST = 1000
"""No larger number is looked for."""


def within_a_decade(first: float, second: float) -> bool:
    """Whether two positive numbers differ by a factor of ten at most."""
    return abs(math.log10(first) - math.log10(second)) <= 1


def number_of_powers(supervised: float, residual: float, m: float = 1) -> int | None:
    """The smallest whole n for which L_r^(1/n) is within a factor of ten of L_s^(1/m), by docs/convergence.md:
    with a = log10 L_r and b = log10(L_s) / m, the smallest n >= 1 with a <= n (b + 1) and a >= n (b - 1).
    ``None`` if there is none, as no root brings a term past 1, or if a term is not above zero."""
    if not (supervised > 0 and residual > 0):
        return None
    a, b = math.log10(residual), math.log10(supervised) / m
    least = 1.0  # both inequalities as bounds of n, by the signs of their factors
    most = math.inf
    for factor, sign in ((b + 1, 1.0), (b - 1, -1.0)):
        # sign a <= sign n factor
        if factor == 0:
            if sign * a > 0:
                return None
        elif sign * factor > 0:
            least = max(least, a / factor)
        else:
            most = min(most, a / factor)
    n = math.ceil(least)
    return n if n <= most and n <= MOST else None
