"""Balancing rules: derivative, agreement between namespaces, and the power's floor at zero."""

import re
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from solvers import backends, balancing
from solvers.balancing import Balancing
from solvers.balancing.base import TINY, State, term_weights
from solvers.plugins import KeyProblem
from tests.conftest import METHODS, ROOT, smoke_spec, state_of

backends.load("jax")  # turns float64 on, whichever tests ran before
TERMS = ("initial", "boundary", "residual")
NAMESPACES = {
    "numpy": (np, np.asarray),
    "jax": (jnp, jnp.asarray),
    "torch": (torch, lambda array: torch.from_numpy(np.array(array))),
}


def levels_of(method: tuple[str, str]) -> tuple[list[tuple[Balancing, State]], np.ndarray]:
    """The rule and its state at the start of each level, and values of the terms."""
    spec = smoke_spec(method, "jax")
    values = np.array([2.0, 0.3, 4e2, 5e3])[: len(spec.terms)]
    rules = [level.balancing for level in spec.build_levels()]
    return [(rule, state_of(rule, spec.terms)) for rule in rules], values


def combined(rule: Balancing, values: np.ndarray, state: State, namespace: str = "numpy"):
    """Objective and weights by way of a namespace, in NumPy."""
    xp, convert = NAMESPACES[namespace]
    found = rule.combine(convert(values), {name: convert(array) for name, array in state.items()}, xp)
    return tuple(np.asarray(each) for each in found)


def test_weights_are_the_objectives_derivatives(method):
    levels, values = levels_of(method)
    for rule, state in levels:
        _, weights = combined(rule, values, state)
        for i, value in enumerate(values):
            step = np.zeros(len(values))
            step[i] = 1e-5 * value
            rise = combined(rule, values + step, state)[0] - combined(rule, values - step, state)[0]
            assert weights[i] == pytest.approx(rise / (2 * step[i]), rel=1e-6)


def test_levels_share_their_compiled_programs(method):
    """Equal keys, and states of equal names and shapes: what differs from level to level is in the state."""
    levels, _ = levels_of(method)
    assert len({rule.key for rule, _ in levels}) == 1
    assert len({tuple((name, array.shape) for name, array in state.items()) for _, state in levels}) == 1


@pytest.mark.parametrize("name", balancing.names())
def test_every_rule_as_it_is_by_default(name):
    """Its weights are the derivatives of its objective, in each namespace; also that of a rule of no method."""
    rule, values = balancing.load(name)(), np.array([2.0, 0.3, 4e2])
    state = state_of(rule, TERMS)
    objective, weights = combined(rule, values, state)
    for i, value in enumerate(values):
        step = 1e-5 * value * np.eye(3)[i]
        rise = combined(rule, values + step, state)[0] - combined(rule, values - step, state)[0]
        assert weights[i] == pytest.approx(rise / (2e-5 * value), rel=1e-6)
    for namespace in NAMESPACES:
        ours = combined(rule, values, state, namespace)
        np.testing.assert_allclose(ours[0], objective, rtol=1e-14)
        np.testing.assert_allclose(ours[1], weights, rtol=1e-14)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_namespaces_agree(method, namespace):
    levels, values = levels_of(method)
    for rule, state in levels:
        expected, ours = combined(rule, values, state), combined(rule, values, state, namespace)
        np.testing.assert_allclose(ours[0], expected[0], rtol=1e-14)
        np.testing.assert_allclose(ours[1], expected[1], rtol=1e-14)


def power(**exponents: float) -> Balancing:
    return balancing.load("power")(exponents)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0, 4.0])
def test_power_at_zero_is_finite(namespace, dtype, exponent):
    rule = power(residual=exponent, supervised=exponent)
    state = {name: array.astype(dtype) for name, array in state_of(rule, TERMS).items()}
    objective, weights = combined(rule, np.zeros(3, dtype), state, namespace)
    assert float(objective) == pytest.approx(2 * TINY ** (1 / exponent), rel=1e-4)
    expected = TINY ** (1 / exponent - 1) / exponent
    np.testing.assert_allclose(weights, np.full(3, expected), rtol=1e-4)
    assert np.isfinite(weights).all()


def test_power_above_the_floor_is_the_formula():
    rule = power(residual=3, supervised=2)
    objective, weights = combined(rule, np.array([3.0, 6.0, 8.0]), state_of(rule, TERMS))
    assert objective == pytest.approx(9**0.5 + 8 ** (1 / 3))
    np.testing.assert_allclose(weights, [1 / 6, 1 / 6, 8 ** (-2 / 3) / 3])


def test_power_of_one_is_the_sum():
    values = np.array([3e-7, 6.0, 8e6])
    ones, plain = power(), balancing.load("sum")()
    ours = combined(ones, values, state_of(ones, TERMS))
    expected = combined(plain, values, state_of(plain, TERMS))
    assert ours[0] == pytest.approx(expected[0], rel=1e-15)
    np.testing.assert_array_equal(ours[1], expected[1])


WEIGHTS = {"supervised": 100.0, "boundary": 10.0, "residual": 2.0}


def test_the_weights_of_a_sum():
    rule = balancing.load("sum")(weights=WEIGHTS)
    objective, weights = combined(rule, np.array([3.0, 6.0, 8.0]), state_of(rule, TERMS))
    assert objective == 300 + 60 + 16
    np.testing.assert_array_equal(weights, [100, 10, 2])


def test_the_weights_of_powers_stand_inside_them():
    rule = balancing.load("power")({"supervised": 2.0, "residual": 4.0}, WEIGHTS)
    objective, weights = combined(rule, np.array([3.0, 6.0, 8.0]), state_of(rule, TERMS))
    assert objective == pytest.approx(360**0.5 + 16**0.25)
    np.testing.assert_allclose(weights, [100 * 0.5 * 360**-0.5, 10 * 0.5 * 360**-0.5, 2 * 0.25 * 16**-0.75])


@pytest.mark.parametrize("name", ["sum", "power"])
def test_without_weights_a_state_is_what_it_was(name):
    """To the last bit: ones, and membership in ones and zeros."""
    state = state_of(balancing.load(name)(), ("initial", "boundary", "residual.left", "residual.right"))
    expected = {"sum": {"weights": np.ones(4)}, "power": {"member": [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}}
    for key, array in expected[name].items():
        np.testing.assert_array_equal(state[key], array)
        assert state[key].dtype == np.float64


def test_supervised_terms_are_all_but_the_residuals():
    """Which a hard constraint leaves alone: their weight then has nothing to multiply."""
    terms = ("initial", "boundary", "residual.left", "residual.right")
    np.testing.assert_array_equal(term_weights({"supervised": 5.0}, terms), [5, 5, 1, 1])
    np.testing.assert_array_equal(term_weights({"supervised": 5.0}, ("residual",)), [1])


@pytest.mark.parametrize("name", ["sum", "power"])
@pytest.mark.parametrize("weights", [{"boundry": 2.0}, {"boundary": 0.0}, {"supervised": -1.0}])
def test_impossible_weights_are_refused(name, weights):
    (term,) = weights
    with pytest.raises(KeyProblem, match=r"allowed: supervised, initial|greater than 0") as caught:
        state_of(balancing.load(name)(weights=weights), TERMS)
    assert caught.value.key == f"weights.{term}"


def test_residual_groups_have_exponents_of_their_own():
    rule = power(**{"residual.left": 2, "residual.right": 4})
    state = state_of(rule, ("boundary", "residual.left", "residual.right"))
    assert combined(rule, np.array([1.0, 9.0, 16.0]), state)[0] == pytest.approx(1 + 3 + 2)


def test_an_exponent_for_all_groups_but_those_named():
    rule = power(residual=4, **{"residual.left": 2})
    state = state_of(rule, ("boundary", "residual.left", "residual.right"))
    assert combined(rule, np.array([1.0, 9.0, 16.0]), state)[0] == pytest.approx(1 + 3 + 2)


@pytest.mark.parametrize("exponents", [{"residul": 2.0}, {"residual": 0.0}, {"initial": 2.0}])
def test_impossible_exponents_are_refused(exponents):
    (name,) = exponents
    with pytest.raises(KeyProblem, match=r"allowed|greater") as caught:
        state_of(power(**exponents), TERMS)
    assert caught.value.key == f"exponents.{name}"


@pytest.mark.parametrize(
    ("name", "settings", "fixed", "changing"),
    [
        ("sum", {}, True, ()),
        ("power", {}, True, ()),
        ("lra", {"update_every": 7}, False, ()),
        ("self-adaptive", {}, False, ("multiplier.residual",)),
    ],
)
def test_a_rule_says_whether_its_objective_is_one_function(name, settings, fixed, changing):
    rule = balancing.load(name)(**settings)
    assert rule.fixed is fixed and rule.trained == changing
    assert rule.every == settings.get("update_every")


def test_every_rule_is_used_by_a_method_or_a_study():
    specs = [smoke_spec(method, "jax", "paper") for method in METHODS]
    used = {level.balancing["name"] for spec in specs for level in spec.levels}
    studies = "".join(path.read_text() for path in (ROOT / "config/studies").glob("*.yaml"))
    assert used | set(re.findall(r"balancing: \{name: ([\w-]+)", studies)) == set(balancing.names())


def test_gradient_norm_gives_the_published_weights():
    """Wang et al. 2023, algorithm 1, which has the sum of the norms where their code has the mean."""
    gradients = np.array([[1, 2, 0, 1], [-3, 1, 1, 0], [0, -0.5, 2, 1]])
    rule = balancing.load("gradient-norm")(rate=1.0)
    state, _ = rule.update(state_of(rule, TERMS), SimpleNamespace(gradients=gradients, terms=TERMS))
    np.testing.assert_allclose(state["weights"] / 3, [1.0964735825, 0.8097994085, 1.1721795655], rtol=1e-10)
    slow = balancing.load("gradient-norm")(rate=0.1)
    slow, _ = slow.update({"weights": np.ones(3)}, SimpleNamespace(gradients=gradients, terms=TERMS))
    np.testing.assert_allclose(slow["weights"], 0.9 + 0.1 * state["weights"], rtol=1e-14)
