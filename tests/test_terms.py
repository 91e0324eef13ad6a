"""Terms and their gradients: a NumPy reference, finite differences, torch against JAX."""

import numpy as np
import pytest

import problems
from problems.base import Equation, Problem
from solvers import backends
from solvers.configuration.assembly import collocation_points, initial_parameters
from solvers.model import networks
from solvers.model.jets import numpy_ops
from solvers.model.networks.base import flatten, parameter_count, unflatten
from solvers.model.networks.mff import FourierMap
from solvers.model.terms import INPUTS, CollocationPoints, Model, build_terms, chunked, constraint_arrays
from solvers.points import samplers
from solvers.points.sampling import sample
from tests.conftest import BACKENDS, CATALOGUE, build, mismatch_of, smoke_spec

STEP = np.longdouble(1e-4)
STENCIL = {-3: -1, -2: 9, -1: -45, 1: 45, 2: -9, 3: 1}
SECOND = {-3: 2, -2: -27, -1: 270, 0: -490, 1: 270, 2: -27, 3: 2}


def network_value(model: Model, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
    """u in extended precision by the plain forward pass: no channel of a jet is used."""
    network = model.output(points, (), unflatten(theta, model.shapes), model.constants(()), numpy_ops)
    return model.solution(network.value[:, 0], points)


def difference_quotient(u, points: np.ndarray, name: str, coordinates: tuple[str, ...]) -> np.ndarray:
    """A derivative of first or second order by differences of sixth order in extended precision."""
    if not name:
        return u(points)
    moved = np.eye(points.shape[1], dtype=np.longdouble)
    i = coordinates.index(name[0])
    if len(name) == 2 and name[0] == name[1]:
        return sum(c * u(points + k * STEP * moved[i]) for k, c in SECOND.items()) / (180 * STEP**2)
    rest = name[1:]
    return sum(
        c * difference_quotient(u, points + k * STEP * moved[i], rest, coordinates) for k, c in STENCIL.items()
    ) / (60 * STEP)


def reference_term(
    problem: Problem, collocation: list[CollocationPoints], model: Model, theta: np.ndarray
) -> float:
    """Sum over the faces of the mean squared mismatch, from the loss's definition."""
    theta = theta.astype(np.longdouble)

    def mean_square(equation: Equation, where: np.ndarray) -> float:
        long = where.astype(np.longdouble)

        def derivatives(points: np.ndarray, name: str) -> np.ndarray:
            return difference_quotient(lambda p: network_value(model, theta, p), points, name, problem.coordinates)

        return float((mismatch_of(equation, derivatives, long) ** 2).mean())

    return sum(mean_square(group.equation, group.points) for group in collocation)


def test_terms_equal_a_numpy_reference(physics, backend_name):
    spec = smoke_spec(physics, backend_name)
    problem, backend, theta = build(spec)
    collocation = collocation_points(spec, problem)
    values, _ = backend.terms_and_gradients(theta)
    for name, value in zip(spec.terms, values, strict=True):
        own = [group for group in collocation if group.term == name]
        assert value == pytest.approx(reference_term(problem, own, backend.model, theta), rel=1e-8)


def points_of(equation: Equation, strategy: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points of an equation by a sampler."""
    return sample(equation, samplers.load(strategy)(count), count, rng)


def small_network(name: str, dimension: int):
    """A small network of any registered kind; in one dimension two Fourier maps side by side."""
    axes = [[i] for i in range(dimension)] if dimension > 1 else [[0], [0]]
    merge = "product" if dimension > 1 else "concatenate"
    fourier = {"maps": [FourierMap(each, 1.0 + i) for i, each in enumerate(axes)], "merge": merge}
    sines = {"frequencies": [1.0 + i for i in range(dimension)], "phases": 5, "scale": 2.0}
    waves = {"coordinates": ("x",), "frequencies": (1.5, *[0.0] * (dimension - 1))}
    options = {"dense": {}, "ifnn": {}, "mff": fourier, "inn": fourier, "sines": sines, "periodic": waves}
    options |= {"fbpinn": {"boxes": [3, 2][:dimension], "levels": 2}, "separable": {"rank": 3}}
    return networks.load(name)(width=6, depth=2, **options[name])


@pytest.mark.parametrize("network", networks.names())
@pytest.mark.parametrize("name", problems.names())
def test_every_problem_and_network_on_both_backends(name: str, network: str):
    """Those that no method uses yet included: a NumPy reference, and torch against JAX to 1e-10."""
    problem = problems.load(name)
    built = small_network(network, problem.dimension)
    rng = np.random.default_rng(0)
    collocation = [
        CollocationPoints(e.term, e, points_of(e, "grid" if e.where else "latin-hypercube", 15, rng))
        for e in problem.equations
    ]
    frozen = built.frozen(problem.dimension, rng)
    model = Model(built, *INPUTS["standard"](problem.lower, problem.upper), frozen)
    theta = flatten(built.initialise(problem.dimension, rng)) + 0.1 * rng.standard_normal(
        parameter_count(model.shapes)
    )
    terms = build_terms(collocation)
    found = {b: backends.load(b)(model, terms, "float64").terms_and_gradients(theta) for b in BACKENDS}
    for term, value in zip(terms, found["jax"][0], strict=True):
        own = [group for group in collocation if group.term == term.name]
        assert value == pytest.approx(reference_term(problem, own, model, theta), rel=1e-8)
    np.testing.assert_allclose(found["jax"][0], found["torch"][0], rtol=1e-10)
    sizes = np.abs(found["jax"][1]).max(axis=1, keepdims=True)
    np.testing.assert_array_less(np.abs(found["jax"][1] - found["torch"][1]) / sizes, 1e-10)


def test_term_gradients_equal_finite_differences(physics, backend_name):
    _problem, backend, theta = build(smoke_spec(physics, backend_name))
    values, gradients = backend.terms_and_gradients(theta)
    step = 1e-3
    for seed in range(3):
        direction = np.random.default_rng(seed).standard_normal(theta.shape)
        direction /= np.linalg.norm(direction)
        nearby = {k: backend.terms_and_gradients(theta + k * step * direction)[0] for k in STENCIL}
        quotient = sum(c * nearby[k] for k, c in STENCIL.items()) / (60 * step)
        rounding = 1e-14 * values / step
        allowed = 1e-7 * np.linalg.norm(gradients, axis=1) + rounding
        np.testing.assert_array_less(np.abs(gradients @ direction - quotient), allowed)


def test_backends_agree_to_1e_10(physics):
    found = {}
    for name in BACKENDS:
        _problem, backend, theta = build(smoke_spec(physics, name))
        found[name] = backend.terms_and_gradients(theta)
    ours, other = found["jax"], found["torch"]
    np.testing.assert_allclose(ours[0], other[0], rtol=1e-10)
    scale = np.abs(ours[1]).max(axis=1, keepdims=True)
    np.testing.assert_array_less(np.abs(ours[1] - other[1]) / scale, 1e-10)


def test_gradient_norms_neither_overflow_nor_divide_by_zero(backend_name):
    """float32 holds 1e22, but not its square."""
    _, backend, theta = build(smoke_spec(("pulse", "mmpinn"), backend_name, numerics="paper"))
    rows = np.array([[3e22, 4e22], [0, 0], [3.0, 4.0]], dtype=np.float32)
    norms = backend.numpy(backend.norms(backend.array(rows)))
    np.testing.assert_allclose(norms, [5e22, 0, 5], rtol=1e-6)
    assert norms.dtype == theta.dtype


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_chunks_do_not_change_the_terms(backend_name, size):
    spec = smoke_spec(("heat-0.15", "mmpinn"), backend_name)
    problem, whole, theta = build(spec)
    terms = build_terms(collocation_points(spec, problem))
    parts = backends.load(backend_name)(whole.model, terms, "float64", chunk_size=size)
    for ours, expected in zip(parts.terms_and_gradients(theta), whole.terms_and_gradients(theta), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max())


def test_the_chunk_size_can_be_set(backend_name):
    method = ("heat-0.15", "mmpinn")
    spec = CATALOGUE.resolve(*method, backend_name, scale="smoke", overrides=["chunk_size=77"])
    assert build(spec)[1].chunk_size == 77
    usual = CATALOGUE.resolve(*method, backend_name, scale="smoke")
    assert build(usual)[1].chunk_size == backends.load(backend_name).chunk_size


def test_points_without_derivatives_are_swept_three_at_the_place_of_one(backend_name):
    _, backend, _ = build(smoke_spec(("heat-0.15", "mmpinn"), backend_name))
    other = backends.load(backend_name)(backend.model, backend.terms, "float64", chunk_size=10)
    for constraint in (constraint for term in other.terms for constraint in term.constraints):
        points = other.cut(constraint, constraint_arrays(other.model, constraint))["points"]
        most = 10 if constraint.layout else 30
        assert points.shape[1] <= most and len(points) == -(-len(constraint.points) // most)


def test_chunks_are_padded_with_weight_zero():
    spec = smoke_spec(("heat-0.15", "mmpinn"), "jax")
    problem = spec.build_problem()
    constraint = build_terms(collocation_points(spec, problem))[-1].constraints[0]
    arrays = chunked({"points": constraint.points[:10], "weight": constraint.weight[:10]}, 4)
    assert arrays["points"].shape == (3, 4, 2)
    assert np.count_nonzero(arrays["weight"]) == 10
    assert arrays["weight"].sum() == pytest.approx(constraint.weight[:10].sum())


def test_fused_and_split_operators_agree(physics_on):
    physics, backend_name = physics_on
    spec = smoke_spec(physics, backend_name)
    problem, fused, theta = build(spec)
    terms = build_terms(collocation_points(spec, problem), fuse=False)
    split = backends.load(backend_name)(fused.model, terms, "float64")
    for ours, expected in zip(split.terms_and_gradients(theta), fused.terms_and_gradients(theta), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())


def test_prediction_is_the_network(field_on):
    physics, backend_name = field_on
    problem, backend, theta = build(smoke_spec(physics, backend_name))
    points = np.random.default_rng(0).uniform(problem.lower, problem.upper, (10_000, problem.dimension))
    np.testing.assert_allclose(
        backend.predict(theta, points), network_value(backend.model, theta, points), rtol=1e-9, atol=1e-12
    )


def test_points_lie_on_their_faces_and_fill_them():
    spec = smoke_spec(("heat-0.3", "pinn"), "jax")
    problem = spec.build_problem()
    for group in collocation_points(spec, problem):
        equation, points = group.equation, group.points
        assert (points >= problem.lower).all() and (points <= problem.upper).all()
        for name, value in equation.where.items():
            assert (points[:, problem.coordinates.index(name)] == value).all()
    strata = points_of(problem.residual, "latin-hypercube", 64, np.random.default_rng(0))
    scaled = (strata - problem.lower) / (problem.upper - problem.lower)
    assert (np.sort((scaled * 64).astype(int), axis=0) == np.arange(64)[:, None]).all()


def test_groups_are_one_sample_squeezed_into_boxes():
    """t' = 0.4 t, 0.4 t + 0.2, 0.4 t + 0.6 of the same points, overlapping as in the authors' files."""
    spec = smoke_spec(("pulse", "mmpinn-grs"), "jax")
    problem = spec.build_problem()
    groups = {p.term: p.points for p in collocation_points(spec, problem) if not p.equation.where}
    assert list(groups) == ["residual.before", "residual.ridge", "residual.after"]
    x, t = groups["residual.before"].T
    for name, shift in (("residual.ridge", 0.2), ("residual.after", 0.6)):
        np.testing.assert_allclose(groups[name], np.stack([x, t + shift], axis=1), atol=1e-15)
    assert t.min() < 0.02 and 0.38 < t.max() <= 0.4


def test_a_hard_constraint_leaves_only_the_residual():
    spec = smoke_spec(("heat-0.15", "hard-constraint"), "jax")
    problem, backend, theta = build(spec)
    assert [term.name for term in backend.terms] == ["residual"]
    for equation in problem.equations[:-1]:
        points = points_of(equation, "grid", 7, np.random.default_rng(0))
        np.testing.assert_allclose(backend.predict(theta, points), equation.target(points), atol=1e-13)


COUNTS = {
    ("heat-0.3", "mmpinn"): 1341,
    ("heat-0.15", "mmpinn"): 7851,
    ("heat-0.11", "mmpinn"): 482801,
    ("pulse", "mmpinn-grs"): 7851,
    ("helmholtz-1-8", "hard-constraint"): 7851,
    ("helmholtz-1-8", "mmpinn-mff"): 7701,
    ("helmholtz-1-8", "mmpinn-inn"): 17901,
    ("multifrequency-20", "mff"): 271201,
    ("multifrequency-20", "mmpinn-inn"): 451801,
}


@pytest.mark.parametrize(("case", "count"), COUNTS.items(), ids=str)
def test_parameter_counts_are_the_papers(case: tuple[str, str], count: int):
    spec = CATALOGUE.resolve(*case, "jax", scale="paper")
    assert initial_parameters(spec, spec.build_problem()).size == count


@pytest.mark.parametrize(
    ("name", "options", "dimension", "count"),
    [
        ("dense", {"width": 100, "depth": 2}, 1, 10401),
        ("dense", {"width": 150, "depth": 5}, 2, 91201),
        ("mff", {"width": 100, "depth": 1, "maps": [([0], 1.0), ([0], 25.0)], "merge": "concatenate"}, 1, 10301),
        ("mff", {"width": 150, "depth": 4, "maps": [([0], 1.0), ([1], 5.0)]}, 2, 90751),
        ("inn", {"width": 150, "depth": 4, "maps": [([0], 1.0), ([1], 5.0)]}, 2, 181351),
        ("ifnn", {"width": 50, "depth": 4}, 2, 8151),
        ("ifnn", {"width": 150, "depth": 5}, 2, 92101),
    ],
)
def test_parameter_counts_of_networks_are_the_papers(name, options, dimension, count):
    maps = {"maps": [FourierMap(*each) for each in options["maps"]]} if "maps" in options else {}
    assert parameter_count(networks.load(name)(**options | maps).shapes(dimension)) == count
