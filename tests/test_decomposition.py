"""Windows of the decomposed network, and what it and the separable one are for sizes at which that is known."""

import dataclasses

import numpy as np
import pytest

import problems
from solvers.configuration.strict_yaml import ConfigurationError
from solvers.model.jets import channel_rows, coordinate_jet, layout_for, numpy_ops
from solvers.model.networks.base import flatten, unflatten
from solvers.model.networks.dense import Dense
from solvers.model.networks.fbpinn import Fbpinn
from solvers.model.networks.separable import Separable
from solvers.model.terms import INPUTS, Model
from solvers.optimizers.adam import Adam
from solvers.plugins import KeyProblem
from tests.conftest import BACKENDS, CATALOGUE, build, smoke_spec
from tests.test_jacobian import assert_near, joined
from tests.test_jets import FRAMEWORKS, all_derivatives, output_jet
from tests.trial import CASE, assert_same, continued, trial_of

COORDINATES = ("x", "t")
RNG = np.random.default_rng
FORMS = {
    "boxes": Fbpinn([3, 4], 5, 2),
    "touching": Fbpinn([2, 3], 5, 1, overlap=2.0),
    "one along x": Fbpinn([1, 4], 5, 2, biases="normal"),
    "levels": Fbpinn([4, 3], 4, 2, levels=3),
    "separable": Separable(3, 5, 2),
    "rank 1": Separable(1, 5, 1, biases="normal"),
}
DECOMPOSED = {name: network for name, network in FORMS.items() if isinstance(network, Fbpinn)}


def model_of(network, inputs: str = "interval", name: str = "heat") -> tuple[Model, np.ndarray]:
    """A model in a problem's coordinates, and parameters none of which is zero."""
    problem, rng = problems.load(name), RNG(0)
    shift, scale = INPUTS[inputs](problem.lower, problem.upper)
    network = network.adapted(problem, scale)
    theta = flatten(network.initialise(problem.dimension, rng))
    frozen = network.frozen(problem.dimension, rng)
    return Model(network, shift, scale, frozen), theta + 0.1 * rng.standard_normal(theta.shape)


def windows(model: Model, points: np.ndarray, names: list[str]):
    """The windows' jet at points (N, d)."""
    layout = layout_for(COORDINATES, names)
    rows = channel_rows(layout, model.scale)
    inputs = coordinate_jet(points, model.shift, model.scale, layout, rows)
    return model.network.windows(model.frozen, inputs, numpy_ops)


def value(model: Model, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
    return output_jet(model, theta, points, (), numpy_ops, lambda a: a).value


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("form", DECOMPOSED)
def test_windows_sum_to_one_and_their_derivatives_to_zero(form, inputs):
    model, _ = model_of(DECOMPOSED[form], inputs)
    # Centres, ends and corners of the domain are among the points, and points outside it.
    points = np.stack(np.meshgrid(np.linspace(-2, 2, 49), np.linspace(-1, 2, 37)), axis=-1).reshape(-1, 2)
    names = all_derivatives(COORDINATES)
    jet = windows(model, points, names)
    assert (jet.value >= 0).all()
    np.testing.assert_allclose(jet.value.sum(1), 1, rtol=0, atol=1e-12)
    for part in jet.parts:
        assert np.isfinite(part).all()
        np.testing.assert_allclose(part.sum(1), 0, atol=1e-12 * max(1.0, np.abs(part).max()))


@pytest.mark.parametrize("inputs", INPUTS)
def test_a_window_is_that_of_the_paper_on_its_box_and_zero_elsewhere(inputs):
    model, _ = model_of(Fbpinn([3, 4], 5, 2), inputs)
    points = RNG(1).uniform([-1, 0], [1, 1], (500, 2))
    expected = np.ones((500, 3, 4))
    for k, (lower, upper, count) in enumerate([(-1, 1, 3), (0, 1, 4)]):
        distance = (upper - lower) / (count - 1)
        z = (points[:, k, None] - np.linspace(lower, upper, count)) / (1.9 / 2 * distance)
        bump = np.where(np.abs(z) < 1, ((1 + np.cos(np.pi * z)) / 2) ** 2, 0)
        bump /= bump.sum(1, keepdims=True)
        expected *= bump[:, :, None] if k == 0 else bump[:, None, :]
    found = windows(model, points, [""]).value
    np.testing.assert_allclose(found, expected.reshape(500, 12), rtol=0, atol=1e-13)
    assert 0.5 < (found == 0).mean() < 1


def test_windows_are_smooth_across_the_edges_of_boxes_and_of_the_domain():
    model, _ = model_of(Fbpinn([3, 3], 5, 2, overlap=1.5))
    box, step = model.frozen["centres"][:, :1] + model.frozen["halves"][:, :1] * [-1, 0, 1], 1e-6
    for x in np.unique(box):
        jet = windows(model, np.array([[x - step, 0.3], [x + step, 0.3]]), ["x", "xx"])
        for array in (jet.value, *jet.parts):
            np.testing.assert_allclose(array[0], array[1], atol=1e-3)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("form", FORMS)
def test_jets_equal_nested_autodiff(form, framework):
    nested, ops, convert, back = FRAMEWORKS[framework]
    model, theta = model_of(FORMS[form])
    points = RNG(2).uniform([-1, 0], [1, 1], (12, 2))
    expected = nested(model, theta, points, COORDINATES)
    layout = layout_for(COORDINATES, all_derivatives(COORDINATES))
    found = output_jet(model, convert(theta), convert(points), layout, ops, convert).named()
    for name, derivative in expected.items():
        size = np.abs(derivative).max()
        np.testing.assert_allclose(back(found[name]), derivative, rtol=1e-11, atol=1e-12 * size)


SETTINGS = {
    "fbpinn": "network={name: fbpinn, boxes: [3, 2], width: 4, depth: 2}",
    "separable": "network={name: separable, rank: 3, width: 5, depth: 2}",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_rows_make_the_gradients_which_equal_difference_quotients(name):
    found = {}
    for backend_name in BACKENDS:
        _, backend, theta = build(smoke_spec(CASE, backend_name, overrides=[SETTINGS[name]]))
        values, gradients = backend.terms_and_gradients(theta)
        found[backend_name] = joined(backend, theta)
        for i, (residuals, shares, rows) in enumerate(found[backend_name].values()):
            assert shares @ residuals**2 == pytest.approx(values[i], rel=1e-10)
            assert_near(2 * (shares * residuals) @ rows, gradients[i])
        along = RNG(3).standard_normal(theta.shape) / np.sqrt(len(theta))
        ahead, behind = (backend.terms_and_gradients(theta + step * along)[0] for step in (1e-5, -1e-5))
        slopes = gradients @ along
        allowed = 1e-7 * np.linalg.norm(gradients, axis=1) + 1e-9 * values
        np.testing.assert_array_less(np.abs((ahead - behind) / 2e-5 - slopes), allowed)
    for term, ours in found["jax"].items():
        for own, other in zip(ours, found["torch"][term], strict=True):
            assert_near(own, other)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("backend_name", BACKENDS)
def test_training_that_is_killed_goes_on_to_the_last_bit(name, backend_name):
    make = lambda kept: trial_of(backend_name, every=3, kept=kept, overrides=[SETTINGS[name]])  # noqa: E731
    for whole, again in continued(make, lambda trial: trial.train(Adam(6)), [1]):
        assert_same(whole, again)
        assert whole.objectives[-1] < whole.objectives[0]


@pytest.mark.parametrize("levels", [1, 2])
def test_one_box_is_the_dense_network(levels):
    """As many equal networks on the whole domain as there are levels."""
    dense, _ = model_of(Dense(7, 3, biases="normal"))
    one, _ = model_of(Fbpinn(1, 7, 3, levels=levels, biases="normal"))
    arrays = dense.network.initialise(2, RNG(0))
    shapes = one.shapes
    theta = flatten({name: np.broadcast_to(array, shapes[name]) for name, array in arrays.items()})
    points = RNG(1).uniform([-1, 0], [1, 1], (20, 2))
    np.testing.assert_allclose(value(one, theta, points), value(dense, flatten(arrays), points), rtol=1e-13)
    if levels == 1:
        same = {name: array.ravel().tolist() for name, array in one.network.initialise(2, RNG(0)).items()}
        assert same == {name: array.ravel().tolist() for name, array in arrays.items()}


def test_a_network_is_felt_on_its_box_alone():
    model, theta = model_of(Fbpinn([4, 1], 5, 2))
    points = np.stack([np.linspace(-1, 1, 61), np.full(61, 0.4)], axis=1)
    arrays = unflatten(theta.copy(), model.shapes)
    arrays["layer2.bias"][0] += 1.0
    change = value(model, flatten(arrays), points) - value(model, theta, points)
    inside = points[:, 0] < -1 + 1.9 / 3  # half of a box of width 1.9 times 2 / 3
    assert (change[~inside] == 0).all() and (change[inside] > 0).all()


def test_rank_one_is_a_product_and_more_their_sum():
    model, theta = model_of(Separable(3, 5, 2))
    parameters = unflatten(theta, model.shapes)
    points = RNG(1).uniform([-1, 0], [1, 1], (20, 2))
    scaled = model.scale * (points - model.shift)

    def of_axis(k: int) -> np.ndarray:
        arrays = {n.removeprefix(f"axis{k}."): a for n, a in parameters.items() if n.startswith(f"axis{k}.")}
        hidden = scaled[:, k : k + 1]
        for i in range(2):
            hidden = np.tanh(hidden @ arrays[f"layer{i}.weight"] + arrays[f"layer{i}.bias"])
        return hidden @ arrays["layer2.weight"] + arrays["layer2.bias"]

    product = of_axis(0) * of_axis(1)
    np.testing.assert_allclose(value(model, theta, points), product.sum(1, keepdims=True), rtol=1e-12)
    alone, single = model_of(Separable(1, 5, 2))
    grid = np.stack(np.meshgrid([-0.7, 0.2], [0.1, 0.9]), axis=-1).reshape(-1, 2)
    a, b, c, d = value(alone, single, grid).ravel()
    assert a * d == pytest.approx(b * c, rel=1e-12) and a != pytest.approx(b)
    u, v, w, z = value(model, theta, grid).ravel()
    assert u * z != pytest.approx(v * w, rel=1e-6)


@pytest.mark.parametrize(
    ("network", "count"),
    [(Fbpinn(16, 4, 1), [16, 16]), (Fbpinn([3, 5], 4, 1), [None, 15]), (Fbpinn(16, 4, 1, levels=3), [28, 21])],
)
def test_boxes_are_counted_in_all_or_along_each_coordinate(network, count):
    for dimension, expected in zip((1, 2), count, strict=True):
        if expected is None:
            with pytest.raises(KeyProblem, match="needs a number for each of the 1 coordinates"):
                network.shapes(dimension)
        else:
            assert network.shapes(dimension)["layer0.weight"] == (expected, dimension, 4)
            assert len(network.frozen(dimension, RNG(0))["centres"]) == expected


def test_bounds_are_the_domains_in_scaled_coordinates():
    for inputs, expected in {"interval": [[-1, 1], [-1, 1]], "raw": [[-1, 1], [0, 1]]}.items():
        assert model_of(Fbpinn(4, 4, 1), inputs)[0].network.bounds == expected
    chosen = Fbpinn(4, 4, 1, bounds=[[0.0, 1.0], [0.0, 0.5]])
    assert model_of(chosen)[0].network == chosen
    problem = problems.load("heat")
    with pytest.raises(KeyProblem, match="does not tell them"):
        Fbpinn(4, 4, 1).adapted(problem, np.array([0.3, 0.4]))
    with pytest.raises(KeyProblem, match=r"needs a pair .* for each of \['x', 't'\]"):
        dataclasses.replace(chosen, bounds=[[0.0, 1.0]]).adapted(problem, np.ones(2))


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ("boxes: 6", "boxes", r"is not n\^2 boxes"),
        ("boxes: [2, 2, 2]", "boxes", "needs a number for each of the 2 coordinates"),
        ("boxes: [2, 0]", "boxes", "must be at least 1"),
        ("boxes: 4, overlap: 1.0", "overlap", "must be greater than 1, or boxes leave gaps"),
        ("boxes: 4, levels: 0", "levels", "must be at least 1"),
        ("boxes: 4, bounds: [[1, 0], [0, 1]]", "bounds", r"must be a pair \[lower, upper\]"),
    ],
)
def test_impossible_settings_are_named(settings, key, words):
    given = f"network={{name: fbpinn, width: 4, depth: 1, {settings}}}"
    with pytest.raises(ConfigurationError, match=words) as caught:
        CATALOGUE.resolve("heat-0.3", "pinn", "jax", scale="smoke", overrides=[given])
    assert f"network.{key}" in str(caught.value)
