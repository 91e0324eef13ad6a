"""A step along a direction that satisfies the strong Wolfe conditions, by SciPy's two line searches.

The first is that of Moré and Thuente (1994), the second that of Nocedal and Wright (2006, algorithms 3.5 and 3.6),
tried where the first finds nothing: the order of SciPy's own BFGS and of the published self-scaled variants. SciPy
has only the second in public; the first is imported from the module that its ``minimize`` uses.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import line_search
from scipy.optimize._linesearch import line_search_wolfe1

from solvers.optimizers.base import Objective

__all__ = ["DECREASE", "SLOPE", "Found", "wolfe_step"]

DECREASE = 1e-4
"""c1: phi(a) <= phi(0) + c1 a phi'(0)."""
SLOPE = 0.9
"""c2: |phi'(a)| <= c2 |phi'(0)|."""
LONGEST, SHORTEST = 1e100, 1e-100
"""Lengths between which the first search looks: SciPy's BFGS has the same."""
GUESS = 1.01 * 2
"""The first length times the slope, as a share of the last decrease: SciPy's."""
SMALLER, SHORTENED = 0.1, 15
"""The factor between first lengths where the objective is not finite, and how often it is applied at most."""
TRIALS = 30
"""Lengths that the second search tries before it looks between two of them."""


@dataclass(frozen=True)
class Found:
    """Where a search ended: the ``length`` a, parameters theta + a direction (P,), objective and gradient (P,)."""

    length: float
    theta: np.ndarray
    value: float
    gradient: np.ndarray


@dataclass(frozen=True)
class _Line:
    """The objective for a search: in the precision of the backend, infinite where it is not finite."""

    objective: Objective

    def rounded(self, theta: np.ndarray) -> np.ndarray:
        """What the backend makes of ``theta`` (P,), in float64."""
        return theta.astype(self.objective.backend.dtype).astype(float)

    def both(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Objective and gradient (P,); the objective itself keeps what was evaluated last."""
        value, gradient = self.objective(self.rounded(theta))
        if np.isfinite(value) and np.isfinite(gradient).all():
            return value, gradient
        return np.inf, np.zeros_like(gradient)

    def value(self, theta: np.ndarray) -> float:
        """The objective."""
        return self.both(theta)[0]

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """The gradient (P,)."""
        return self.both(theta)[1]


def _first_length(value: float, previous: float | None, down: float) -> float:
    """SciPy's: that of a parabola which falls as far as the last step did, at most 1; the slope is ``down``."""
    length = 1.0 if previous is None else GUESS * (value - previous) / down
    return length if 0 <= length <= 1 else 1.0


def wolfe_step(
    objective: Objective,
    theta: np.ndarray,
    value: float,
    gradient: np.ndarray,
    direction: np.ndarray,
    previous: float | None,
) -> Found | None:
    """A step from ``theta`` (P,), where the objective is ``value`` with ``gradient`` (P,), along ``direction``
    (P,); ``None`` if it leads uphill, if neither search finds a step, or if that is lost in rounding.

    ``previous`` is the objective before the last step, from which the first length is guessed; without it that is
    1. Where objective or gradient are not finite it counts as infinitely high, and the first length is made
    smaller until they are.
    """
    down = float(gradient @ direction)
    if not down < 0:
        return None
    line, guess = _Line(objective), _first_length(value, previous, down)
    lengths = (guess * SMALLER**i for i in range(SHORTENED + 1))
    first = next((length for length in lengths if np.isfinite(line.value(theta + length * direction))), None)
    if first is None:
        return None
    # SciPy takes no first length, but makes one of the objective before the last step: the same to the last bit,
    # so that the evaluation above serves it.
    before = previous if first == guess else value - first * down / GUESS
    given = line.value, line.gradient, theta, direction, gradient, value, before
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        length = line_search_wolfe1(*given, c1=DECREASE, c2=SLOPE, amax=LONGEST, amin=SHORTEST)[0]
        if length is None:
            found = line_search(*given, c1=DECREASE, c2=SLOPE, amax=LONGEST, maxiter=TRIALS)
            # Without a slope the search has run out of trials, and its length satisfies nothing.
            length = found[0] if found[-1] is not None else None
    if length is None:
        return None
    moved = line.rounded(theta + length * direction)
    after, slope = line.both(moved)
    if not np.isfinite(after) or np.array_equal(moved, theta):
        return None
    return Found(float(length), moved, after, slope)
