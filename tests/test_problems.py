"""The physics: exact and reference solutions solve their equations; the forcing is the paper's."""

from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from numpy.polynomial import chebyshev

import problems
from problems.base import Condition, ExactProblem, Problem, ReferenceProblem, Solution
from problems.derivatives import Derivatives, Recorder, linear_coefficients, on_expression
from solvers.model.jets import FUSED, Jet, numpy_ops
from solvers.model.networks.base import Network
from solvers.model.terms import (
    INPUTS,
    CollocationPoints,
    Model,
    build_terms,
    chunked,
    constraint_arrays,
    weighted_squares,
)
from solvers.model.trial import channel_expression, trial_for
from solvers.points.grids import uniform_grid
from tests.conftest import mismatch_of


def names_of(kind: type[Problem]) -> list[str]:
    return [name for name in problems.names() if isinstance(problems.load(name), kind)]


@pytest.fixture(params=problems.names())
def problem(request: pytest.FixtureRequest) -> Problem:
    return problems.load(request.param)


@pytest.fixture(params=names_of(ExactProblem))
def exact_problem(request: pytest.FixtureRequest) -> ExactProblem:
    return problems.load(request.param)


@pytest.fixture(params=names_of(ReferenceProblem))
def reference_problem(request: pytest.FixtureRequest) -> ReferenceProblem:
    return problems.load(request.param)


def random_points(problem: Problem, where: dict[str, float], count: int = 50) -> np.ndarray:
    points = np.random.default_rng(0).uniform(problem.lower, problem.upper, (count, problem.dimension))
    for name, value in where.items():
        points[:, problem.coordinates.index(name)] = value
    return points


def random_collocation(problem: Problem) -> list[CollocationPoints]:
    return [CollocationPoints(eq.term, eq, random_points(problem, eq.where)) for eq in problem.equations]


class ExactNetwork(Network):
    """Stands in for a network: its output is the exact solution, its channels from SymPy's derivatives."""

    def __init__(self, problem: ExactProblem):
        self.problem = problem

    def shapes(self, dimension):
        return {}

    def initialise(self, dimension, rng):
        return {}

    def forward(self, parameters, features, layout, ops) -> Jet:
        (inputs,), problem = features, self.problem
        exact = problem.exact_expression, problem.symbols
        channels = [problem.numeric(channel_expression(layout, k, *exact)) for k in range(len(layout))]
        points = inputs.value  # raw inputs: the coordinates themselves
        parts = tuple(channel(points)[:, None] for channel in channels)
        return Jet(problem.solution(points)[:, None], parts, layout)


@pytest.mark.parametrize("fuse", [True, False])
def test_exact_solution_makes_every_term_zero_through_jets(exact_problem: ExactProblem, fuse: bool):
    problem = exact_problem
    model = Model(ExactNetwork(problem), *INPUTS["raw"](problem.lower, problem.upper))
    for term in build_terms(random_collocation(problem), fuse):
        for constraint in term.constraints:
            chunk = {name: array[0] for name, array in chunked(constraint_arrays(model, constraint), None).items()}
            chunk |= model.constants(constraint.layout)
            size = 1 + np.square(constraint.target).mean()
            assert weighted_squares(model, constraint, {}, chunk, numpy_ops)[0] < 1e-22 * size


def test_exact_solution_makes_the_residual_zero_symbolically(exact_problem: ExactProblem):
    """With derivatives taken by hand here, not by the code that derived the forcing."""
    problem = exact_problem
    by_name = dict(zip(problem.coordinates, problem.symbols, strict=True))

    def derivative(name: str) -> sympy.Expr:
        expression = problem.exact_expression
        for letter in name:
            expression = expression.diff(by_name[letter])
        return expression

    u = Derivatives(problem.coordinates, derivative)
    applied = problem.operator(problem.exact_parameters, u, *problem.symbols)
    assert sympy.simplify(applied - problem.residual.target_expression) == 0


def test_a_wrong_solution_does_not(exact_problem: ExactProblem):
    problem = exact_problem
    wrong = problem.exact_expression + sympy.prod(symbol**2 for symbol in problem.symbols)
    u = Derivatives(
        problem.coordinates,
        lambda name: sympy.diff(wrong, *(sympy.Symbol(c, real=True) for c in name)) if name else wrong,
    )
    applied = problem.operator(problem.exact_parameters, u, *problem.symbols)
    assert sympy.simplify(applied - problem.residual.target_expression) != 0


def test_an_exact_problem_states_no_data():
    class Stated(type(problems.load("heat"))):
        conditions = (Condition("initial", {"t": 0}, data=lambda p, x, t: x),)

    with pytest.raises(TypeError, match="an exact problem derives forcing and data"):
        _ = Stated().equations[0].target_expression


def derivative(u: Solution, problem: Problem, name: str) -> Solution:
    """A derivative of a function of points, letter by letter, from its interpolant of degree 6 on a short
    interval around each point, or beside it where the domain ends."""
    if not name:
        return u
    i = problem.coordinates.index(name[0])
    radius = 1e-3 * (problem.upper - problem.lower)[i]
    nodes = chebyshev.chebpts2(7)
    inner = derivative(u, problem, name[1:])

    def differentiated(points: np.ndarray) -> np.ndarray:
        centre = np.clip(points[:, i], problem.lower[i] + radius, problem.upper[i] - radius)
        moved = np.repeat(points[None], len(nodes), axis=0)
        moved[:, :, i] = centre + radius * nodes[:, None]
        values = inner(moved.reshape(-1, points.shape[1])).reshape(len(nodes), -1)
        slopes = chebyshev.chebder(np.linalg.solve(chebyshev.chebvander(nodes, 6), values))
        return chebyshev.chebval((points[:, i] - centre) / radius, slopes, tensor=False) / radius

    return differentiated


def test_a_reference_solution_solves_its_equations(reference_problem: ReferenceProblem):
    """A hundred times better than one that is wrong by about one percent does. Derivatives on a face are taken
    away from its edges, where its data may have a kink (Allen-Cahn's have, which diffusion rounds)."""
    problem = reference_problem
    middle = (problem.lower + problem.upper) / 2

    def wrong(points: np.ndarray) -> np.ndarray:
        s = (points - problem.lower) / (problem.upper - problem.lower)
        return problem.solution(points) + 0.01 * (1 + s + s**2).prod(axis=1)

    for equation in problem.equations:
        points = random_points(problem, equation.where, 2000)
        if equation.where and any(equation.derivatives):
            free = [name not in equation.where for name in problem.coordinates]
            points[:, free] = (middle + 0.9 * (points - middle))[:, free]

        def mismatch(u: Solution, equation=equation, points=points) -> float:
            def derivatives(at: np.ndarray, which: str) -> np.ndarray:
                return derivative(u, problem, which)(at)

            return np.square(mismatch_of(equation, derivatives, points)).mean() ** 0.5

        assert mismatch(problem.solution) < 0.01 * mismatch(wrong), equation.term


def test_a_reference_solution_is_as_accurate_as_it_says(reference_problem: ReferenceProblem):
    """Against the one of twice the resolution, also close to where it is steepest."""
    problem = reference_problem
    refined = problem.reference(2 * problem.resolution)
    points = random_points(problem, {}, 100_000)
    values = problem.solution(points)
    assert np.abs(values - refined(points)).max() < problem.accuracy * np.abs(values).max()


def test_reference_solutions_are_computed_once_for_the_same_parameters(
    reference_problem: ReferenceProblem, monkeypatch
):
    points = random_points(reference_problem, {})
    values = reference_problem.solution(points)
    monkeypatch.setattr(type(reference_problem), "reference", None)
    again = type(reference_problem)(**reference_problem.values)
    np.testing.assert_array_equal(again.solution(points), values)


def test_burgers_reference_is_the_cole_hopf_solution():
    """u = -int sin(pi y) F dy / int F dy, y = x - z, F = exp(-cos(pi y) / (2 pi nu) - z^2 / (4 nu t)), by
    Gauss-Hermite quadrature (Basdevant et al. 1986); half of the points in the front."""
    burgers = problems.load("burgers")
    points = random_points(burgers, {}, 2000)
    points[1000:, 0] *= 0.02
    nodes, weights = np.polynomial.hermite.hermgauss(100)
    nu, (x, t) = burgers.values["nu"], points.T[:, :, None]
    y = x - np.sqrt(4 * nu * t) * nodes
    f = weights * np.exp((-np.cos(np.pi * y) - 1) / (2 * np.pi * nu))
    expected = -(np.sin(np.pi * y) * f).sum(axis=1) / f.sum(axis=1)
    np.testing.assert_allclose(burgers.solution(points), expected, atol=burgers.accuracy)


def test_conditions_hold_on_their_faces(problem: Problem):
    for equation in problem.equations[:-1]:
        assert equation.where, "a condition fixes a coordinate"
        for name, value in equation.where.items():
            assert value in problem.domain[name]
        for name, value in (equation.opposite or {}).items():
            assert {value, equation.where[name]} == set(problem.domain[name])


def test_a_periodic_condition_is_that_of_pairs():
    """Points of the opposite face in the place of those given; no data, whatever the problem's solution is."""
    left_and_right = problems.load("convection").equations[1]
    points = random_points(left_and_right.problem, left_and_right.where, 5)
    np.testing.assert_array_equal(left_and_right.across(points), points + np.array([2 * np.pi, 0]))
    assert left_and_right.target_expression == 0


def test_a_solution_that_is_not_periodic_does_not_meet_a_periodic_condition():
    class Shifted(type(problems.load("convection"))):
        @staticmethod
        def exact(p, x, t):
            return sympy.sin(x / 2 - p.beta * t)

    with pytest.raises(AssertionError):
        test_exact_solution_makes_every_term_zero_through_jets(Shifted(), fuse=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opposite": {}}, "opposite must fix coordinates"),
        ({"opposite": {"t": 1}}, "opposite must fix coordinates that where = {'x': 0} fixes"),
        ({"opposite": {"x": 1}, "data": lambda p, x, t: x}, "has no data"),
    ],
)
def test_impossible_periodic_conditions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Condition("boundary", {"x": 0}, **options)


def test_data_of_dirichlet_conditions_is_the_exact_solution():
    heat = problems.load("heat")
    for equation in heat.equations[:-1]:
        points = random_points(heat, equation.where)
        np.testing.assert_allclose(equation.target(points), heat.solution(points), atol=1e-12)


@pytest.mark.parametrize(("epsilon", "mean_square"), [(0.3, 3.130e3), (0.15, 4.868e6), (0.11, 8.656e8)])
def test_heat_forcing_is_the_published_one(epsilon: float, mean_square: float):
    """f = 2 exp(1/D) - exp(1/D) (1 - x^2) 4 (2t - 1) / D^2, and its mean square over the domain."""
    heat = problems.load("heat", epsilon=epsilon)
    points = random_points(heat, {}, 1000)
    x, t = points.T
    big_d = (2 * t - 1) ** 2 + epsilon
    published = 2 * np.exp(1 / big_d) - np.exp(1 / big_d) * (1 - x**2) * 4 * (2 * t - 1) / big_d**2
    np.testing.assert_allclose(heat.residual.target(points), published, rtol=1e-11)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    grid = np.stack(np.meshgrid(nodes, (nodes + 1) / 2, indexing="ij"), axis=-1).reshape(-1, 2)
    squares = heat.residual.target(grid) ** 2 @ np.outer(weights, weights).ravel() / 4
    assert squares == pytest.approx(mean_square, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "parameters", "mean_square"),
    [
        ("poisson", {"a": 4, "b": 150}, 2.466e8),
        ("poisson", {"a": 2, "b": 50}, 3.045e6),
        ("pulse", {}, 1.663e11),
        ("helmholtz", {}, 1.0257e5),
        ("klein-gordon", {"a": 5}, 1.010e4),
        ("klein-gordon", {"a": 10}, 1.622e5),
        ("multifrequency", {"frequency": 20}, 4.672e6),
        ("multifrequency", {"frequency": 10}, 2.964e5),
    ],
)
def test_forcing_has_the_size_that_the_authors_have(name: str, parameters: dict[str, float], mean_square: float):
    """Mean square of the residual of u = 0, by the midpoint rule."""
    problem = problems.load(name, **parameters)
    counts = [4000] if problem.dimension == 1 else [600, 600]
    sides = (problem.upper - problem.lower) / counts
    midpoints = uniform_grid(problem.lower + sides / 2, problem.upper - sides / 2, counts)
    assert np.square(problem.residual.target(midpoints)).mean() == pytest.approx(mean_square, rel=1e-3)


def test_hard_constraints_meet_the_conditions_whatever_the_network_is(problem: Problem):
    if problem.hard_constraint is None:
        with pytest.raises(ValueError, match="hard constraint"):
            trial_for("hard-constraint", problem)
        return
    lift, vanishing = problem.hard_constraint
    anything = sympy.Function("N")(*problem.symbols)
    for equation in problem.equations[:-1]:
        fixed = {
            symbol: equation.where[str(symbol)] for symbol in problem.symbols if str(symbol) in equation.where
        }
        u = on_expression(lift + vanishing * anything, problem.symbols)
        applied = equation.operator(problem.exact_parameters, u, *problem.symbols)
        difference = (applied - equation.target_expression).subs(fixed).doit()
        assert sympy.simplify(difference) == 0


def test_the_papers_hard_constraints_are_stated():
    stated = {name for name in problems.names() if problems.load(name).hard_constraint}
    assert stated >= {"heat", "helmholtz", "multifrequency", "poisson"}


def test_required_derivatives_are_just_those_asked_for():
    heat = problems.load("heat")
    assert heat.residual.derivatives == ("t", "xx")
    assert heat.residual.linear == {"t": 1.0, "xx": -1.0}
    assert heat.equations[0].derivatives == ("",)


def test_linear_operators_are_told_from_others():
    recorder = Recorder(("x", "t"))
    assert linear_coefficients(recorder.tt - 2 * recorder.x + 3 * recorder.value, recorder.symbols) == {
        "tt": 1.0,
        "x": -2.0,
        "": 3.0,
    }
    for nonlinear in (recorder.t + recorder.value**3, recorder.x * recorder.t, recorder.xx + 1):
        assert linear_coefficients(sympy.sympify(nonlinear), recorder.symbols) is None
    x = sympy.Symbol("x", real=True)
    assert linear_coefficients(x * recorder.xx, recorder.symbols) is None


def test_mixed_derivatives_have_one_name():
    recorder = Recorder(("x", "t"))
    assert recorder.xt == recorder.tx
    with pytest.raises(AttributeError, match="letters"):
        _ = recorder.y


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epsilon": 0.0}, "greater than"),
        ({"epsilon": float("nan")}, "finite"),
        ({"eps": 1.0}, "allowed: epsilon"),
    ],
)
def test_bad_parameters_are_refused(values: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        problems.load("heat", **values)


def test_an_unknown_problem_names_the_known_ones():
    with pytest.raises(ValueError, match="heat"):
        problems.load("heet")


def test_parameters_reach_operator_and_solution():
    assert problems.load("heat", epsilon=0.3).values == {"epsilon": 0.3}
    assert isinstance(problems.load("heat").exact_parameters, SimpleNamespace)
    assert problems.load("heat").exact_parameters.epsilon == sympy.Rational(3, 20)


def test_fused_layout_of_a_linear_operator_has_one_operator_channel():
    heat = problems.load("heat")
    residual = build_terms(random_collocation(heat))[-1].constraints[0]
    assert [channel.name for channel in residual.layout] == ["x", FUSED]
