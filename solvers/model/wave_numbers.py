"""How fast a problem varies along each coordinate, known before any training: its forcing, which is close to how
fast the solution does where the operator has constant coefficients, or, without a forcing, its initial values."""

from functools import cache

import numpy as np
import sympy

from problems.base import Equation, Problem
from problems.derivatives import Derivatives

__all__ = ["forcing_wave_numbers", "initial_wave_numbers", "wave_numbers"]

NODES = 2**16
"""In all, the same number along each coordinate: 256 in the plane, where the wave numbers of the paper's problems
differ by less than 1e-5 from those with 1,000."""
DIGITS = 4
"""Significant ones: the last bits of a sine depend on the processor, and initial parameters must not."""
INITIAL = "initial"


def wave_numbers(problem: Problem) -> np.ndarray:
    """Those (d,) of the forcing, or of the initial values if that is zero. ``ValueError`` if there are none."""
    if problem.residual.target_expression != 0:
        return forcing_wave_numbers(problem)
    return initial_wave_numbers(problem)


def forcing_wave_numbers(problem: Problem) -> np.ndarray:
    """kappa_k = rms(d_k f) / rms(f) (d,) of the right-hand side f of the PDE, by the unit of each coordinate.

    The derivatives are SymPy's, the means those over the midpoints of the cells of a uniform grid. ``ValueError``
    if f is zero or not finite.
    """
    return np.array(_measured(type(problem), tuple(problem.values.items())))


def initial_wave_numbers(problem: Problem) -> np.ndarray:
    """kappa_k = rms(d_k g) / rms(g) (d,) of the initial values g, by the unit of each coordinate; along time
    (rms(d_t^m u) / rms(g))^(1/m) at the start, where the PDE, of order m in time, gives the derivative.

    Means as in :func:`forcing_wave_numbers`. ``ValueError`` if there are no initial values, if they are zero, if
    an initial velocity that the PDE asks for is not given, or if the PDE is not solved for the derivative.
    """
    return np.array(_at_the_start(type(problem), tuple(problem.values.items())))


@cache
def _measured(kind: type[Problem], values: tuple[tuple[str, float], ...]) -> tuple[float, ...]:
    problem = kind(**dict(values))
    forcing, points = problem.residual.target_expression, _midpoints(problem)
    own, slopes = _size(problem, forcing, points), _slopes(problem, forcing, points)
    if not (own > 0 and np.isfinite([own, *slopes]).all()):
        state = "zero" if own == 0 else "not finite"
        raise ValueError(f"the right-hand side of the PDE is {state}, so that it has no wave numbers")
    return tuple(_rounded(slope / own) for slope in slopes)


@cache
def _at_the_start(kind: type[Problem], values: tuple[tuple[str, float], ...]) -> tuple[float, ...]:
    problem = kind(**dict(values))
    given = [equation for equation in problem.equations if equation.term == INITIAL and len(equation.where) == 1]
    of_value = next((equation for equation in given if equation.linear == {"": 1.0}), None)
    if of_value is None:
        raise ValueError("the right-hand side of the PDE is zero, and no initial values are given")
    ((time, start),) = of_value.where.items()
    initial, points = _at(of_value, time, start), _midpoints(problem)
    own, slopes = _size(problem, initial, points), _slopes(problem, initial, points)
    if own == 0:
        raise ValueError("the right-hand side of the PDE and the initial values are zero")
    order, derivative = _first_change(problem, initial, time, start)
    slopes[problem.coordinates.index(time)] = own * (_size(problem, derivative, points) / own) ** (1 / order)
    if not np.isfinite([own, *slopes]).all():
        raise ValueError("the initial values, or their derivatives, are not finite")
    return tuple(_rounded(slope / own) for slope in slopes)


def _at(equation: Equation, time: str, start: float) -> sympy.Expr:
    """The data of an equation on the face where ``time`` is ``start``."""
    symbol = equation.problem.symbols[equation.problem.coordinates.index(time)]
    return equation.target_expression.subs(symbol, sympy.nsimplify(start))


def _first_change(problem: Problem, initial: sympy.Expr, time: str, start: float) -> tuple[int, sympy.Expr]:
    """The PDE's order in time, and the derivative of this order at the start, which follows from the PDE."""
    highest = max(problem.residual.derivatives, key=lambda name: name.count(time))
    order, unknown = highest.count(time), sympy.Dummy()
    by_name = dict(zip(problem.coordinates, problem.symbols, strict=True))

    def at_the_start(name: str) -> sympy.Expr:
        if name == highest:
            return unknown
        if time not in name:
            return sympy.diff(initial, *(by_name[letter] for letter in name)) if name else initial
        stated = [e for e in problem.equations if e.linear == {name: 1.0} and e.where == {time: start}]
        if not stated:
            raise ValueError(f"the right-hand side of the PDE is zero, and u_{name} at the start is not given")
        return _at(stated[0], time, start)

    left = sympy.expand(problem.residual.symbolic(Derivatives(problem.coordinates, at_the_start)))
    coefficient = left.coeff(unknown, 1)
    if not order or set(highest) != {time} or coefficient == 0 or (left - coefficient * unknown).has(unknown):
        raise ValueError(f"the right-hand side of the PDE is zero, and it is not to be solved for u_{highest}")
    return order, -left.coeff(unknown, 0) / coefficient


def _slopes(problem: Problem, expression: sympy.Expr, points: np.ndarray) -> list[float]:
    return [_size(problem, sympy.diff(expression, each), points) for each in problem.symbols]


def _size(problem: Problem, expression: sympy.Expr, points: np.ndarray) -> float:
    """The root mean square over ``points`` (N, d)."""
    with np.errstate(all="ignore"):
        return float(np.sqrt((problem.numeric(expression)(points) ** 2).mean()))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _midpoints(problem: Problem) -> np.ndarray:
    """(N, d): nodes at the ends, where a solution often vanishes, would weigh too much."""
    count = round(NODES ** (1 / problem.dimension))
    axis = (np.arange(count) + 0.5) / count
    nodes = np.stack(np.meshgrid(*[axis] * problem.dimension, indexing="ij"), axis=-1)
    return problem.lower + (problem.upper - problem.lower) * nodes.reshape(-1, problem.dimension)
