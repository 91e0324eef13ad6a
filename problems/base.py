"""What a problem is, and everything that follows from its operator and its exact or its computed solution."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import sympy

from problems.derivatives import Derivatives, Recorder, linear_coefficients, on_expression

__all__ = ["Condition", "Equation", "ExactProblem", "Parameter", "Problem", "ReferenceProblem"]


@dataclass(frozen=True)
class Parameter:
    """A number that a problem may be given: its default and its open lower bound, if any."""

    default: float
    above: float | None = None

    def check(self, name: str, value: float) -> float:
        """``value`` as a float; ``ValueError`` if it is no finite number or not above the bound."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            raise ValueError(f"parameter {name}: {value!r:.60} is not a finite number")
        if self.above is not None and value <= self.above:
            raise ValueError(f"parameter {name}: {value} must be greater than {self.above}")
        return float(value)


def _value(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
    """u itself: the operator of a Dirichlet condition."""
    return u.value


@dataclass(frozen=True)
class Condition:
    """``operator(u) = data`` on the face where some coordinates are fixed.

    ``term`` names the loss term it counts towards (``initial``, ``boundary``); ``where`` fixes coordinates,
    e.g. ``{"t": 0}``; ``operator`` has the signature of :meth:`Problem.operator`. ``data(p, *coordinates)``, a
    SymPy expression, is stated for a :class:`ReferenceProblem` if not zero; an :class:`ExactProblem` derives it.

    With an ``opposite`` face, e.g. ``{"x": 1}`` of ``{"x": -1}``, the condition is periodic: operator(u) is the
    same at a point of the face and at the point that the opposite one has in its place. It has no data.
    """

    term: str
    where: Mapping[str, float]
    operator: Callable[..., Any] = _value
    data: Callable[..., sympy.Expr] | None = None
    opposite: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if self.opposite is None:
            return
        if not self.opposite or not set(self.opposite) <= set(self.where):
            fixed = f"where = {dict(self.where)}"
            raise ValueError(f"condition {self.term}: opposite must fix coordinates that {fixed} fixes")
        if self.data is not None:
            raise ValueError(f"condition {self.term}: a periodic condition has no data")


class Equation:
    """``operator(u) = target`` on a face of the domain, or inside it when ``where`` is empty; if it has an
    ``opposite`` face, operator(u) there less that on the opposite one is the target, which is zero.

    The residual of the PDE and every condition are equations; both backends know nothing else of the physics.
    """

    def __init__(self, problem: "Problem", condition: Condition) -> None:
        self.problem = problem
        self.term, self.where = condition.term, dict(condition.where)
        self.operator, self.data = condition.operator, condition.data
        self.opposite = None if condition.opposite is None else dict(condition.opposite)

    def across(self, points: np.ndarray) -> np.ndarray:
        """The points (N, d) of the opposite face in the place of ``points`` (N, d) of a periodic condition's."""
        moved = np.array(points, dtype=float)
        for name, value in (self.opposite or {}).items():
            moved[:, self.problem.coordinates.index(name)] = value
        return moved

    def symbolic(self, u: Derivatives) -> sympy.Expr:
        """The operator on symbols or expressions."""
        return sympy.sympify(self.operator(self.problem.exact_parameters, u, *self.problem.symbols))

    @cached_property
    def _recorded(self) -> tuple[Recorder, sympy.Expr]:
        recorder = Recorder(self.problem.coordinates)
        return recorder, self.symbolic(recorder)

    @property
    def derivatives(self) -> tuple[str, ...]:
        """Names of the derivatives the operator asks for, lowest order first."""
        return tuple(sorted(self._recorded[0].symbols, key=lambda name: (len(name), name)))

    @cached_property
    def linear(self) -> dict[str, float] | None:
        """``{derivative: coefficient}`` if the operator is linear with constant coefficients, else ``None``."""
        recorder, expression = self._recorded
        return linear_coefficients(expression, recorder.symbols)

    @cached_property
    def target_expression(self) -> sympy.Expr:
        """Forcing, boundary or initial data; zero for a periodic condition."""
        return sympy.Integer(0) if self.opposite else self.problem.right_hand_side(self)

    def target(self, points: np.ndarray) -> np.ndarray:
        """Target at ``points`` (N, d): float64 (N,)."""
        return self.problem.numeric(self.target_expression)(points)

    def apply(self, derivatives: Mapping[str, Any], columns: Sequence[Any]) -> Any:
        """The operator on arrays: ``derivatives`` maps names to (N,), ``columns`` are the coordinates (N,)."""
        u = Derivatives(self.problem.coordinates, derivatives.__getitem__)
        return self.operator(self.problem.numeric_parameters, u, *columns)


class Problem(ABC):
    """A PDE on a rectangle with a solution to compare with, exact (:class:`ExactProblem`) or computed
    (:class:`ReferenceProblem`).

    A subclass states ``coordinates`` (single letters), ``domain``, ``parameters``, ``conditions`` and the operator
    (left-hand side). All functions receive the parameters as the namespace ``p``: exact rationals for SymPy,
    floats for arrays.
    """

    coordinates: ClassVar[tuple[str, ...]]
    domain: ClassVar[Mapping[str, tuple[float, float]]]
    parameters: ClassVar[Mapping[str, Parameter]] = {}
    conditions: ClassVar[tuple[Condition, ...]]

    def __init__(self, /, **values: float) -> None:
        unknown = sorted(set(values) - set(self.parameters))
        if unknown:
            allowed = ", ".join(self.parameters) or "none"
            raise ValueError(
                f"unknown parameter {', '.join(unknown)} of {type(self).__name__}; allowed: {allowed}"
            )
        self.values = {
            name: parameter.check(name, values.get(name, parameter.default))
            for name, parameter in self.parameters.items()
        }
        self.numeric_parameters = SimpleNamespace(**self.values)
        self.exact_parameters = SimpleNamespace(
            **{name: sympy.Rational(repr(value)) for name, value in self.values.items()}
        )
        self._compiled: dict[sympy.Expr, Callable[[np.ndarray], np.ndarray]] = {}
        self.symbols = tuple(sympy.Symbol(name, real=True) for name in self.coordinates)

    @abstractmethod
    def solution(self, points: np.ndarray) -> np.ndarray:
        """The solution that errors are measured against at ``points`` (N, d): float64 (N,)."""

    @abstractmethod
    def right_hand_side(self, equation: Equation) -> sympy.Expr:
        """Forcing, boundary or initial data of one of the equations."""

    @staticmethod
    @abstractmethod
    def operator(p: SimpleNamespace, u: Derivatives, *coordinates: Any) -> Any:
        """Left-hand side of the PDE in the derivatives of u, such as ``u.t - u.xx``."""

    forcing: ClassVar[Callable[..., sympy.Expr] | None] = None
    """Right-hand side of the PDE, ``forcing(p, *coordinates)``; stated as the data of a condition is."""

    lift: ClassVar[Callable[..., sympy.Expr] | None] = None
    vanishing: ClassVar[Callable[..., sympy.Expr] | None] = None

    @cached_property
    def hard_constraint(self) -> tuple[sympy.Expr, sympy.Expr] | None:
        """``(lift, vanishing)`` if stated: lift + vanishing * N meets all conditions for any function N.

        A subclass states them as static methods ``lift(p, *coordinates)`` and ``vanishing(p, *coordinates)``.
        """
        if self.lift is None or self.vanishing is None:
            return None
        given = (self.exact_parameters, *self.symbols)
        return sympy.sympify(self.lift(*given)), sympy.sympify(self.vanishing(*given))

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return len(self.coordinates)

    @property
    def lower(self) -> np.ndarray:
        """Lower corner of the domain, (d,)."""
        return np.array([self.domain[name][0] for name in self.coordinates], dtype=float)

    @property
    def upper(self) -> np.ndarray:
        """Upper corner of the domain, (d,)."""
        return np.array([self.domain[name][1] for name in self.coordinates], dtype=float)

    @cached_property
    def residual(self) -> Equation:
        """The PDE: operator(u) = forcing inside the domain."""
        return Equation(self, Condition("residual", {}, self.operator, self.forcing))

    @cached_property
    def equations(self) -> tuple[Equation, ...]:
        """All conditions in the order stated, then the PDE."""
        return (*(Equation(self, condition) for condition in self.conditions), self.residual)

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Names of the loss terms, in the order of the equations."""
        return tuple(dict.fromkeys(equation.term for equation in self.equations))

    def numeric(self, expression: sympy.Expr) -> Callable[[np.ndarray], np.ndarray]:
        """A NumPy function of points (N, d) -> float64 (N,) for a SymPy expression; compiled once."""
        if expression not in self._compiled:
            self._compiled[expression] = self._compile(expression)
        return self._compiled[expression]

    def _compile(self, expression: sympy.Expr) -> Callable[[np.ndarray], np.ndarray]:
        function = sympy.lambdify(self.symbols, expression, modules="numpy", cse=True)

        def evaluate(points: np.ndarray) -> np.ndarray:
            points = np.asarray(points, dtype=float)
            try:
                values = np.asarray(function(*points.T), dtype=float)
            except OverflowError:  # a constant that no float can hold
                values = np.asarray(np.inf)
            return np.broadcast_to(values, points.shape[:1]).copy()

        return evaluate


class ExactProblem(Problem):
    """A problem with a solution in closed form: a subclass states ``exact``; forcing and data are derived."""

    @staticmethod
    @abstractmethod
    def exact(p: SimpleNamespace, *coordinates: sympy.Symbol) -> sympy.Expr:
        """The exact solution as a SymPy expression."""

    @cached_property
    def exact_expression(self) -> sympy.Expr:
        """The exact solution with the parameters put in, as exact rationals."""
        return sympy.sympify(self.exact(self.exact_parameters, *self.symbols))

    def right_hand_side(self, equation: Equation) -> sympy.Expr:
        """The operator applied to the exact solution; ``TypeError`` if the equation states another."""
        if equation.data is not None:
            name = type(self).__name__
            raise TypeError(f"{name}, {equation.term}: an exact problem derives forcing and data: state none")
        return equation.symbolic(on_expression(self.exact_expression, self.symbols))

    def solution(self, points: np.ndarray) -> np.ndarray:
        """Exact solution at ``points`` (N, d): float64 (N,)."""
        return self.numeric(self.exact_expression)(points)


Solution = Callable[[np.ndarray], np.ndarray]


class ReferenceProblem(Problem):
    """A problem without a closed form: a subclass computes a ``reference`` solution and states forcing and data,
    zero where it states none.

    ``accuracy`` bounds the error of the reference, of its largest value: far below that of any network. Tests hold
    every such problem to it.
    """

    resolution: ClassVar[int]
    accuracy: ClassVar[float]

    @abstractmethod
    def reference(self, resolution: int) -> Solution:
        """Solves the problem; the result maps points (N, d) to float64 (N,). ``resolution`` is the number of modes
        or nodes; twice the class's own is used to estimate the error."""

    def right_hand_side(self, equation: Equation) -> sympy.Expr:
        """What is stated, or zero."""
        data = equation.data or (lambda p, *coordinates: 0)
        return sympy.sympify(data(self.exact_parameters, *self.symbols))

    def solution(self, points: np.ndarray) -> np.ndarray:
        """Reference solution at ``points`` (N, d): float64 (N,); solved once a process for given parameters."""
        return _solved(type(self), tuple(self.values.items()), self.resolution)(np.asarray(points, dtype=float))


@cache
def _solved(kind: type[ReferenceProblem], values: tuple[tuple[str, float], ...], resolution: int) -> Solution:
    return kind(**dict(values)).reference(resolution)
