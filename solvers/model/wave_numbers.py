"""How fast the forcing of a problem varies along each coordinate: known before any training, and close to how fast
the solution does where the operator has constant coefficients."""

from functools import cache

import numpy as np
import sympy

from problems.base import Problem

__all__ = ["forcing_wave_numbers"]

NODES = 2**16
"""In all, the same number along each coordinate: 256 in the plane, where the wave numbers of the paper's problems
differ by less than 1e-5 from those with 1,000."""
DIGITS = 4
"""Significant ones: the last bits of a sine depend on the processor, and initial parameters must not."""


def forcing_wave_numbers(problem: Problem) -> np.ndarray:
    """kappa_k = rms(d_k f) / rms(f) (d,) of the right-hand side f of the PDE, by the unit of each coordinate.

    The derivatives are SymPy's, the means those over the midpoints of the cells of a uniform grid. ``ValueError``
    if f is zero or not finite.
    """
    return np.array(_measured(type(problem), tuple(problem.values.items())))


@cache
def _measured(kind: type[Problem], values: tuple[tuple[str, float], ...]) -> tuple[float, ...]:
    problem = kind(**dict(values))
    forcing, points = problem.residual.target_expression, _midpoints(problem)

    def size(expression: sympy.Expr) -> float:
        with np.errstate(all="ignore"):
            return float(np.sqrt((problem.numeric(expression)(points) ** 2).mean()))

    own, slopes = size(forcing), [size(sympy.diff(forcing, each)) for each in problem.symbols]
    if not (own > 0 and np.isfinite([own, *slopes]).all()):
        state = "zero" if own == 0 else "not finite"
        raise ValueError(f"the right-hand side of the PDE is {state}, so that it has no wave numbers")
    return tuple(float(f"{slope / own:.{DIGITS}g}") for slope in slopes)


def _midpoints(problem: Problem) -> np.ndarray:
    """(N, d): nodes at the ends, where a solution often vanishes, would weigh too much."""
    count = round(NODES ** (1 / problem.dimension))
    axis = (np.arange(count) + 0.5) / count
    nodes = np.stack(np.meshgrid(*[axis] * problem.dimension, indexing="ij"), axis=-1)
    return problem.lower + (problem.upper - problem.lower) * nodes.reshape(-1, problem.dimension)
