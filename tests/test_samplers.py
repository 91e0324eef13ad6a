"""Samplers and groupings: counts, bounds, strata, chance; the same for both backends."""

import warnings

import numpy as np
import pytest

from solvers.configuration.assembly import build_backend, collocation_points, initial_parameters, point_sets
from solvers.configuration.spec import RunSpec
from solvers.points import samplers
from solvers.points.samplers import Sampler
from solvers.points.sampling import PointSets, PointSource
from tests.conftest import BACKENDS, smoke_spec
from tests.plugins import Halves

LOWER, UPPER = np.array([-1.0, 0.0, 2.0]), np.array([1.0, 0.5, 5.0])


def drawn(name: str, count: int, free: int = 2, seed: int = 0) -> np.ndarray:
    """Points in the unit box that the sampler's box is scaled to."""
    sampler = samplers.load(name)(count)
    points = sampler.draw(LOWER[:free], UPPER[:free], count, np.random.default_rng(seed))
    assert points.shape == (sampler.size(free), free)
    assert (points >= LOWER[:free]).all() and (points <= UPPER[:free]).all()
    return (points - LOWER[:free]) / (UPPER[:free] - LOWER[:free])


@pytest.fixture(params=samplers.names())
def sampler_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("free", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 7, 64, 100])
def test_points_are_as_many_as_asked_for_and_in_the_box(sampler_name, count, free):
    scaled = drawn(sampler_name, count, free)
    nodes = count**free if sampler_name == "grid" else count
    assert len(scaled) == nodes
    if count >= 64:
        assert (scaled.min(axis=0) < 0.1).all() and (scaled.max(axis=0) > 0.9).all()


def test_chance_is_the_generators(sampler_name):
    first, again, other = (drawn(sampler_name, 20, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (sampler_name == "grid")
    if sampler_name != "grid":
        assert len(np.unique(first[:, 0])) == len(first)


def test_a_grid_has_its_ends():
    scaled = drawn("grid", 5)
    expected = np.linspace(0, 1, 5)
    np.testing.assert_allclose(np.unique(scaled[:, 0].round(12)), expected)
    assert len(np.unique(scaled.round(12), axis=0)) == 25


@pytest.mark.parametrize("count", [7, 64])
def test_a_latin_hypercube_has_one_point_in_each_slice(count):
    slices = (drawn("latin-hypercube", count, 3) * count).astype(int)
    assert (np.sort(slices, axis=0) == np.arange(count)[:, None]).all()


def test_a_sobol_sequence_has_one_point_in_each_slice_and_box():
    """64 points: one in each 64th of every coordinate, and in two dimensions one in each of 8 x 8 boxes."""
    scaled = drawn("sobol", 64)
    assert (np.sort((scaled * 64).astype(int), axis=0) == np.arange(64)[:, None]).all()
    boxes = (scaled * 8).astype(int)
    assert len(np.unique(boxes, axis=0)) == 64


@pytest.mark.parametrize("count", [1, 3, 100, 129])
def test_a_sobol_count_need_be_no_power_of_two(count):
    """Without a word of SciPy's: the beginning of the sequence of the next power."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points = drawn("sobol", count)
    power = 1 << (count - 1).bit_length()
    np.testing.assert_array_equal(points, drawn("sobol", power)[:count])


@pytest.mark.parametrize("name", ["uniform", "sobol", "latin-hypercube"])
def test_the_mean_over_points_is_near_the_integral(name):
    """Of x y over the unit box, 1 / 4: within five standard errors of independent points."""
    points = drawn(name, 4096)
    assert np.prod(points, axis=1).mean() == pytest.approx(0.25, abs=5 * 0.22 / 64)
    if name == "sobol":
        assert np.prod(points, axis=1).mean() == pytest.approx(0.25, abs=1e-3)


def test_an_impossible_count_is_refused(sampler_name):
    with pytest.raises(ValueError, match="count 0 must be at least 1"):
        samplers.load(sampler_name)(0)


def test_a_sampler_that_does_not_refresh_keeps_its_points(sampler_name):
    sampler: Sampler = samplers.load(sampler_name)(9)
    points = np.ones((9, 2))
    assert sampler.refresh_every is None
    assert sampler.refresh(points, LOWER[:2], UPPER[:2], None, np.random.default_rng(0)) is points
    assert sampler.each_step == (sampler_name == "resampled")


@pytest.mark.parametrize("name", ["uniform", "sobol"])
def test_samplers_are_set_in_the_configuration(name):
    """Both backends get the same points; a face keeps its coordinate."""
    overrides = [f"points.residual={{strategy: {name}, count: 100}}", f"points.initial.strategy={name}"]
    found = []
    for backend in BACKENDS:
        spec = smoke_spec(("heat-0.3", "mmpinn"), backend, overrides=overrides)
        problem = spec.build_problem()
        found.append(build_backend(spec, problem).terms)
        for group in collocation_points(spec, problem):
            for coordinate, value in group.equation.where.items():
                assert (group.points[:, problem.coordinates.index(coordinate)] == value).all()
    for ours, other in zip(*found, strict=True):
        assert ours.name == other.name
        for constraint, same in zip(ours.constraints, other.constraints, strict=True):
            np.testing.assert_array_equal(constraint.points, same.points)
    assert found[0][-1].size == 100


def test_a_face_that_is_a_point_has_one():
    problem = smoke_spec(("poisson-4-150", "pinn"), "jax").build_problem()
    sources = [PointSource(e, samplers.load("sobol")(50), np.random.default_rng(0)) for e in problem.equations]
    sizes = [len(points.points) for points in PointSets(sources).collocation()]
    assert sizes == [1, 1, 50]


def test_points_are_split_by_the_residual_of_the_untrained_network(monkeypatch):
    """The same groups for both backends: it is computed in NumPy, and is that of either backend."""
    monkeypatch.setattr(RunSpec, "build_grouping", lambda self: Halves())
    found = {}
    for name in BACKENDS:
        spec = smoke_spec(("heat-0.3", "pinn"), name)
        assert spec.terms == ("initial", "boundary", "residual.low", "residual.high")
        problem = spec.build_problem()
        backend = build_backend(spec, problem)
        assert tuple(backend.names) == spec.terms
        theta = initial_parameters(spec, problem)
        own = {term.name: term.constraints[0].points for term in backend.terms[-2:]}
        low, high = (np.abs(backend.residuals_at(theta, problem.residual, points)) for points in own.values())
        assert len(low) == len(high) == 100 and low.max() < high.min()
        (source,) = [s for s in point_sets(spec, problem).sources if s.grouping]
        np.testing.assert_allclose(source.residual(own["residual.low"]), low, rtol=1e-10)
        found[name] = own
    for term, points in found["jax"].items():
        np.testing.assert_array_equal(points, found["torch"][term])
