"""The network with the problem's frequencies: its start, its derivatives, its settings, and the wave numbers."""

import dataclasses
import json
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import sympy
from scipy.integrate import quad

import problems
from solvers import backends
from solvers.configuration.assembly import initial_parameters
from solvers.configuration.spec import RunSpec
from solvers.configuration.strict_yaml import ConfigurationError
from solvers.model import networks
from solvers.model.jets import FUSED, layout_for, numpy_ops
from solvers.model.networks._sines import sine_and_cosine
from solvers.model.networks.base import flatten, places, unflatten
from solvers.model.networks.sines import OfForcing, Sines
from solvers.model.terms import INPUTS, Model
from solvers.model.wave_numbers import forcing_wave_numbers, initial_wave_numbers, wave_numbers
from solvers.plugins import KeyProblem
from tests.conftest import CATALOGUE
from tests.test_jets import FRAMEWORKS, all_derivatives, output_jet
from tests.test_terms import small_network

FORMS = {
    "sines": Sines(6, 2, frequencies=[1.0, 3.0]),
    "tanh": Sines(6, 1, "tanh", frequencies=[1.0, 3.0], weights="xavier"),
    "xavier": Sines(6, 2),
    "phases": Sines(6, 2, "tanh", phases=5, phase_scale=3.0, scale=7.0),
}


def model_of(network: Sines, seed: int = 0) -> tuple[Model, np.ndarray]:
    """A model of the heat problem's coordinates, and parameters off their start, so that no bias is zero."""
    problem, rng = problems.load("heat"), np.random.default_rng(seed)
    model = Model(network, *INPUTS["interval"](problem.lower, problem.upper))
    theta = flatten(network.initialise(2, rng))
    return model, theta + 0.1 * rng.standard_normal(theta.shape)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("form", FORMS)
def test_jets_equal_nested_autodiff(form, framework):
    nested, ops, convert, back = FRAMEWORKS[framework]
    model, theta = model_of(FORMS[form])
    coordinates = ("x", "t")
    points = np.random.default_rng(2).uniform([-1, 0], [1, 1], (12, 2))
    expected = nested(model, theta, points, coordinates)
    layout = layout_for(coordinates, all_derivatives(coordinates))
    found = output_jet(model, convert(theta), convert(points), layout, ops, convert).named()
    for name, value in expected.items():
        np.testing.assert_allclose(back(found[name]), value, rtol=1e-12, atol=1e-12 * np.abs(value).max())
    linear = {name: 0.7 - 0.3 * i for i, name in enumerate(expected)}
    jet = output_jet(model, convert(theta), convert(points), layout_for(coordinates, linear, linear), ops, convert)
    combined = sum(coefficient * expected[name] for name, coefficient in linear.items())
    np.testing.assert_allclose(back(jet.named()[FUSED]), combined, rtol=1e-11, atol=1e-11 * abs(combined).max())


def test_the_first_layer_has_the_frequencies_given():
    many = Sines(40_000, 1, frequencies=[0.5, 8.0]).initialise(2, np.random.default_rng(0))
    np.testing.assert_allclose(many["layer0.weight"].std(axis=1), [0.5, 8.0], rtol=0.02)
    bias = many["layer0.bias"]
    assert np.abs(bias).max() <= np.pi and bias.std() == pytest.approx(np.pi / np.sqrt(3), rel=0.02)


def test_every_tanh_of_the_first_layer_bends_within_the_domain():
    first = Sines(1000, 1, "tanh", frequencies=[0.5, 8.0]).initialise(2, np.random.default_rng(0))
    reach = np.abs(first["layer0.weight"]).sum(axis=0)
    share = first["layer0.bias"] / reach
    assert np.abs(share).max() <= 1 and share.std() == pytest.approx(1 / np.sqrt(3), rel=0.05)


def test_other_layers_are_xaviers_and_the_phases_a_multiple():
    arrays = Sines(200, 2, phases=300, phase_scale=5.0).initialise(2, np.random.default_rng(0))
    assert [array.shape for array in arrays.values()][::2] == [(2, 200), (200, 200), (200, 300), (300, 1)]
    # Truncated at two standard deviations, a normal distribution keeps 0.88 of its own.
    for name, sigma in (("layer1", 1 / np.sqrt(200)), ("layer2", 5 / np.sqrt(250))):
        assert arrays[f"{name}.weight"].std() == pytest.approx(0.88 * sigma, rel=0.02)
    assert np.abs(arrays["layer2.bias"]).max() == pytest.approx(np.pi, rel=0.02)
    assert not any(arrays[f"layer{i}.bias"].any() for i in (0, 1, 3))


@pytest.mark.parametrize("first", ["sine", "tanh"])
def test_other_frequencies_with_the_same_draws_are_a_scaling(first):
    """Of the arrays that the network names, to the last bit for a power of two; nothing else changes."""
    one, half = (Sines(6, 2, first, frequencies=[f, 3 * f], phases=4) for f in (1.0, 0.5))
    arrays, halved = (network.initialise(2, np.random.default_rng(0)) for network in (one, half))
    scaled = one.frequency_arrays(2)
    for name, array in arrays.items():
        np.testing.assert_array_equal(halved[name], array * (0.5 if name in scaled else 1.0))
    assert not Sines(6, 2).frequency_arrays(2)


@pytest.mark.parametrize("name", networks.names())
def test_the_output_is_linear_in_its_layer(name):
    problem, rng = problems.load("heat"), np.random.default_rng(0)
    network = small_network(name, 2)
    model = Model(network, *INPUTS["interval"](problem.lower, problem.upper), network.frozen(2, rng))
    theta, points = flatten(network.initialise(2, rng)), rng.uniform([-1, 0], [1, 1], (7, 2))
    where = places(model.shapes, network.output_layer(2))

    def output(layer: np.ndarray) -> np.ndarray:
        changed = theta.copy()
        changed[where] = layer
        return model.output(points, (), unflatten(changed, model.shapes), model.constants(()), numpy_ops).value

    one, other = rng.standard_normal((2, len(where)))
    np.testing.assert_allclose(output(one + 2 * other), output(one) + 2 * output(other), atol=1e-12)
    assert not output(0 * one).any() and np.abs(output(one)).min() > 0


REFERENCE = [
    ("heat", {"epsilon": 0.3}, [1.4, 5.3]),
    ("heat", {"epsilon": 0.15}, [1.5, 11.2]),
    ("heat", {"epsilon": 0.11}, [1.6, 15.4]),
    ("pulse", {"h": 0.02}, [0.0, 39.5]),
    ("helmholtz", {"a1": 1, "a2": 8}, [3.1, 25.1]),
    ("klein-gordon", {"a": 5}, [0.9, 7.9]),
    ("klein-gordon", {"a": 10}, [0.9, 15.7]),
    (
        "poisson",
        {"a": 4, "b": 150},
        [
            236,
        ],
    ),
    (
        "poisson",
        {"a": 2, "b": 50},
        [
            79,
        ],
    ),
    ("multifrequency", {"frequency": 20}, [93, 22]),
]
"""Of the forcing, by differences on a fine grid, in coordinates scaled to [-1, 1]."""


@pytest.mark.parametrize(("name", "values", "expected"), REFERENCE)
def test_wave_numbers_of_the_forcing(name, values, expected):
    problem = problems.load(name, **values)
    _, scale = INPUTS["interval"](problem.lower, problem.upper)
    found = forcing_wave_numbers(problem) / scale
    rounding = 0.5 if expected[0] > 20 else 0.05
    np.testing.assert_allclose(found, expected, atol=1.01 * rounding)


def test_wave_numbers_equal_those_by_differences():
    problem = problems.load("heat", epsilon=0.3)
    nodes = [np.linspace(lo, hi, 801) for lo, hi in zip(problem.lower, problem.upper, strict=True)]
    points = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    forcing = problem.residual.target(points).reshape(801, 801)
    slopes = np.gradient(forcing, *nodes)
    expected = [np.sqrt((slope**2).mean() / (forcing**2).mean()) for slope in slopes]
    np.testing.assert_allclose(forcing_wave_numbers(problem), expected, rtol=5e-3)


def heat(network: dict, backend: str = "jax", **changes: str) -> RunSpec:
    """A run on the heat problem with another network."""
    overrides = [f"network={json.dumps({'name': 'sines', 'width': 6, 'depth': 2} | network)}"]
    overrides += [f"{key}={value}" for key, value in changes.items()]
    return CATALOGUE.resolve("heat-0.15", "pinn", backend, "strict", "smoke", overrides=overrides)


def test_frequencies_of_the_forcing_are_put_in_as_numbers():
    spec = heat({"frequencies": {"forcing": 0.5}})
    assert spec.network["frequencies"] == {"forcing": 0.5}
    found = spec.build_network().frequencies
    np.testing.assert_allclose(found, [0.77, 5.603], rtol=1e-3)
    given = heat({"frequencies": found})
    problem = spec.build_problem()
    np.testing.assert_array_equal(initial_parameters(spec, problem), initial_parameters(given, problem))


def test_frequencies_are_those_of_the_scaled_coordinates():
    """A frequency is one of the solution whatever the inputs' scaling is."""
    physical = []
    for inputs in INPUTS:
        spec = heat({"frequencies": {"forcing": 0.5}}, inputs=inputs)
        problem = spec.build_problem()
        _, scale = INPUTS[inputs](problem.lower, problem.upper)
        physical.append(np.array(spec.build_network().frequencies) * scale)
    np.testing.assert_allclose(physical[1:], [physical[0]] * 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("network", "key", "words"),
    [
        ({"frequencies": [1.0]}, "frequencies", "needs a number for each of ['x', 't']"),
        ({"frequencies": [1.0, -2.0]}, "frequencies", "numbers >= 0"),
        ({"frequencies": {"forcing": 0.0}}, "frequencies.forcing", "greater than 0"),
        ({"frequencies": {"solution": 1.0}}, "frequencies.forcing", "missing"),
        ({"frequencies": 3.0}, "frequencies", "a list of numbers"),
        ({"wave_numbers_at_least": -0.5}, "wave_numbers_at_least", "0 or more"),
        ({"phases": -1}, "phases", "0, which is none, or more"),
        ({"phase_scale": 0.0}, "phase_scale", "greater than 0"),
        ({"scale": -1.0}, "scale", "greater than 0"),
        ({"first": "relu"}, "first", "'sine' or 'tanh'"),
        ({"phases": 10**5}, "phases", "at most"),
    ],
)
def test_impossible_settings_are_named(network, key, words):
    with pytest.raises(ConfigurationError) as caught:
        heat(network)
    assert str(caught.value).startswith((f"--set: network.{key} ", f"--set: network.{key}:"))
    assert words in str(caught.value)


class Harmonic(type(problems.load("helmholtz"))):
    """Laplace's equation: neither forcing nor initial values."""

    parameters = {}

    @staticmethod
    def exact(p, x, y):
        return sympy.sin(sympy.pi * x) * sympy.sinh(sympy.pi * y)

    @staticmethod
    def operator(p, u, *coordinates):
        return u.xx + u.yy


def test_without_forcing_and_initial_values_there_are_no_wave_numbers():
    network = Sines(6, 2, frequencies=OfForcing(0.5))
    with pytest.raises(KeyProblem, match=r"is zero.*list with a number for each of \['x', 'y'\]") as caught:
        network.adapted(Harmonic(), np.ones(2))
    assert caught.value.key == "frequencies.forcing"
    stated = dataclasses.replace(network, frequencies=[1.0, 2.0])
    assert stated.adapted(Harmonic(), np.ones(2)).frequencies == [1, 2]


def rms(function: Callable[[float], float]) -> float:
    """Over [0, 1]."""
    return quad(lambda x: function(x) ** 2, 0, 1)[0] ** 0.5


def allen_cahns() -> list[float]:
    """By hand, of g = x^2 cos(pi x), which is even: u_t = -5 (g^3 - g) but for diffusion, which is a 5000th."""

    def g(x: float) -> float:
        return x**2 * np.cos(np.pi * x)

    def slope(x: float) -> float:
        return 2 * x * np.cos(np.pi * x) - np.pi * x**2 * np.sin(np.pi * x)

    return [rms(slope) / rms(g), rms(lambda x: 5 * (g(x) ** 3 - g(x))) / rms(g)]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("convection", {"beta": 30}, [1, 30]),  # u_t = -beta u_x
        ("wave", {}, [2 * np.pi, np.pi * (16 * (1 + 64) / 1.25) ** 0.25]),  # u_tt = 4 u_xx
        ("allen-cahn", {}, allen_cahns()),
        ("burgers", {}, [np.pi, np.pi / 2]),  # u_t = -u u_x = pi sin(2 pi x) / 2 but for diffusion
    ],
)
def test_without_forcing_the_initial_values_and_the_equation_give_the_wave_numbers(name, values, expected):
    problem = problems.load(name, **values)
    np.testing.assert_allclose(wave_numbers(problem), expected, rtol=2e-3)
    network = Sines(6, 2, frequencies=OfForcing(0.5)).adapted(problem, np.array([1.0, 2.0]))
    np.testing.assert_allclose(network.frequencies, 0.5 * wave_numbers(problem) / [1, 2])


def test_a_velocity_that_the_equation_asks_for_must_be_given():
    class Damped(type(problems.load("wave"))):
        conditions = (problems.load("wave").conditions[0],)

        @staticmethod
        def exact(p, x, t):
            return sympy.exp(-t) * sympy.sin(x)

        @staticmethod
        def operator(p, u, *coordinates):
            return u.tt + u.t

    with pytest.raises(ValueError, match="u_t at the start is not given"):
        initial_wave_numbers(Damped())


def test_no_coordinate_is_lost_on_which_the_forcing_hardly_depends():
    """That of the ridge problem changes along t alone, its solution along x too."""
    problem = problems.load("pulse")
    _, scale = INPUTS["interval"](problem.lower, problem.upper)
    along_x, along_t = (Sines(6, 2, frequencies=OfForcing(0.5)).adapted(problem, scale)).frequencies
    assert along_x < 1e-3 < 10 < along_t
    floored = Sines(6, 2, frequencies=OfForcing(0.5), wave_numbers_at_least=0.8).adapted(problem, scale)
    assert floored.frequencies == [0.4, along_t]


def test_both_backends_start_from_the_same_network():
    specs = [heat({"frequencies": {"forcing": 0.5}}, backend=name) for name in backends.names()]
    one, other = (initial_parameters(spec, spec.build_problem()) for spec in specs)
    np.testing.assert_array_equal(one, other)


def compiled(jax: ModuleType) -> Callable:
    """The sines of JAX, with its own functions forbidden."""
    return jax.jit(lambda z: sine_and_cosine(z, dataclasses.replace(numpy_ops, sin=None, cos=None)))


@pytest.mark.parametrize("reach", [1.6, 10.0, 1e3, 1e6])
def test_sines_by_polynomials_are_exact_to_rounding(reach):
    jax = pytest.importorskip("jax")
    z = np.random.default_rng(0).uniform(-reach, reach, (200, 50))
    z[0, :3] = 0.0, np.pi / 2, -np.pi
    for found, expected in zip(compiled(jax)(jax.numpy.asarray(z)), (np.sin(z), np.cos(z)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=4e-16)
    narrow = z.astype(np.float32)
    for found, function in zip(compiled(jax)(jax.numpy.asarray(narrow)), (np.sin, np.cos), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, function(narrow.astype(np.float64)), rtol=0, atol=1e-7)


def test_sines_by_polynomials_have_their_derivatives_and_pass_on_what_is_no_number():
    jax = pytest.importorskip("jax")
    both, z = compiled(jax), jax.numpy.linspace(-7.0, 7.0, 29)
    for k in (0, 1):
        function = lambda z, k=k: both(z)[k]  # noqa: E731
        for order, tolerance in enumerate((1e-15, 1e-15, 1e-14), start=1):
            function = jax.grad(function)
            expected = np.sin(z + (k + order) * np.pi / 2)
            np.testing.assert_allclose(jax.vmap(function)(z), expected, rtol=0, atol=tolerance)
    assert np.isnan(np.array(both(jax.numpy.array([np.inf, -np.inf, np.nan])))).all()
