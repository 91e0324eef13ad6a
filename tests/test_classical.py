"""The classical solver: it reaches rounding on problems of all kinds, from their equations alone, or says why
not."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import sympy

import problems
from problems.base import Condition, ExactProblem, ReferenceProblem
from problems.burgers import Burgers
from problems.heat import Heat
from problems.helmholtz import Helmholtz
from problems.poisson import Poisson
from solvers.classical.bases import End, Polynomials, Waves
from solvers.classical.choice import Classical, classical, solver_of
from solvers.classical.collocation import Collocation, Unsuitable
from solvers.classical.resolution import MOST_ALONG, is_resolved, resolved
from solvers.training.metrics import grid_errors
from tests.own.problems.plate import Plate


def error_of(problem, solution, nodes=31):
    return grid_errors(problem, solution, [nodes] * problem.dimension).rel_l2


def slope(p, u, *coordinates):
    return u.x


class Robin(ExactProblem):
    """Coefficients that vary, a mixed derivative, a box that is no square, and a condition on u + 2 u_x."""

    coordinates = ("x", "y")
    domain = {"x": (-1, 2), "y": (0, 0.5)}
    conditions = (
        Condition("boundary", {"x": -1}, lambda p, u, *_: u.value + 2 * u.x),
        Condition("boundary", {"x": 2}),
        Condition("boundary", {"y": 0}),
        Condition("boundary", {"y": 0.5}),
    )

    @staticmethod
    def exact(p, x, y):
        return sympy.exp(x / 2) * sympy.cos(3 * y + x)

    @staticmethod
    def operator(p, u, x, y):
        return (3 + x) * u.xx + 2 * u.yy + u.xy / 3 + y * u.x - u.value


class Steep(ExactProblem):
    """Nonlinear in the slope, with a first-order derivative in t: Burgers' equation with a source."""

    coordinates = ("x", "t")
    domain = {"x": (0, 1), "t": (0, 1)}
    conditions = (Condition("initial", {"t": 0}), Condition("boundary", {"x": 0}), Condition("boundary", {"x": 1}))

    @staticmethod
    def exact(p, x, t):
        return sympy.sin(3 * x + t) + x * t

    @staticmethod
    def operator(p, u, *coordinates):
        return u.t + u.value * u.x - u.xx / 10


class Circle(ExactProblem):
    """Convection around a circle, periodic in x; conditions name the opposite face as an attribute."""

    coordinates = ("x", "t")
    domain = {"x": (0, 2), "t": (0, 1)}
    conditions = (Condition("initial", {"t": 0}), Condition("boundary", {"x": 0}))

    @property
    def equations(self):
        initial, boundary, residual = super().equations
        boundary.opposite = {"x": 2}
        return initial, boundary, residual

    @staticmethod
    def exact(p, x, t):
        return sympy.sin(sympy.pi * (x - 5 * t)) + sympy.cos(3 * sympy.pi * (x - 5 * t))

    @staticmethod
    def operator(p, u, *coordinates):
        return u.t + 5 * u.x


class Open(Heat):
    """Nothing is said on one side."""

    conditions = Heat.conditions[:-1]


class Inside(Heat):
    """A condition in the middle of the domain."""

    conditions = (*Heat.conditions[:-1], Condition("boundary", {"x": 0}))


class Corner(Heat):
    """A condition at a point."""

    conditions = (*Heat.conditions, Condition("boundary", {"x": -1, "t": 0}))


class Oblique(Heat):
    """A condition on a derivative along the face."""

    conditions = (*Heat.conditions[:-1], Condition("boundary", {"x": 1}, lambda p, u, *_: u.t))


class Slopes(Poisson):
    """Both slopes of u_xx = f: no constant is determined."""

    conditions = (Condition("boundary", {"x": 0}, slope), Condition("boundary", {"x": 1}, slope))


@pytest.mark.parametrize(
    ("problem", "below"),
    [
        (problems.load("heat", epsilon=0.3), 1e-14),
        (problems.load("helmholtz", a1=1, a2=4), 1e-12),
        (problems.load("klein-gordon", a=5), 1e-11),
        (problems.load("poisson", a=2, b=50), 1e-11),
        (problems.load("pulse", h=0.1), 1e-12),
        (problems.load("multifrequency", frequency=3), 1e-12),
        (Plate(), 1e-12),
        (Robin(), 1e-12),
        (Steep(), 1e-12),
        (Circle(), 1e-12),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ExactProblem) else "",
)
def test_it_reaches_rounding(problem: ExactProblem, below: float):
    found = classical(problem)
    assert found.status == "finished", found.reason
    assert error_of(problem, found.solution) < below


def test_it_needs_no_exact_solution(monkeypatch: pytest.MonkeyPatch):
    """But for forcing and data, which are derived from it."""
    monkeypatch.setattr(ExactProblem, "solution", lambda *_: pytest.fail("asked for the exact solution"))
    assert classical(problems.load("helmholtz", a1=1, a2=2)).status == "finished"


def test_the_error_falls_with_the_nodes():
    problem = Helmholtz(a1=1, a2=2)
    found = [error_of(problem, Collocation(problem, [n, n]).solve()) for n in (8, 12, 16)]
    assert found[1] < found[0] / 100 and found[2] < found[1] / 100


def test_nodes_are_added_where_the_solution_needs_them():
    """Heat: a parabola in x, a steep hill in t."""
    attempts = [attempt for attempt, _ in resolved(problems.load("heat", epsilon=0.3))]
    assert all(b.nodes > a.nodes for a, b in pairwise(attempts))
    along_x, along_t = attempts[-1].nodes
    assert along_x < along_t and is_resolved(attempts[-1].tails)


@pytest.mark.parametrize("problem", [Steep(), Robin()], ids=["nonlinear", "linear"])
def test_what_newton_s_method_comes_to_has_no_residual(problem):
    """Of a derivative that is wrong it would converge slowly, or to something else."""
    solver = Collocation(problem, [24, 24])
    numbers = solver.given()
    before = []
    for _ in range(8):
        before.append(np.abs(solver.residual(numbers)).max())
        numbers[solver.inside] += solver.step(numbers)
    assert np.abs(solver.residual(numbers)).max() < 1e-11 * before[0]


def test_points_of_no_grid_are_evaluated_like_a_grid():
    problem = problems.load("helmholtz", a1=1, a2=2)
    solution = Collocation(problem, [24, 24]).solve()
    points = np.random.default_rng(1000).uniform(-1, 1, (1200, 2))
    one_by_one = np.concatenate([solution(point[None]) for point in points[:50]])
    assert np.allclose(solution(points)[:50], one_by_one, rtol=0, atol=1e-13)
    assert np.abs(solution(points) - problem.solution(points)).max() < 1e-11


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    "basis",
    [
        Polynomials(-1, 3, 12, (End((1,), False), End((0, 1), True))),
        Polynomials(0, 2, 12, (End((1,), False), End((0, 1), False))),
        Waves(0, 2, 15),
    ],
    ids=["two ends", "one end", "periodic"],
)
def test_a_basis_gives_values_and_derivatives(basis, order):
    """Of a function that it holds, known by the data of its conditions and its highest derivative at the nodes."""
    x = sympy.Symbol("x")
    held = sympy.sin(3 * sympy.pi * x) + 2 if isinstance(basis, Waves) else (x - 1) ** 5 - 2 * x**3 + x

    def at(points, order):
        return np.broadcast_to(sympy.lambdify(x, sympy.diff(held, x, order), "numpy")(points), np.shape(points))

    data = [
        sum(w * at(basis.upper if end.upper else basis.lower, d) for d, w in enumerate(end.weights))
        for end in basis.ends
    ]
    numbers = np.concatenate([data, at(basis.nodes, len(basis.ends))])
    size = np.abs(at(basis.nodes, order)).max()
    assert np.abs(basis.values(order) @ numbers - at(basis.nodes, order)).max() < 1e-11 * size
    points = np.linspace(basis.lower, basis.upper, 7)
    found = (basis.evaluate(points) @ basis.synthesis @ numbers).real
    assert np.abs(found - at(points, 0)).max() < 1e-11 * np.abs(at(points, 0)).max()


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (Open(), "1 conditions on the ends of x, derivatives up to order 2"),
        (Inside(), "inside the domain"),
        (Corner(), "not on a face"),
        (Oblique(), "not linear in u and its derivatives by x"),
        (Slopes(), "do not determine a solution"),
    ],
)
def test_a_problem_that_it_does_not_know_has_no_floor_and_a_reason(problem, why):
    found = classical(problem)
    assert (found.status, found.solution) == ("none", None) and why in found.reason


@pytest.mark.parametrize("name", [n for n in problems.names() if solver_of(problems.load(n)) == "collocation"])
def test_it_knows_every_problem_that_states_a_solution(name):
    """Or raises, and the problem should then state a floor of its own, or be named here."""
    problem = problems.load(name)
    assert np.isfinite(Collocation(problem, [6] * problem.dimension).solve().coefficients).all()


def test_a_solution_that_is_too_fine_is_not_resolved(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("solvers.classical.resolution.MOST_ALONG", 40)
    found = classical(problems.load("poisson", a=2, b=50))
    assert found.status == "unresolved" and found.solution is not None and "36 nodes" in found.reason
    assert MOST_ALONG > 40


def test_a_problem_may_state_a_solver_of_its_own():
    class Stated(Open):
        def floor(self):
            return lambda points: 1.01 * self.solution(points)

    assert solver_of(Stated()) == "stated"
    assert error_of(Stated(), classical(Stated()).solution) == pytest.approx(0.01)


def test_a_solver_that_fails_is_a_result():
    class Broken(Open):
        def floor(self):
            raise RuntimeError("no\nway")

    assert classical(Broken()) == Classical("failed", "RuntimeError: no way")


def test_a_problem_whose_solution_is_computed_has_the_error_of_that(monkeypatch: pytest.MonkeyPatch):
    """An estimate: the difference to the one of twice the resolution."""
    monkeypatch.setattr(Burgers, "resolution", 64)
    problem = Burgers(nu=0.1)
    assert isinstance(problem, ReferenceProblem) and solver_of(problem) == "reference"
    found = classical(problem)
    assert found.status == "finished" and 0 < error_of(problem, found.solution) < problem.accuracy


def test_conditions_that_contradict_a_periodic_coordinate_are_refused():
    class Both(Circle):
        conditions = (*Circle.conditions, Condition("boundary", {"x": 2}))

        @property
        def equations(self):
            initial, boundary, other, residual = ExactProblem.equations.func(self)
            boundary.opposite = {"x": 2}
            return initial, boundary, other, residual

    with pytest.raises(Unsuitable, match="x: conditions on its ends and periodic"):
        Collocation(Both(), [8, 8])


def test_zero_is_solved():
    class Zero(Poisson):
        @staticmethod
        def exact(p: SimpleNamespace, x: sympy.Symbol) -> sympy.Expr:
            return sympy.Integer(0)

    assert not classical(Zero()).solution(np.linspace(0, 1, 5)[:, None]).any()
