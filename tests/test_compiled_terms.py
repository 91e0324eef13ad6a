"""Terms and rows as JAX compiles them in production, with XLA's optimizing: float32, and features kept."""

import numpy as np
import pytest

import problems
from solvers import backends
from solvers.model.networks.base import flatten
from solvers.model.terms import INPUTS, CollocationPoints, Model, build_terms
from tests.conftest import BACKENDS, METHODS, build, one_of_each, smoke_spec
from tests.test_jacobian import GROUPED, assert_near, joined
from tests.test_terms import points_of, small_network

pytestmark = pytest.mark.usefixtures("compiled_as_in_production")


def test_float32_stays_float32_and_near_float64(physics_on):
    physics, backend_name = physics_on
    spec = smoke_spec(physics, backend_name, numerics="paper")
    problem, single, theta = build(spec)
    _, double, _ = build(smoke_spec(physics, "torch"))  # both backends' float64 agree to 1e-10: test_terms
    assert theta.dtype == np.float32
    values, gradients = single.terms_and_gradients(theta)
    exact, exact_gradients = double.terms_and_gradients(theta)
    assert single.predict(theta, np.zeros((3, problem.dimension))).dtype == np.float32
    assert {array.dtype for array in single.residuals(theta).values()} == {np.dtype("float32")}
    np.testing.assert_allclose(values, exact, rtol=2e-4)
    assert np.abs(gradients - exact_gradients).max() <= 2e-4 * np.abs(exact_gradients).max()


@pytest.mark.parametrize("method", one_of_each(lambda spec: spec.network["name"], METHODS), ids="-".join)
def test_float64_is_that_of_torch(method):
    """Of each network; test_terms and test_jacobian have all physics, without XLA's optimizing."""
    found, rows = {}, {}
    for name in BACKENDS:
        _, backend, theta = build(smoke_spec(method, name))
        found[name] = backend.terms_and_gradients(theta)
        rows[name] = joined(backend, theta)
    ours, other = found["jax"], found["torch"]
    np.testing.assert_allclose(ours[0], other[0], rtol=1e-10)
    scale = np.abs(ours[1]).max(axis=1, keepdims=True)
    np.testing.assert_array_less(np.abs(ours[1] - other[1]) / scale, 1e-10)
    assert list(rows["jax"]) == list(rows["torch"]) == backend.names
    for term, own in rows["jax"].items():
        for one, another in zip(own, rows["torch"][term], strict=True):
            assert_near(one, another)


def test_squares_and_gradients_of_float32_are_summed_in_float64(backend_name):
    """Whatever the order of the sum, a term is that of its float32 squares: not rounded to float32's unit, which
    is 0.25 at the residual's 3e6, more than a step of a line search gains."""
    spec = smoke_spec(
        ("heat-0.15", "pinn"), backend_name, numerics="paper", overrides=["points.residual.count=5000"]
    )
    _, backend, theta = build(spec)
    values, gradients = backend.terms_and_gradients(theta)
    assert values.dtype == gradients.dtype == np.float64
    found = backend.residuals(theta)
    for term, value in zip(backend.terms, values, strict=True):
        shares = np.concatenate([constraint.weight for constraint in term.constraints]).astype(np.float32)
        squares = shares * (found[term.name] * found[term.name])
        assert value == pytest.approx(float(squares.sum(dtype=np.float64)), rel=1e-12)
    assert (values != values.astype(np.float32)).any()


def test_rows_stay_in_the_precision_of_the_backend(backend_name):
    _, backend, theta = build(smoke_spec(GROUPED, backend_name, numerics="paper"))
    _, double, exact = build(smoke_spec(GROUPED, backend_name))
    part, other = next(backend.rows(theta)), next(double.rows(exact))
    assert part.residuals.dtype == part.jacobian.dtype == np.float32
    assert_near(part.jacobian, other.jacobian, 2e-4)
    assert backend.normal_equations(theta)[0].dtype == np.float64


@pytest.mark.parametrize("network", ["mff", "inn"])
def test_features_kept_or_computed_in_every_sweep_are_the_same(network, backend_name, monkeypatch):
    problem = problems.load("helmholtz")
    built = small_network(network, problem.dimension)
    rng = np.random.default_rng(0)
    collocation = [CollocationPoints(e.term, e, points_of(e, "grid", 15, rng)) for e in problem.equations]
    model = Model(built, *INPUTS["interval"](problem.lower, problem.upper), built.frozen(problem.dimension, rng))
    theta = flatten(built.initialise(problem.dimension, rng))
    computed = []
    features = Model.features
    monkeypatch.setattr(Model, "features", lambda *arguments: computed.append(1) or features(*arguments))
    found, sweeps = [], []
    for limit in (2**28, 0):
        monkeypatch.setattr(f"solvers.backends.{backend_name}.FEATURES_AT_MOST", limit)
        backend = backends.load(backend_name)(model, build_terms(collocation), "float64", chunk_size=4)
        computed.clear()
        found.append(backend.terms_and_gradients(theta))
        sweeps.append(bool(computed))
    assert sweeps == [False, True]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-12 * np.abs(found[1][1]).max())
