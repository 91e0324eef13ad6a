"""What docs/convergence.md states of powers and logarithms, statement by statement, of the suite's own rules,
transforms and optimizers: each test would fail if its statement were false."""

import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers import backends
from solvers.balancing import Balancing
from solvers.balancing.power import Power
from solvers.balancing.sum import Sum
from solvers.optimizers.base import Budget
from solvers.optimizers.bfgs import Bfgs
from solvers.optimizers.lbfgs import Lbfgs
from solvers.training.objective import IDENTITY, LOGARITHM, Transform
from tests.conftest import ROOT, state_of
from tests.test_bfgs import Plain, followed
from tests.trial import trial_of
from workflow.analysis.synchronised import number_of_powers, within_a_decade

backends.load("jax")  # turns float64 on, whichever tests ran before
CHAPTER = (ROOT / "docs/convergence.md").read_text(encoding="utf-8")
TERMS = ("boundary", "residual")
EXPONENTS = [(1, 1), (1, 2), (1, 3), (3, 3), (2, 6)]
Terms = Callable[[jax.Array], jax.Array]
"""Parameters (P,) to the terms (2,)."""


def power(m: float, n: float, **weights: float) -> Power:
    return Power({"supervised": m, "residual": n}, weights)


def objective(rule: Balancing, terms: Terms, transform: Transform = IDENTITY) -> Callable[[jax.Array], jax.Array]:
    """The rule's objective of ``terms`` under a transform, as a function that JAX differentiates."""
    state = state_of(rule, TERMS)
    return lambda theta: transform.of_array(rule.combine(terms(theta), state, jnp)[0], jnp)


def powers_of(m: float, n: float) -> np.ndarray:
    return state_of(power(m, n), TERMS)["power"]


def weights(rule: Balancing, values: np.ndarray) -> np.ndarray:
    return np.asarray(rule.combine(values, state_of(rule, TERMS), np)[1])


def minimised(function: Callable, start: np.ndarray, steps: int = 300) -> np.ndarray:
    """Where the suite's BFGS ends."""
    value = jax.jit(jax.value_and_grad(function))

    def at(theta: np.ndarray) -> tuple[float, np.ndarray]:
        found, gradient = value(jnp.asarray(theta))
        return float(found), np.asarray(gradient)

    path, _ = followed(Plain(at), np.asarray(start, dtype=float), Bfgs(steps, 10 * steps), steps)
    return path[-1]


def apart(theta: jax.Array) -> jax.Array:
    """Two terms without a common zero, nor any zero: their minimisers are (1, 0) and (-1, 0)."""
    x, y = theta
    return jnp.array([(x - 1) ** 2 + y**2 + 0.01, 100 * ((x + 1) ** 2 + 2 * y**2) + 1])


def linear(d: int) -> Callable[[jax.Array], jax.Array]:
    """Residuals of d linear equations in d unknowns, with singular values from 1 to 3 and a solution that rounding
    does not meet."""
    left, right, solution = (np.random.default_rng(i).standard_normal((d, d)) for i in (1, 2, 3))
    matrix = np.linalg.qr(left)[0] @ np.diag(np.linspace(1, 3, d)) @ np.linalg.qr(right)[0]
    data = matrix @ solution[0]
    return lambda theta: jnp.asarray(matrix) @ theta - data


def alone(residuals: Callable[[jax.Array], jax.Array]) -> Terms:
    """The sum of squares as the residual's term, beside supervised terms of zero."""
    return lambda theta: jnp.array([0.0, 1.0]) * (residuals(theta) ** 2).sum()


@pytest.mark.parametrize("exponents", EXPONENTS)
def test_1_stationary_points_are_pareto_stationary_and_every_such_point_has_its_weights(exponents):
    rule = power(*exponents)
    found = minimised(objective(rule, apart), [0.3, 0.4])
    gradients, values = np.asarray(jax.jacobian(apart)(jnp.asarray(found))), np.asarray(apart(found))
    multipliers = weights(rule, values)
    assert (multipliers > 0).all()
    shares = multipliers / multipliers.sum()
    assert np.linalg.norm(shares @ gradients) < 1e-6 * np.linalg.norm(gradients, axis=1).max()
    # The other way round: the point at which 0.3 and 0.7 cancel the gradients, under any powers.
    wanted = np.array([0.3, 0.7])
    point = minimised(lambda theta: wanted @ apart(theta), [0.3, 0.4])
    p, values = 1 / np.array(exponents), np.asarray(apart(point))
    c = wanted / (p * values ** (p - 1))
    rule = power(*exponents, **dict(zip(TERMS, c ** (1 / p), strict=True)))
    gradient = jax.grad(objective(rule, apart))(jnp.asarray(point))
    assert np.linalg.norm(gradient) < 1e-6 * np.linalg.norm(gradients, axis=1).max()


def test_2_zeros_are_the_same_and_minima_without_a_common_zero_are_not():
    """At a zero of all terms each objective is least; where there is none, each has a minimiser of its own."""

    def both(theta: jax.Array) -> jax.Array:
        x, y = theta
        return jnp.array([(x - y**2) ** 2, (x + 2 * y - 3) ** 2])  # zero together at (1, 1) and (9, -3)

    minima = []
    for exponents in EXPONENTS:
        for zero in ((1.0, 1.0), (9.0, -3.0)):
            assert float(objective(power(*exponents), both)(jnp.array(zero))) < 1e-4
        beside = jnp.asarray(np.random.default_rng(0).normal(size=(200, 2)))
        assert (jax.vmap(objective(power(*exponents), both))(beside) > 1e-3).all()
        minima.append(minimised(objective(power(*exponents), apart), [0.3, 0.4])[0])
    assert np.ptp(minima) > 0.5 and max(minima) < 1 and min(minima) > -1
    logarithm = minimised(objective(Sum(), apart, LOGARITHM), [0.3, 0.4])
    np.testing.assert_allclose(logarithm, minimised(objective(Sum(), apart), [0.3, 0.4]), atol=1e-6)


@pytest.mark.parametrize("exponents", EXPONENTS)
def test_3_a_small_objective_bounds_every_term_and_the_other_way_round(exponents):
    rule, n = power(*exponents), np.array(exponents, dtype=float)
    state = state_of(rule, TERMS)
    for values in 10.0 ** np.random.default_rng(2).uniform(-12, 6, (500, 2)):
        found = rule.combine(values, state, np)[0]
        assert (values <= found**n * (1 + 1e-9)).all()
        largest = (values ** (1 / n)).max()
        assert largest <= found * (1 + 1e-9) and found <= 2 * largest * (1 + 1e-9)
        if (epsilon := values.max()) <= 1:
            assert found <= 2 * epsilon ** (1 / n.max()) * (1 + 1e-9)
    # No exponent but n would do: of a term alone the bound is met.
    small = np.logspace(-3, -12, 10)
    objectives = [rule.combine(np.array([0.0, value]), state, np)[0] for value in small]
    slope = np.polyfit(np.log(objectives), np.log(small), 1)[0]
    assert slope == pytest.approx(n[1], rel=1e-3)


def test_3_it_holds_along_a_training():
    trial = trial_of("jax", rule=power(1, 3))
    trial.train(Lbfgs(40, 80, ftol=0.0, gtol=0.0))
    rows = trial.monitor.rows
    assert len(rows) > 20
    for row in rows:
        supervised = sum(value for name, value in row.items() if name in ("term.initial", "term.boundary"))
        assert row["term.residual"] <= row["objective"] ** 3 * (1 + 1e-9)
        assert supervised <= row["objective"] * (1 + 1e-9)


@pytest.mark.parametrize("n", [1, 1.5, 2, 3, 6])
@pytest.mark.parametrize("rho", [1.0, 1e-3, 1e-6])
def test_4_the_curvature_of_a_root_at_its_zero(n, rho):
    """Across the residual vector 2/n rho^(2/n - 2), along it (2/n - 1) times that."""
    direction = np.array([2.0, -1.0, 2.0]) / 3
    function = objective(power(1, n), alone(lambda r: r))
    hessian = np.asarray(jax.hessian(function)(jnp.asarray(rho * direction)))
    across = 2 / n * rho ** (2 / n - 2)
    expected = across * (np.eye(3) + (2 / n - 2) * np.outer(direction, direction))
    np.testing.assert_allclose(hessian, expected, rtol=1e-6, atol=1e-6 * across)
    slope = np.linalg.norm(jax.grad(function)(jnp.asarray(rho * direction)))
    assert slope == pytest.approx(2 / n * rho ** (2 / n - 1), rel=1e-9)


def test_5_the_gradient_does_not_vanish_with_the_loss_and_lbfgs_takes_longer():
    """SciPy's L-BFGS, as the suite calls it, on six linear equations with singular values from 1 to 3."""
    residuals, evaluations = linear(6), {}
    for n, transform in ((1, IDENTITY), (2, IDENTITY), (3, IDENTITY), (1, LOGARITHM)):
        value = jax.jit(jax.value_and_grad(objective(power(1, n), alone(residuals), transform)))
        seen: list[tuple[float, float]] = []

        def at(theta: np.ndarray, value=value, seen=seen) -> tuple[float, np.ndarray]:
            found, gradient = value(jnp.asarray(theta))
            seen.append(tuple(float(np.linalg.norm(each)) for each in (residuals(theta), gradient)))
            return float(found), np.asarray(gradient)

        optimizer = Lbfgs(2000, 4000, ftol=0.0, gtol=1e-5)
        optimizer.minimise(Plain(at), np.zeros(6), lambda theta, count: None, 1, Budget(0, 0))
        for rho, norm in seen:
            least = 2 / n * rho ** (2 / n - 1) if transform is IDENTITY else 2 / rho
            assert rho < 1e-12 or norm >= least * (1 - 1e-6), "nearer, rounding and the floor of the rule decide"
        rhos = np.array([rho for rho, _ in seen])
        evaluations[n, transform.name] = int(np.argmax(rhos < 1e-5)) + 1
        ended_by_gradient = rhos.min() > 1e-12
        assert ended_by_gradient == (n == 1 and transform is IDENTITY)
        assert rhos.min() < (1e-5 if ended_by_gradient else 1e-13)
    plain = evaluations.pop((1, "identity"))
    assert min(evaluations.values()) > 3 * plain, (plain, evaluations)


@pytest.mark.parametrize("n", [1, 1.5, 3, 6, np.inf])
def test_6_the_newton_direction_of_a_transformed_loss_is_that_of_the_loss(n):
    """Also of one that is no quadratic; on a quadratic with minimum 0 the length is n / (2 - n) times as much."""

    def loss(theta: jax.Array) -> jax.Array:
        return ((linear(3)(theta) ** 2).sum() + 0.1 * (theta**4).sum()) * jnp.array([0.0, 1.0])

    rule, transform = (power(1, n), IDENTITY) if np.isfinite(n) else (Sum(), LOGARITHM)
    theta = jnp.array([2.0, -1.0, 0.5])

    def newton(function: Callable) -> np.ndarray:
        return -np.linalg.solve(jax.hessian(function)(theta), jax.grad(function)(theta))

    plain, transformed = newton(objective(Sum(), loss)), newton(objective(rule, loss, transform))
    value, slope = float(loss(theta)[1]), jax.grad(objective(Sum(), loss))(theta)
    p = 1 / n
    expected = 1 / (1 + (p - 1) / value * float(slope @ -plain))
    np.testing.assert_allclose(transformed, expected * plain, rtol=1e-8)
    plain = newton(objective(Sum(), alone(linear(3))))
    transformed = newton(objective(rule, alone(linear(3)), transform))
    factor = n / (2 - n) if np.isfinite(n) else -1
    np.testing.assert_allclose(transformed, factor * plain, rtol=1e-8)


def test_7_the_limit_of_the_powers_is_the_sum_of_logarithms():
    """As fast as 1/n; and it is not the logarithm of the sum."""
    theta = jnp.array([0.3, 0.4])
    values, gradients = np.asarray(apart(theta)), np.asarray(jax.jacobian(apart)(theta))
    limit = (gradients / values[:, None]).sum(axis=0)
    errors = []
    for n in (10.0, 100.0, 1000.0):
        function = objective(power(n, n), apart)
        shifted = n * (float(function(theta)) - 2)
        bound = sum(np.log(v) ** 2 / (2 * n) * max(1, v ** (1 / n)) for v in values)
        assert abs(shifted - np.log(values).sum()) <= bound
        errors.append(np.linalg.norm(n * np.asarray(jax.grad(function)(theta)) - limit))
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 10, rtol=0.5)
    of_the_sum = np.asarray(jax.grad(objective(Sum(), apart, LOGARITHM))(theta))
    cosine = of_the_sum @ limit / np.linalg.norm(of_the_sum) / np.linalg.norm(limit)
    assert cosine < 0.9
    plain = np.asarray(jax.grad(objective(Sum(), apart))(theta))
    np.testing.assert_allclose(of_the_sum, plain / values.sum())


@pytest.mark.parametrize("n", [1, 3, 1000])
def test_8_a_change_of_units_and_what_a_decade_is_worth(n):
    rule, values = power(n, n), np.array([0.3, 40.0])
    state, units = state_of(rule, TERMS), np.array([1.0, 1e8])
    changed = weights(rule, units * values) * units / weights(rule, values)
    assert changed[1] / changed[0] == pytest.approx(1e8 ** (1 / n), rel=1e-9)

    def won(supervised: float) -> float:
        """What a further decade of the supervised term lowers the objective by, times n."""
        ends = [rule.combine(np.array([supervised * f, 40.0]), state, np)[0] for f in (1.0, 0.1)]
        return n * (ends[0] - ends[1])

    early, late = won(1e-2), won(1e-8)
    assert late / early == pytest.approx(10 ** (-6 / n), rel=1e-5)
    assert (late / early > 0.98) == (n == 1000), "of the logarithm every decade is worth the same: the S trap"


def trapped(theta: jax.Array) -> jax.Array:
    """The supervised term is zero on the lines x = 0 and x = 1, the residual at (1, 0) alone."""
    x, y = theta
    return jnp.array([(x * (x - 1)) ** 2, (x - 1) ** 2 + y**2])


@pytest.mark.parametrize(("m", "held"), [(1, False), (1.5, False), (3, True), (6, True)])
def test_9_above_two_a_root_makes_every_zero_of_its_term_a_trap(m, held):
    """(0, 0) is the least residual on the line x = 0, not zero: a local minimum if m > 2, and not if m < 2."""
    function = jax.jit(objective(power(m, 1), trapped))
    at = float(function(jnp.zeros(2)))
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    for radius in (1e-4, 1e-5):
        around = [float(function(jnp.asarray(radius * np.array([np.cos(a), np.sin(a)])))) for a in angles]
        assert (min(around) > at) == held
    end = minimised(function, [1e-4, 0.3])
    assert (abs(end[0]) < 1e-3) == held
    assert not held or end[1] > 0.29, "on the cusp the search does not even go along it"


def test_9_at_two_the_slopes_decide():
    """sqrt(L_s) rises by |x|, the residual falls by 2 c |x|: a trap if and only if 2 c < 1."""
    for c, held in ((0.4, True), (0.6, False)):

        def terms(theta: jax.Array, c: float = c) -> jax.Array:
            return trapped(theta) * jnp.array([1.0, c])

        function = objective(power(2, 1), terms)
        assert (float(function(jnp.array([1e-4, 0.0]))) > float(function(jnp.zeros(2)))) == held


@pytest.mark.parametrize("m", [1, 2, 3])
def test_10_the_number_of_powers_is_the_first_that_brings_the_terms_within_a_decade(m):
    """Against a search by the real rule."""
    for supervised, residual in 10.0 ** np.random.default_rng(5).uniform((-4, -3), (4, 9), (300, 2)):
        values = np.array([supervised, residual])
        found = next((n for n in range(1, 60) if within_a_decade(*values ** powers_of(m, n))), None)
        predicted = number_of_powers(supervised, residual, m)
        assert predicted == found or (found is None and predicted is not None and predicted >= 60)
    assert number_of_powers(2.5, 3.1e3, 1) == 3 and number_of_powers(0.05, 1e6, 1) is None


def test_every_statement_names_its_tests_and_every_test_has_a_statement():
    named = re.findall(r"`(test_\w+)`", CHAPTER)
    mine = [name for name in globals() if re.match(r"test_\d+_", name)]
    assert named == mine
    numbers = re.findall(r"^## (\d+)\. ", CHAPTER, re.M)
    assert numbers == [str(i) for i in range(1, len(numbers) + 1)]
    assert {re.match(r"test_(\d+)_", name)[1] for name in mine} == set(numbers)
