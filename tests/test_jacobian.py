"""Residuals, their Jacobian row by row, and fields: against the terms, NumPy, a dense computation, each other.

Rows as JAX compiles them in production are in test_compiled_terms.
"""

from collections.abc import Mapping

import numpy as np
import pytest

from solvers.backends import Backend
from solvers.model.jets import layout_for, numpy_ops
from solvers.model.networks.base import unflatten
from tests.conftest import BACKENDS, PHYSICS_ON, build, smoke_spec
from tests.test_jets import all_derivatives

GROUPED = ("pulse", "mmpinn-grs")


def joined(backend: Backend, theta: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Residuals (n,), shares (n,) and rows (n, P) of every term."""
    found: dict[str, list] = {}
    for part in backend.rows(theta):
        found.setdefault(part.term, []).append((part.residuals, part.shares, part.jacobian))
    return {name: tuple(map(np.concatenate, zip(*parts, strict=True))) for name, parts in found.items()}


def assert_near(ours: np.ndarray, expected: np.ndarray, relative: float = 1e-10) -> None:
    """Equal but for so much of the largest entry."""
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=relative * np.abs(expected).max())


def test_rows_make_the_terms_and_their_gradients_in_both_backends(physics):
    """Term = sum of share r^2, gradient = 2 times the sum of share r J; torch against JAX to 1e-10."""
    found = {}
    for name in (name for name in BACKENDS if (physics, name) in PHYSICS_ON):
        _, backend, theta = build(smoke_spec(physics, name))
        found[name] = joined(backend, theta)
        values, gradients = backend.terms_and_gradients(theta)
        assert list(found[name]) == backend.names
        for i, (residuals, shares, rows) in enumerate(found[name].values()):
            assert rows.shape == (backend.terms[i].size, backend.parameters)
            assert shares @ residuals**2 == pytest.approx(values[i], rel=1e-10)
            assert_near(2 * (shares * residuals) @ rows, gradients[i])
        direct = backend.residuals(theta)
        norms = backend.row_norms(theta)
        for term, (residuals, _, rows) in found[name].items():
            assert_near(direct[term], residuals)
            assert_near(norms[term], (rows**2).sum(axis=1))
    for term, ours in found.get("jax", {}).items():
        for own, other in zip(ours, found["torch"][term], strict=True):
            assert_near(own, other)


def test_residuals_at_any_points_are_those_of_the_term(physics_on):
    """At the term's own points, constraint by constraint; and at others the mismatch of NumPy's jets."""
    problem, backend, theta = build(smoke_spec(*physics_on))
    for term, residuals in backend.residuals(theta).items():
        constraints = next(own.constraints for own in backend.terms if own.name == term)
        places = np.cumsum([len(constraint.points) for constraint in constraints])[:-1]
        for constraint, own in zip(constraints, np.split(residuals, places), strict=True):
            # The points of the first equation: others of the same operator have their own.
            first = constraint.sizes[0]
            ours = backend.residuals_at(theta, constraint.equation, constraint.points[:first])
            assert_near(ours, own[:first])
    points = np.random.default_rng(5).uniform(problem.lower, problem.upper, (1003, problem.dimension))
    named = numpy_jets(backend, theta, points, problem.coordinates, problem.residual.derivatives)
    expected = problem.residual.apply(named, list(points.T)) - problem.residual.target(points)
    assert_near(backend.residuals_at(theta, problem.residual, points), expected, 1e-9)


def numpy_jets(backend: Backend, theta, points, coordinates, names) -> Mapping[str, np.ndarray]:
    """u and derivatives of it in NumPy."""
    model, layout = backend.model, layout_for(coordinates, names)
    given = model.constants(layout) | model.at_points(points, layout) | {"points": points}
    jet = model.output(points, layout, unflatten(theta, model.shapes), given, numpy_ops)
    return (model.trial.jet(jet, given, numpy_ops) if model.trial else jet).named()


def test_fields_are_numpys_jets(field_on):
    """u and all its derivatives of first and second order, at more points than are swept at once."""
    problem, backend, theta = build(smoke_spec(*field_on))
    points = np.random.default_rng(4).uniform(problem.lower, problem.upper, (8200, problem.dimension))
    names = ["", *all_derivatives(problem.coordinates)]
    ours = backend.fields(theta, points, names)
    assert list(ours) == names
    expected = numpy_jets(backend, theta, points, problem.coordinates, names)
    for name in names:
        assert_near(ours[name], np.broadcast_to(expected[name], len(points)))
    assert_near(ours[""], backend.predict(theta, points))
    assert_near(backend.fields(theta, points[:3], [names[1]])[names[1]], ours[names[1]][:3])


@pytest.mark.parametrize("weighted", [False, True])
def test_normal_equations_are_those_of_the_dense_jacobian(backend_name, weighted):
    _, backend, theta = build(smoke_spec(GROUPED, backend_name))
    parts = joined(backend, theta)
    weights = {name: 0.5 + i for i, name in enumerate(parts)} if weighted else None
    residuals, shares, rows = (np.concatenate([part[k] for part in parts.values()]) for k in range(3))
    each = [np.full(len(part[0]), weights[name] if weights else 1.0) for name, part in parts.items()]
    diagonal = np.diag(shares * np.concatenate(each))
    matrix, vector = backend.normal_equations(theta, weights)
    assert_near(matrix, rows.T @ diagonal @ rows)
    assert_near(vector, rows.T @ diagonal @ residuals)
    values, gradients = backend.terms_and_gradients(theta)
    own = np.array(list(weights.values())) if weights else np.ones(len(values))
    assert_near(2 * vector, own @ gradients)


def test_rows_of_some_terms_are_made_alone_and_in_parts(backend_name, monkeypatch):
    """Few at a time, the last part filled up: the same rows, none of them twice."""
    _, backend, theta = build(smoke_spec(GROUPED, backend_name))
    name = backend.names[-1]
    residuals, shares, rows = joined(backend, theta)[name]
    at_once = 7 * backend.parameters
    monkeypatch.setattr(f"solvers.backends.{backend_name}.ROWS_AT_ONCE", at_once)
    parts = list(backend.rows(theta, [name]))
    assert {part.term for part in parts} == {name}
    assert len(parts) == -(-len(rows) // 7) and max(len(part.residuals) for part in parts) == 7
    assert_near(np.concatenate([part.jacobian for part in parts]), rows, 1e-12)
    assert_near(np.concatenate([part.residuals for part in parts]), residuals, 1e-12)
    np.testing.assert_array_equal(np.concatenate([part.shares for part in parts]), shares)
    assert list(backend.row_norms(theta, [name])) == [name]


@pytest.mark.parametrize("size", [7, 13, 10_000])
@pytest.mark.parametrize("multiplied", [False, True])
def test_residuals_of_a_sweep_hold_no_padding(backend_name, size, multiplied):
    """Chunks that do not divide the points are filled up: residuals and shares have the term's own points alone,
    and no multipliers."""
    _, whole, theta = build(smoke_spec(("heat-0.15", "mmpinn"), backend_name))
    backend = type(whole)(whole.model, whole.terms, "float64", chunk_size=size)
    sizes, rng = backend.sizes, np.random.default_rng(0)
    names = ("residual", "boundary")
    multipliers = {name: rng.uniform(1, 2, sizes[name]) for name in names} if multiplied else {}

    def sweep(points, theta, multipliers):
        return backend.terms_at(points, theta, multipliers, names)

    key = ("test", size, multiplied)
    arrays = backend.array(theta), backend.array(multipliers)
    found = backend.call(key, lambda *given: vars(sweep(*given)), *arrays)
    found = {part: backend.numpy(arrays) for part, arrays in found.items()}
    expected = joined(whole, theta)
    assert set(found["residuals"]) == set(found["shares"]) == set(names)
    for name in names:
        residuals, shares, rows = expected[name]
        assert_near(found["residuals"][name], residuals, 1e-11)
        np.testing.assert_allclose(found["shares"][name], shares, rtol=1e-15)
        place, factors = backend.names.index(name), multipliers.get(name, np.ones(len(shares)))
        assert found["raw"][place] == pytest.approx(shares @ residuals**2, rel=1e-11)
        assert found["values"][place] == pytest.approx(shares @ (factors * residuals) ** 2, rel=1e-11)
        assert_near(found["gradients"][place], 2 * (shares * factors**2 * residuals) @ rows)
