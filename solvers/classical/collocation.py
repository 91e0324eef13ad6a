"""A spectral solver for a problem's own equations: orthogonal collocation, Newton's method, and a resolution that
grows until the coefficients show no more.

The equation, its derivative by u and the data of the conditions are those of the problem, by SymPy. A linear
equation with constant coefficients is solved directly; any other by Newton's method, each of whose linear
equations is solved by GMRES with the direct solver for the mean coefficients as preconditioner. No exact solution
is used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from typing import Any

import numpy as np
import sympy
from scipy.sparse.linalg import LinearOperator, gmres

from problems.base import Equation, Problem
from problems.derivatives import Recorder
from solvers.classical.bases import Basis, End, Polynomials, Waves
from solvers.classical.kronecker import Direct, along, direct

AT_ONCE = 500
"""Points that are no grid, taken together."""
FORCED, KRYLOV = 1e-8, 120
"""Of GMRES: by how much a residual is to fall in one step of Newton's, in how many iterations at most."""
STEPS, CONVERGED = 30, 1e-6
"""Of Newton's method: steps at most, and the change of u, of its largest value, from which on they may end."""

__all__ = ["Collocation", "Expansion", "Unsuitable"]


class Unsuitable(ValueError):
    """The solver does not know how to solve such a problem; the message says why."""


@dataclass(frozen=True)
class Expansion:
    """A function as a sum of products of basis functions, with coefficients (n_1, ..., n_d)."""

    bases: Sequence[Basis]
    coefficients: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Values at ``points`` (N, d), which may be any, but nodes of a grid are fast: float64 (N,)."""
        lines, places = zip(*(np.unique(column, return_inverse=True) for column in points.T), strict=True)
        if np.prod([len(line) for line in lines], dtype=float) > 4 * len(points) + 1000:
            parts = np.array_split(points, -(-len(points) // AT_ONCE))
            return np.concatenate([self._scattered(part) for part in parts])
        found = _product(self.coefficients, [b.evaluate(line) for b, line in zip(self.bases, lines, strict=True)])
        return found.real[tuple(places)]

    def _scattered(self, points: np.ndarray) -> np.ndarray:
        values = [basis.evaluate(column) for basis, column in zip(self.bases, points.T, strict=True)]
        found = np.tensordot(values[0], self.coefficients, axes=1)
        for value in values[1:]:
            found = np.einsum("pi,pi...->p...", value, found)
        return found.real

    @cached_property
    def tails(self) -> list[float]:
        """Along each coordinate, the largest coefficient of the last eighth over the largest of all."""
        sizes = np.abs(self.coefficients)
        axes = range(sizes.ndim)
        return [_tail(sizes.max(axis=tuple(other for other in axes if other != axis))) for axis in axes]


def _tail(sizes: np.ndarray) -> float:
    largest = float(sizes.max())
    last = max(len(sizes) // 8, 2)
    return float(sizes[-last:].max()) / largest if largest else 0.0


def _normal(equation: Equation, coordinate: str) -> tuple[float, ...]:
    """The weights of u and its normal derivatives in a condition; :class:`Unsuitable` if it has others."""
    linear = equation.linear
    if linear is None or any(set(name) - {coordinate} for name in linear):
        raise Unsuitable(f"a condition on {equation.where} is not linear in u and its derivatives by {coordinate}")
    return tuple(linear.get(coordinate * order, 0.0) for order in range(max(map(len, linear), default=0) + 1))


Conditions = dict[str, list[tuple[Equation, End]]]


def conditions_of(problem: Problem) -> tuple[Conditions, set[str]]:
    """By coordinate, the conditions on its ends; and the coordinates that are periodic. :class:`Unsuitable` if
    there are conditions elsewhere, none at all, or both kinds."""
    found: Conditions = {name: [] for name in problem.coordinates}
    periodic = set()
    for equation in problem.equations[:-1]:
        if len(equation.where) != 1:
            raise Unsuitable(f"a condition is not on a face of the domain, but on {equation.where}")
        ((name, place),) = equation.where.items()
        low, high = problem.domain[name]
        opposite = getattr(equation, "opposite", None)
        if opposite and {place, opposite[name]} == {low, high}:
            periodic.add(name)
        elif opposite or place not in (low, high):
            raise Unsuitable(f"a condition is inside the domain, on {equation.where}")
        else:
            found[name].append((equation, End(_normal(equation, name), place == high)))
    for name, own in found.items():
        if bool(own) == (name in periodic):
            raise Unsuitable(f"{name}: conditions on its ends and periodic" if own else f"{name}: no conditions")
    return found, periodic


class Collocation:
    """A problem at one resolution: ``sizes`` nodes along the coordinates, odd along periodic ones.

    A function is known by numbers (n_1, ..., n_d): along each coordinate the data of the conditions on its ends,
    then, at the nodes, values of its highest derivative. Those with a condition along any coordinate are given.
    Raises :class:`Unsuitable`.
    """

    def __init__(self, problem: Problem, sizes: Sequence[int]) -> None:
        self.problem, self.equation = problem, problem.residual
        self.conditions, _ = conditions_of(problem)
        self.bases = _bases(problem, self.conditions, sizes)
        self.orders = {name: tuple(map(name.count, problem.coordinates)) for name in self.equation.derivatives}
        for axis, basis in enumerate(self.bases):
            highest = max((orders[axis] for orders in self.orders.values()), default=0)
            if basis.ends and highest != len(basis.ends):
                name, count = problem.coordinates[axis], len(basis.ends)
                raise Unsuitable(f"{count} conditions on the ends of {name}, derivatives up to order {highest}")
        self.shape = tuple(len(basis.nodes) for basis in self.bases)
        self.inside = tuple(slice(len(basis.ends), None) for basis in self.bases)
        self._direct = cache(self._inverse)  # of a linear equation the same at every step
        self.points = _grid([basis.nodes for basis in self.bases])
        self.target = self._shaped(self.equation.target(self.points))
        try:
            self.values = {
                name: [basis.values(order) for basis, order in zip(self.bases, orders, strict=True)]
                for name, orders in self.orders.items()
            }
        except ValueError as error:
            raise Unsuitable(str(error)) from None

    def _shaped(self, values: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(values, dtype=float), (len(self.points),)).reshape(self.shape)

    def given(self) -> np.ndarray:
        """All numbers, those that are not given zero."""
        found = np.zeros([len(basis.ends) + len(basis.nodes) for basis in self.bases])
        kinds = [[*range(len(basis.ends)), None] for basis in self.bases]
        for kind in product(*kinds):
            if any(place is not None for place in kind):
                where = tuple(s if place is None else slice(place, place + 1)
                              for place, s in zip(kind, self.inside, strict=True))  # fmt: skip
                found[where] = self._data(kind).reshape(found[where].shape)
        return found

    def _data(self, kind: Sequence[int | None]) -> np.ndarray:
        """The numbers of one kind: along each coordinate a condition, or all nodes."""
        axis = next(i for i, place in enumerate(kind) if place is not None)
        own = list(self.conditions.values())
        expression, lines = own[axis][kind[axis]][0].target_expression, []  # type: ignore[index]
        for i, (place, basis) in enumerate(zip(kind, self.bases, strict=True)):
            name, symbol = self.problem.coordinates[i], self.problem.symbols[i]
            weights: Sequence[float] = (*(0,) * len(basis.ends), 1)
            lines.append(basis.nodes)
            if place is not None:
                end = basis.ends[place]
                weights = end.weights
                lines[i] = np.array([float(self.problem.domain[name][end.upper])])
            if i != axis:
                derivatives = (w * sympy.diff(expression, symbol, order) for order, w in enumerate(weights) if w)
                expression = sympy.Add(*derivatives)
        return self.problem.numeric(expression)(_grid(lines))

    def _state(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        return {name: _product(numbers, matrices).ravel() for name, matrices in self.values.items()}

    def residual(self, numbers: np.ndarray) -> np.ndarray:
        """operator(u) - forcing at the nodes, (m_1, ..., m_d)."""
        return self._shaped(self.equation.apply(self._state(numbers), list(self.points.T))) - self.target

    @cached_property
    def _partials(self) -> Callable[..., Sequence[Any]]:
        """The derivatives of the operator by those of u, functions of the coordinates and of these."""
        recorder = Recorder(self.problem.coordinates)
        expression = self.equation.symbolic(recorder)
        symbols = [recorder.symbols[name] for name in self.orders]
        partials = [sympy.diff(expression, symbol) for symbol in symbols]
        return sympy.lambdify([*self.problem.symbols, *symbols], partials, modules="numpy", cse=True)

    def step(self, numbers: np.ndarray) -> np.ndarray:
        """Newton's: the change of the numbers at the nodes."""
        state, residual = self._state(numbers), self.residual(numbers)
        partials = self._partials(*self.points.T, *state.values())
        slopes = {name: self._shaped(value) for name, value in zip(state, partials, strict=True)}
        pure = {name: orders for name, orders in self.orders.items() if sum(orders) == max(orders)}
        solve = self._direct(tuple((orders, float(slopes[name].mean())) for name, orders in pure.items()))
        if self.equation.linear is not None and pure == self.orders:
            return -solve(residual)
        free = {name: [m[:, s] for m, s in zip(matrices, self.inside, strict=True)]
                for name, matrices in self.values.items()}  # fmt: skip

        def operator(values: np.ndarray) -> np.ndarray:
            numbers = solve(values.reshape(self.shape))
            return np.sum([slopes[name] * _product(numbers, m) for name, m in free.items()], axis=0).ravel()

        shaped = LinearOperator((residual.size, residual.size), operator, dtype=float)
        found, _ = gmres(shaped, residual.ravel(), rtol=FORCED, atol=0.0, restart=KRYLOV, maxiter=1)
        return -solve(found.reshape(self.shape))

    def _inverse(self, coefficients: tuple[tuple[tuple[int, ...], float], ...]) -> Direct:
        try:
            return direct(self.bases, dict(coefficients))
        except ValueError as error:
            raise Unsuitable(str(error)) from None

    def solve(self) -> Expansion:
        """The solution, by Newton's steps until these no longer get smaller; ``FloatingPointError`` if they do not
        converge."""
        numbers, before = self.given(), np.inf
        to_values = [basis.values(0) for basis in self.bases]
        for _ in range(STEPS):
            change = np.zeros_like(numbers)
            change[self.inside] = self.step(numbers)
            size = float(np.abs(_product(change, to_values)).max())
            if not np.isfinite(size):
                break
            numbers = numbers + change
            if size >= before / 2 and before <= CONVERGED * np.abs(_product(numbers, to_values)).max():
                return Expansion(self.bases, _product(numbers, [basis.synthesis for basis in self.bases]))
            before = size
        raise FloatingPointError(f"Newton's method did not converge with {self.shape} nodes")


def _bases(problem: Problem, conditions: Conditions, sizes: Sequence[int]) -> list[Basis]:
    bases: list[Basis] = []
    for (name, own), size in zip(conditions.items(), sizes, strict=True):
        low, high = map(float, problem.domain[name])
        ends = tuple(end for _, end in own)
        bases.append(Polynomials(low, high, size, ends) if ends else Waves(low, high, size | 1))
    return bases


def _grid(lines: Sequence[np.ndarray]) -> np.ndarray:
    """All points of a product of lines, (N, d), the last coordinate first to change."""
    return np.stack([column.ravel() for column in np.meshgrid(*lines, indexing="ij")], axis=1)


def _product(numbers: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """The product of matrices, one for each coordinate, applied to ``numbers``."""
    for axis, matrix in enumerate(matrices):
        numbers = along(numbers, matrix, axis)
    return numbers
