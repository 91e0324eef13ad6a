"""Balancing rules: derivative, agreement between namespaces, and the power's floor at zero."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from solvers import backends, balancing
from solvers.balancing.base import TINY
from tests.conftest import CATALOGUE, METHODS, coefficients_of, smoke_spec

backends.load("jax")  # turns float64 on, whichever tests ran before
TERMS = ("initial", "boundary", "residual")
NAMESPACES = {
    "numpy": np.asarray,
    "jax": jnp.asarray,
    "torch": lambda array: torch.from_numpy(np.array(array)),
}


def levels_of(method: tuple[str, str]):
    spec = smoke_spec(method, "jax")
    rule = spec.build_balancing()
    values = np.array([2.0, 0.3, 4e2, 5e3])[: len(spec.terms)]
    return rule, [coefficients_of(rule, spec.terms, level.exponents) for level in spec.levels], values


def test_weights_are_the_objectives_derivatives(method):
    rule, levels, values = levels_of(method)
    for coefficients in levels:
        _, weights = rule.combine(values, coefficients)
        for i, value in enumerate(values):
            step = np.zeros(len(values))
            step[i] = 1e-5 * value
            rise = rule.combine(values + step, coefficients)[0] - rule.combine(values - step, coefficients)[0]
            assert weights[i] == pytest.approx(rise / (2 * step[i]), rel=1e-6)


def test_coefficients_keep_their_shape_from_level_to_level(method):
    _, levels, _ = levels_of(method)
    assert len({level.shape for level in levels}) == 1


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_namespaces_agree(method, namespace):
    rule, levels, values = levels_of(method)
    for coefficients in levels:
        expected = rule.combine(values, coefficients)
        ours = rule.combine(NAMESPACES[namespace](values), NAMESPACES[namespace](coefficients))
        np.testing.assert_allclose(np.asarray(ours[0]), expected[0], rtol=1e-14)
        np.testing.assert_allclose(np.asarray(ours[1]), expected[1], rtol=1e-14)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0, 4.0])
def test_power_at_zero_is_finite(namespace, dtype, exponent):
    rule = balancing.load("power")()
    coefficients = coefficients_of(rule, TERMS, {"residual": exponent, "supervised": exponent}).astype(dtype)
    values = np.zeros(3, dtype)
    objective, weights = rule.combine(NAMESPACES[namespace](values), NAMESPACES[namespace](coefficients))
    assert float(objective) == pytest.approx(2 * TINY ** (1 / exponent), rel=1e-4)
    expected = TINY ** (1 / exponent - 1) / exponent
    np.testing.assert_allclose(np.asarray(weights), np.full(3, expected), rtol=1e-4)
    assert np.isfinite(np.asarray(weights)).all()


def test_power_above_the_floor_is_the_formula():
    rule = balancing.load("power")()
    coefficients = coefficients_of(rule, TERMS, {"residual": 3, "supervised": 2})
    objective, weights = rule.combine(np.array([3.0, 6.0, 8.0]), coefficients)
    assert objective == pytest.approx(9**0.5 + 8 ** (1 / 3))
    np.testing.assert_allclose(weights, [1 / 6, 1 / 6, 8 ** (-2 / 3) / 3])


def test_power_of_one_is_the_sum():
    values = np.array([3e-7, 6.0, 8e6])
    power, plain = balancing.load("power")(), balancing.load("sum")()
    ours = power.combine(values, coefficients_of(power, TERMS, {}))
    expected = plain.combine(values, coefficients_of(plain, TERMS, {}))
    assert ours[0] == pytest.approx(expected[0], rel=1e-15)
    np.testing.assert_array_equal(ours[1], expected[1])


def test_residual_groups_have_exponents_of_their_own():
    rule = balancing.load("power")()
    terms = ("boundary", "residual.left", "residual.right")
    coefficients = coefficients_of(rule, terms, {"residual.left": 2, "residual.right": 4})
    assert rule.combine(np.array([1.0, 9.0, 16.0]), coefficients)[0] == pytest.approx(1 + 3 + 2)


@pytest.mark.parametrize("exponents", [{"residul": 2.0}, {"residual": 0.0}, {"initial": 2.0}])
def test_impossible_exponents_are_refused(exponents):
    with pytest.raises(ValueError, match=r"allowed|greater"):
        coefficients_of(balancing.load("power")(), TERMS, exponents)


def test_every_rule_is_used_by_a_method():
    used = {CATALOGUE.resolve(*method, "jax", scale="smoke").balancing["name"] for method in METHODS}
    assert used == set(balancing.names())
