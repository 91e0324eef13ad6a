"""Losses: a balancing rule over a backend's terms, torch against JAX, and both against the terms themselves."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from solvers.backends import Backend
from solvers.model.terms import Term
from solvers.training.loss import Loss
from tests.conftest import BACKENDS, METHODS, build, loss_kind, one_of_each, smoke_spec, state_of

LOSSES = pytest.mark.parametrize("loss", one_of_each(loss_kind, METHODS), ids="-".join)


@LOSSES
def test_losses_of_backends_agree_to_1e_10(loss):
    """At the start of every level."""
    results = {}
    for name in BACKENDS:
        spec = smoke_spec(loss, name)
        _problem, backend, theta = build(spec)
        for level in spec.build_levels():
            state = state_of(level.balancing, backend.sizes)
            results.setdefault(name, []).append(Loss(backend, level.balancing).evaluate(theta, state))
    for ours, other in zip(results["jax"], results["torch"], strict=True):
        assert ours.loss == pytest.approx(other.loss, rel=1e-10)
        np.testing.assert_allclose(ours.weights, other.weights, rtol=1e-10)
        gradients = ours.gradient, other.gradient
        assert np.abs(gradients[0] - gradients[1]).max() <= 1e-10 * np.abs(gradients[0]).max()


@LOSSES
def test_evaluation_is_the_combination_of_the_terms(loss, backend_name):
    spec = smoke_spec(loss, backend_name)
    _problem, backend, theta = build(spec)
    rule = spec.build_levels()[0].balancing
    state = state_of(rule, backend.sizes)
    raw, _ = backend.terms_and_gradients(theta)
    values, gradients = weighted(backend, rule.multipliers(state)).terms_and_gradients(theta)
    seen = Loss(backend, rule).evaluate(theta, state)
    objective, weights = rule.combine(values, state, np)
    np.testing.assert_allclose(seen.values, raw, rtol=1e-12)
    assert seen.loss == pytest.approx(float(objective), rel=1e-12)
    combined = weights @ gradients
    np.testing.assert_allclose(seen.gradient, combined, rtol=1e-9, atol=1e-12 * np.abs(combined).max())
    np.testing.assert_allclose(seen.weights, weights * values / raw, rtol=1e-12)
    norms = np.linalg.norm(gradients, axis=1)
    np.testing.assert_allclose(seen.weights * seen.gradient_norms, weights * norms, rtol=1e-12)


def weighted(backend: Backend, multipliers: Mapping[str, np.ndarray]) -> Backend:
    """A backend whose points have the squared multipliers of a pointwise rule in their weights."""
    terms = []
    for term in backend.terms:
        constraints, own = [], multipliers.get(term.name)
        for constraint in term.constraints:
            if own is not None:
                constraint_own, own = np.split(own, [len(constraint.weight)])
                constraint = replace(constraint, weight=constraint.weight * constraint_own**2)
            constraints.append(constraint)
        terms.append(Term(term.name, tuple(constraints)))
    return type(backend)(backend.model, tuple(terms), backend.dtype.name)
