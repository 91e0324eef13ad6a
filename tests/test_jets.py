"""Jets against nested automatic differentiation, for every network and both frameworks."""

import itertools
from collections.abc import Callable, Mapping
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from solvers.backends.jax import OPS as JAX_OPS
from solvers.backends.torch import OPS as TORCH_OPS
from solvers.configuration.spec import RunSpec
from solvers.model.jets import FUSED, Jet, channel_rows, coordinate_jet, layout_for, numpy_ops
from solvers.model.networks.base import unflatten
from solvers.model.terms import Model
from tests.conftest import METHODS, build, dimension_of, one_of_each, smoke_spec

POINTS = 12


def output_jet(model: Model, theta, points, layout, ops, convert: Callable) -> Jet:
    given = {name: convert(array) for name, array in model.constants(layout).items()}
    return model.output(points, layout, unflatten(theta, model.shapes), given, ops)


def all_derivatives(coordinates: tuple[str, ...]) -> list[str]:
    pairs = itertools.combinations_with_replacement(coordinates, 2)
    return [*coordinates, *("".join(pair) for pair in pairs)]


def partial_derivative(function: Callable, i: int) -> Callable:
    return lambda point: jax.grad(function)(point)[i]


def nested_jax(model: Model, theta: np.ndarray, points: np.ndarray, coordinates: tuple[str, ...]) -> dict:
    def u(point):
        return output_jet(model, jnp.asarray(theta), point[None], (), JAX_OPS, jnp.asarray).value[0, 0]

    found = {}
    for name in all_derivatives(coordinates):
        function = u
        for letter in name:
            function = partial_derivative(function, coordinates.index(letter))
        found[name] = np.asarray(jax.vmap(function)(jnp.asarray(points)))
    return found


def nested_torch(model: Model, theta: np.ndarray, points: np.ndarray, coordinates: tuple[str, ...]) -> dict:
    where = torch.from_numpy(points).requires_grad_()
    u = output_jet(model, torch.from_numpy(theta), where, (), TORCH_OPS.plain, torch.from_numpy).value
    found = {}
    for name in all_derivatives(coordinates):
        value = u
        for letter in name:
            (gradient,) = torch.autograd.grad(value.sum(), where, create_graph=True)
            value = gradient[:, coordinates.index(letter)]
        found[name] = value.detach().numpy()
    return found


FRAMEWORKS = {
    "jax": (nested_jax, JAX_OPS, jnp.asarray, np.asarray),
    "torch": (nested_torch, TORCH_OPS, torch.from_numpy, lambda tensor: tensor.detach().numpy()),
}


def network_kind(spec: RunSpec) -> str:
    """What decides which operations a network is made of: its settings but for numbers that only scale something,
    its size, and how its parameters are drawn (in NumPy); and the number of coordinates."""

    left_out = ("width", "depth", "weights", "biases")

    def without_numbers(value: object) -> object:
        if isinstance(value, Mapping):
            return {name: without_numbers(each) for name, each in value.items() if name not in left_out}
        if isinstance(value, list | tuple):
            return [without_numbers(each) for each in value]
        return "number" if isinstance(value, float) else value

    return f"{without_numbers(spec.network)} in {dimension_of(spec)}"


@pytest.fixture(params=one_of_each(network_kind, METHODS), ids="-".join)
def method(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A method for each kind of network among all methods."""
    return request.param


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest):
    return FRAMEWORKS[request.param]


@cache
def nested_derivatives(nested: Callable, method: tuple[str, str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Points, and all derivatives of the method's network there by nested automatic differentiation."""
    problem, backend, theta = build(smoke_spec(method, "jax"))
    points = np.random.default_rng(2).uniform(problem.lower, problem.upper, (POINTS, problem.dimension))
    return points, nested(backend.model, theta, points, problem.coordinates)


def test_jets_equal_nested_autodiff(method, framework):
    nested, ops, convert, back = framework
    problem, backend, theta = build(smoke_spec(method, "jax"))
    points, expected = nested_derivatives(nested, method)
    layout = layout_for(problem.coordinates, list(expected))
    jet = output_jet(backend.model, convert(theta), convert(points), layout, ops, convert)
    for name, value in jet.named().items():
        if name:
            size = np.abs(expected[name]).max()
            np.testing.assert_allclose(back(value), expected[name], atol=1e-12 * size, rtol=1e-12)


def test_fused_channel_equals_the_combination(method, framework):
    nested, ops, convert, back = framework
    problem, backend, theta = build(smoke_spec(method, "jax"))
    points, expected = nested_derivatives(nested, method)
    linear = {name: 0.7 - 0.3 * i for i, name in enumerate(expected)}
    layout = layout_for(problem.coordinates, linear, linear)
    jet = output_jet(backend.model, convert(theta), convert(points), layout, ops, convert)
    combined = sum(coefficient * expected[name] for name, coefficient in linear.items())
    np.testing.assert_allclose(back(jet.named()[FUSED]), combined, rtol=1e-11, atol=1e-11 * np.abs(combined).max())


def test_only_needed_channels_travel():
    assert layout_for(("x", "t"), [""], {"": 1.0}) == ()
    assert [c.name for c in layout_for(("x", "t"), ["t", "xx"])] == ["x", "t", "xx"]
    assert [c.name for c in layout_for(("x", "t"), ["t", "xx"], {"t": 1.0, "xx": -1.0})] == ["x", FUSED]
    assert [c.name for c in layout_for(("x", "t"), ["t"], {"t": 2.0})] == [FUSED]


def test_a_map_carries_no_channel_of_coordinates_that_it_does_not_read():
    names = ["x", "t", "xx", "xt", "tt"]
    layout = layout_for(("x", "t"), names)
    rows = channel_rows(layout, np.ones(2))
    jet = coordinate_jet(np.ones((3, 2)), np.zeros(2), np.ones(2), layout, rows).coordinates([1])
    assert [channel.name for channel in jet.layout] == ["t", "tt"]
    whole = jet.within(layout).named()
    assert [np.any(whole[name]) for name in names] == [False, True, False, False, False]
    fused = layout_for(("x", "t"), ["t", "xx"], {"t": 1.0, "xx": -1.0})
    jet = coordinate_jet(np.ones((3, 2)), np.zeros(2), np.ones(2), fused, rows).coordinates([1])
    assert [(channel.name, channel.quadratic) for channel in jet.layout] == [(FUSED, ())]


def test_third_derivatives_are_refused():
    with pytest.raises(ValueError, match="second order"):
        layout_for(("x", "t"), ["xxx"])


def test_numpy_namespace_carries_jets_too(method):
    problem, backend, theta = build(smoke_spec(method, "jax"))
    points, nested = nested_derivatives(nested_jax, method)
    layout = layout_for(problem.coordinates, all_derivatives(problem.coordinates))
    ours = output_jet(backend.model, theta, points, layout, numpy_ops, lambda a: a).named()
    for name, expected in nested.items():
        np.testing.assert_allclose(ours[name], expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max())
