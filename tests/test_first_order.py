"""First-order optimizers of the field against NumPy by the formulas, their properties, both backends and kills."""

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from solvers import backends, optimizers
from solvers.balancing.relobralo import Relobralo
from solvers.balancing.self_adaptive import SelfAdaptive
from solvers.balancing.sum import Sum
from solvers.configuration.catalogue import ConfigurationError
from solvers.optimizers.adam import Adam
from solvers.optimizers.base import FirstOrder
from solvers.optimizers.multi_adam import MultiAdam
from solvers.optimizers.soap import GAP, Soap
from tests.conftest import BACKENDS, smoke_spec
from tests.trial import assert_same, continued, trial_of

pytestmark = pytest.mark.usefixtures("compiled_as_in_production")
backends.load("jax")  # turns float64 on, whichever tests ran before
NAMESPACES = {
    "numpy": (np, np.asarray),
    "jax": (jnp, jnp.asarray),
    "torch": (torch, lambda array: torch.from_numpy(np.array(array))),
}
FIRST_ORDER = [name for name in optimizers.names() if issubclass(optimizers.load(name), FirstOrder)]
SHAPES = {"layer0.weight": (3, 4), "layer0.bias": (4,)}


def moved(
    optimizer: FirstOrder, theta: np.ndarray, directions: Any, namespace: str, shapes: Any = None
) -> np.ndarray:
    """The parameters at the start and after each step against one of the directions, in a namespace."""
    xp, convert = NAMESPACES[namespace]

    def array(tree: Any, dtype: Any = None) -> Any:
        return {name: convert(each) for name, each in tree.items()} if isinstance(tree, dict) else convert(tree)

    backend = SimpleNamespace(
        xp=xp,
        names=["initial", "boundary", "residual"],
        model=SimpleNamespace(shapes=shapes or SHAPES),
        array=array,
    )
    made = optimizer.transformation(backend)
    at = convert(theta)
    memory, found = made.init(at), [theta]
    for direction, rate in zip(directions, optimizer.schedule(), strict=True):
        at, memory = made.update(at, convert(direction), memory, rate)
        found.append(np.asarray(at).copy())
    return np.array(found)


def adams(theta: np.ndarray, directions: Any, optimizer: Adam, steps: int = 0) -> np.ndarray:
    """Kingma and Ba, algorithm 1."""
    first, second, found = 0 * theta, 0 * theta, [theta]
    for t, (gradient, rate) in enumerate(zip(directions, optimizer.schedule()[steps:], strict=True), start=1):
        first = optimizer.beta1 * first + (1 - optimizer.beta1) * gradient
        second = optimizer.beta2 * second + (1 - optimizer.beta2) * gradient**2
        corrected = np.sqrt(second / (1 - optimizer.beta2**t)) + optimizer.epsilon
        theta = theta - rate * first / (1 - optimizer.beta1**t) / corrected
        found.append(theta)
    return np.array(found)


def eigenvectors(matrix: np.ndarray, gap: float) -> np.ndarray:
    """From the largest eigenvalue to the smallest."""
    return np.linalg.eigh(matrix + gap * matrix.trace() / len(matrix) * falling(len(matrix)))[1][:, ::-1]


def falling(size: int) -> np.ndarray:
    return np.diag(np.arange(size, 0, -1) / size)


def soaps(weights: np.ndarray, gradients: Any, own: Soap) -> np.ndarray:
    """SOAP of one matrix, step by step as published: the first call finds the bases, later ones move and then,
    every so many, follow them by one power iteration."""
    beta3 = own.beta2 if own.beta3 is None else own.beta3
    kinds, found = (lambda g: g @ g.T, lambda g: g.T @ g), [weights]
    matrices = [(1 - beta3) * kind(gradients[0]) for kind in kinds]
    left, right = (eigenvectors(matrix, GAP) for matrix in matrices)
    first = second = np.zeros_like(weights)
    found.append(weights)
    for t, (gradient, rate) in enumerate(zip(gradients[1:], own.schedule()[1:], strict=True), start=1):
        turned = left.T @ gradient @ right
        first = own.beta1 * first + (1 - own.beta1) * turned
        second = own.beta2 * second + (1 - own.beta2) * turned**2
        step = first / (1 - own.beta1**t) / (np.sqrt(second / (1 - own.beta2**t)) + own.epsilon)
        weights = weights - rate * (left @ step @ right.T + own.weight_decay * weights)
        found.append(weights)
        matrices = [beta3 * m + (1 - beta3) * kind(gradient) for m, kind in zip(matrices, kinds, strict=True)]
        if t % own.refresh_every:
            continue
        plain = left @ first @ right.T
        for side, basis in ((0, left), (1, right)):
            matrix = matrices[side] + GAP * matrices[side].trace() / len(basis) * falling(len(basis))
            order = np.argsort(-np.diag(basis.T @ matrix @ basis))
            second = second[order] if side == 0 else second[:, order]
            new = np.linalg.qr(matrix @ basis[:, order])[0]
            left, right = (new, right) if side == 0 else (left, new)
        first = left.T @ plain @ right
    return np.array(found)


def drawn(steps: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=size), rng.normal(size=(steps, size))


SETTINGS = [
    {},
    {"refresh_every": 3, "beta1": 0.95, "beta2": 0.95},
    {"beta3": 0.5, "weight_decay": 0.01},
    {"warm_up": 5},
]


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_soap_is_the_published_algorithm(namespace, settings):
    """A matrix in its eigenbases, and a vector as in Adam, both from the second gradient on."""
    optimizer = Soap(20, learning_rate=0.01, **settings)
    theta, gradients = drawn(20, 16)
    found = moved(optimizer, theta, gradients, namespace)
    matrices = soaps(theta[:12].reshape(3, 4), gradients[:, :12].reshape(20, 3, 4), optimizer)
    np.testing.assert_allclose(found[:, :12], matrices.reshape(21, 12), rtol=1e-10, atol=1e-12)
    if not optimizer.weight_decay:
        vectors = adams(theta[12:], gradients[1:, 12:], optimizer, steps=1)
        np.testing.assert_allclose(found[1:, 12:], vectors, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_soap_without_bases_is_adam(namespace):
    optimizer = Soap(12, learning_rate=0.01, largest=1)
    theta, gradients = drawn(12, 16)
    found = moved(optimizer, theta, gradients, namespace)
    np.testing.assert_array_equal(found[1], theta)
    np.testing.assert_allclose(found[1:], adams(theta, gradients[1:], optimizer, steps=1), rtol=1e-12, atol=1e-14)


def test_soap_turns_with_its_gradients():
    """For U G V in the place of G the steps are U step V; Adam's are not."""
    rng, shapes = np.random.default_rng(1), {"layer0.weight": (4, 4)}
    u, v = (np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(2))
    start, gradients = rng.normal(size=(4, 4)), rng.normal(size=(15, 4, 4))

    def steps(optimizer: Adam, turned: bool) -> np.ndarray:
        given = (u @ gradients @ v if turned else gradients).reshape(15, 16)
        if isinstance(optimizer, Soap):
            found = moved(optimizer, start.ravel(), given, "numpy", shapes)
        else:
            found = adams(start.ravel(), given, optimizer)
        return np.diff(found, axis=0)[1:].reshape(14, 4, 4)

    soap, adam = Soap(15), Adam(15)
    np.testing.assert_allclose(steps(soap, True), u @ steps(soap, False) @ v, atol=1e-5 * 1e-3)
    assert np.abs(steps(adam, True) - u @ steps(adam, False) @ v).max() > 1e-4


def test_soap_makes_gradients_of_rank_one_no_guess():
    """Most directions have no curvature at first: what rounding adds to a gradient must not choose the step."""
    rng = np.random.default_rng(2)
    gradients = np.array([np.outer(rng.normal(size=3), rng.normal(size=4)).ravel() for _ in range(10)])
    theta, own = np.zeros(12), {"layer0.weight": (3, 4)}
    found = [
        moved(Soap(10), theta, gradients * (1 + 1e-16 * rng.normal(size=gradients.shape) * i), "numpy", own)
        for i in range(2)
    ]
    assert np.abs(found[1] - found[0]).max() < 1e-4 * np.abs(found[0]).max()


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("groups", ["equation", "term"])
def test_multi_adam_is_the_mean_of_adams_steps(namespace, groups):
    """Of the conditions together and the equation, or of each term."""
    optimizer = MultiAdam(15, learning_rate=0.01, groups=groups)
    theta, _ = drawn(0, 5)
    gradients = np.random.default_rng(3).normal(size=(15, 3, 5))
    own = [gradients[:, 2], gradients[:, 0] + gradients[:, 1]]
    own = list(gradients.swapaxes(0, 1)) if groups == "term" else own
    steps = sum(np.diff(adams(theta, each, optimizer), axis=0) for each in own) / len(own)
    found = moved(optimizer, theta, gradients, namespace)
    np.testing.assert_allclose(np.diff(found, axis=0), steps, rtol=1e-10, atol=1e-14)


def test_multi_adam_has_one_group_where_there_are_no_conditions():
    np.testing.assert_array_equal(MultiAdam(1).members(["residual.a", "residual.b"]), [[1, 1]])
    np.testing.assert_array_equal(MultiAdam(1).members(["boundary", "residual"]), [[0, 1], [1, 0]])


@pytest.mark.parametrize("groups", ["equation", "term"])
def test_multi_adam_does_not_see_the_units_of_a_group(backend_name, groups):
    """A million times the residual: the same trajectory, but for epsilon; another with Adam."""
    ends = {}
    for name, optimizer in (("ours", MultiAdam(20, epsilon=1e-30, groups=groups)), ("adam", Adam(20))):
        for weight in (1.0, 1e6):
            made = trial_of(backend_name, every=50, rule=Sum({"residual": weight}))
            ends[name, weight] = made.train(optimizer).theta
    np.testing.assert_allclose(ends["ours", 1e6], ends["ours", 1.0], rtol=1e-9, atol=1e-12)
    assert np.abs(ends["adam", 1e6] - ends["adam", 1.0]).max() > 1e-3


OF_EACH = {name: optimizers.load(name)(14) for name in FIRST_ORDER} | {
    "multi-adam-term": MultiAdam(14, groups="term")
}
RULES = {"sum": Sum(), "relobralo": Relobralo(look_back=0.5), "self-adaptive": SelfAdaptive()}
PAIRS = [(name, rule) for name in OF_EACH for rule in RULES if not (OF_EACH[name].by_term and RULES[rule].trained)]


@pytest.mark.parametrize(("name", "rule"), PAIRS)
def test_a_kill_changes_nothing(backend_name, name, rule):
    make = lambda kept: trial_of(backend_name, every=4, rule=RULES[rule], kept=kept)  # noqa: E731
    for whole, again in continued(make, lambda made: made.train(OF_EACH[name], Adam(3)), counts=(2,)):
        assert_same(whole, again)


@pytest.mark.parametrize("name", OF_EACH)
def test_float32_is_close_to_float64(name, backend_name):
    """Whatever of it is in float64 in both."""
    made = [trial_of(backend_name, numerics, rule=Sum()) for numerics in ("paper", "strict")]
    ends = [each.train(OF_EACH[name]).theta for each in made]
    assert [end.dtype for end in ends] == [np.float32, np.float64]
    assert np.linalg.norm(ends[0] - ends[1]) < 0.05 * np.linalg.norm(ends[1] - made[1].theta)


@pytest.mark.parametrize("name", OF_EACH)
def test_backends_agree(name):
    paths = []
    for backend in BACKENDS:
        made = trial_of(backend, rule=Sum())
        made.train(OF_EACH[name])
        paths.append(made.objectives)
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-10)
    assert len(np.unique(paths[0])) >= 14, "every step moves, but for the first of SOAP"


@pytest.mark.parametrize(
    ("rule", "problem"),
    [("self-adaptive", "weights of its own to train"), ("pcgrad", "a direction of its own")],
)
def test_what_sees_all_terms_together_is_refused_where_they_are_taken_apart(rule, problem):
    levels = "levels=[{stages: [{optimizer: multi-adam, iterations: 5}]}]"
    with pytest.raises(ConfigurationError) as refused:
        smoke_spec(("heat-0.3", "pinn"), "jax", overrides=[levels, f"balancing={{name: {rule}}}"])
    assert all(part in str(refused.value) for part in ("balancing.name", rule, problem, "multi-adam"))


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("soap", {"beta3": 1.0}),
        ("soap", {"refresh_every": 0}),
        ("soap", {"largest": 0}),
        ("soap", {"weight_decay": -1.0}),
        ("soap", {"warm_up": -1}),
        ("soap", {"learning_rate": 0.0}),
        ("multi-adam", {"beta2": 1.0}),
    ],
)
def test_impossible_settings_are_refused(name, bad):
    (key,) = bad
    with pytest.raises(ValueError, match=key):
        optimizers.load(name)(3, **bad)
