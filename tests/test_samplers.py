"""Samplers and groupings: counts, bounds, strata, chance; the same for both backends."""

import itertools
import warnings

import numpy as np
import pytest

from solvers.configuration.assembly import (
    build_backend,
    build_model,
    collocation_points,
    initial_parameters,
    minibatches,
    point_sets,
)
from solvers.configuration.catalogue import ConfigurationError
from solvers.configuration.spec import RunSpec
from solvers.optimizers.adam import Adam
from solvers.points import groupings, samplers
from solvers.points.groupings.tree import grow
from solvers.points.samplers import Sampler
from solvers.points.samplers.base import Field
from solvers.points.samplers.rad import Rad
from solvers.points.samplers.rar_d import RarD
from solvers.points.sampling import PointSets, PointSource
from tests.conftest import BACKENDS, smoke_spec
from tests.plugins import Halves
from tests.trial import Kept, assert_same, continued, trial_of

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
        assert len(np.unique(first[:, 0])) == (10 if sampler_name == "rar-d" else 20)


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


ADAPTIVE = [name for name in samplers.names() if samplers.load(name)(9).refresh_every]
"""Samplers that choose points anew by the residual."""


@pytest.mark.parametrize("sampler_name", sorted(set(samplers.names()) - set(ADAPTIVE)))
def test_a_sampler_that_does_not_refresh_keeps_its_points(sampler_name):
    sampler: Sampler = samplers.load(sampler_name)(9)
    points = np.ones((9, 2))
    assert sampler.refresh(points, LOWER[:2], UPPER[:2], None, np.random.default_rng(0)) is points
    assert sampler.each_step == (sampler_name == "resampled")


def refreshed(sampler: Sampler, residual: Field, rounds: int = 1) -> list[np.ndarray]:
    """The points at the start and after each round, in the unit square."""
    lower, upper, rng = np.zeros(2), np.ones(2), np.random.default_rng(0)
    points = [sampler.draw(lower, upper, sampler.count, rng)]
    for _ in range(rounds):
        points.append(sampler.refresh(points[-1], lower, upper, residual, rng))
    return points


def flat(points: np.ndarray) -> np.ndarray:
    return np.ones(len(points))


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("count", [1, 7, 200])
def test_adaptive_points_keep_their_number_and_the_box(name, count):
    for points in refreshed(samplers.load(name)(count), lambda points: points[:, 0] ** 4, 3):
        assert points.shape == (count, 2) and (points >= 0).all() and (points <= 1).all()


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e200])
def test_a_residual_without_a_size_is_no_error(name, value):
    """Of a network that is exact, or has diverged; the run's own check says so then."""
    _, points = refreshed(samplers.load(name)(100), lambda points: np.full(len(points), value))
    assert points.shape == (100, 2)


def test_rad_leaves_points_uniform_where_the_residual_is_constant():
    """And none twice: their means and covariances are those of the square within five standard errors."""
    _, points = refreshed(Rad(4000), flat)
    assert len(np.unique(points, axis=0)) == 4000
    np.testing.assert_allclose(points.mean(axis=0), 0.5, atol=5 * 0.29 / 63)
    np.testing.assert_allclose(np.cov(points.T), np.eye(2) / 12, atol=5 * 0.083 / 63)


@pytest.mark.parametrize(("power", "offset"), [(1.0, 1.0), (1.0, 0.0), (2.0, 0.0), (2.0, 1.0)])
def test_rads_probability_is_the_published_one(power, offset):
    """A residual of 3 on a quarter of the square and 1 elsewhere: the share of points there."""
    sampler = Rad(2000, power=power, offset=offset)
    _, points = refreshed(sampler, lambda points: np.where((points < 0.5).all(axis=1), 3.0, 1.0))
    mean = (3**power + 3) / 4
    density = np.array([3**power, 1, 1, 1]) / mean + offset
    share = (points < 0.5).all(axis=1).mean()
    assert share == pytest.approx(density[0] / density.sum(), abs=5 * 0.5 / 2000**0.5)
    assert abs(share - 0.25) > 0.07, "far from uniform"


def test_rad_without_an_offset_leaves_a_region_without_residual_empty():
    _, points = refreshed(Rad(200, offset=0.0), lambda points: (points[:, 0] > 0.5) * 1.0)
    assert (points[:, 0] > 0.5).all()


def test_rar_d_adds_points_and_takes_none_away():
    """From half of them, each twice, in steps of 1/200 until all places are taken; where the residual is."""
    sampler = RarD(1000)
    rounds = refreshed(sampler, lambda points: (points[:, 0] > 0.9) * 1.0, 102)
    first, counts = rounds[0][:500], [len(np.unique(points, axis=0)) for points in rounds]
    assert counts == [min(500 + 5 * i, 1000) for i in range(103)]
    for before, after in itertools.pairwise(rounds):
        assert set(map(tuple, before)) <= set(map(tuple, after))
    np.testing.assert_array_equal(rounds[-1][:500], first)
    assert (rounds[-1][500:, 0] > 0.9).all() and (first[:, 0] < 0.9).mean() > 0.8
    np.testing.assert_array_equal(rounds[0][500:], first)
    assert [len(np.unique(p, axis=0)) for p in refreshed(RarD(9, added=3), flat, 3)] == [5, 8, 9, 9]


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize(
    "bad", [{"every": 0}, {"candidates": 0}, {"power": -1.0}, {"offset": -1.0}], ids=lambda bad: next(iter(bad))
)
def test_impossible_settings_of_adaptive_points_are_refused(name, bad):
    (key,) = bad
    with pytest.raises(ValueError, match=key):
        samplers.load(name)(9, **bad)
    with pytest.raises(ValueError, match="added"):
        RarD(9, added=0)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_kill_changes_nothing_of_adaptive_points(name, backend_name):
    """Points are chosen after steps 3, 6 and 9; killed on the way and taken up again."""
    sampler = samplers.load(name)(60, every=3, candidates=500)
    make = lambda kept: trial_of(backend_name, every=4, sampler=sampler, kept=kept)  # noqa: E731
    for whole, again in continued(make, lambda made: made.train(Adam(10)), counts=(2,)):
        assert_same(whole, again)
        first = make(Kept()).points.terms()[-1].constraints[0].points
        assert not np.array_equal(whole.backend.terms[-1].constraints[0].points, first)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_backends_choose_the_same_points(name):
    sampler = samplers.load(name)(60, every=3, candidates=500)
    found = []
    for backend in BACKENDS:
        made = trial_of(backend, sampler=sampler)
        made.train(Adam(10))
        found.append((made.objectives, made.backend.terms[-1].constraints[0].points))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-10)
    np.testing.assert_array_equal(found[0][1], found[1][1])


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


def ridge(points: np.ndarray) -> np.ndarray:
    """A residual that is 1e6 times as large for 0.5 < x < 0.75."""
    return np.where((points[:, 0] > 0.5) & (points[:, 0] < 0.75), 1e6, 1.0)


def box_of(points: np.ndarray) -> np.ndarray:
    return np.array([points.min(axis=0), points.max(axis=0)]).T


def test_a_tree_finds_the_boxes_of_the_residual():
    """From the smallest residual to the largest; every box is filled with the whole draw."""
    problem = smoke_spec(("pulse", "pinn"), "jax").build_problem()
    points = np.random.default_rng(0).uniform(problem.lower, problem.upper, (2000, 2))
    split = groupings.load("tree")(count=3).split(points, problem, ridge)
    assert list(split) == ["g1", "g2", "g3"] and {len(own) for own in split.values()} == {2000}
    first, second, largest = (box_of(own) for own in split.values())
    np.testing.assert_allclose(largest[0], [0.5, 0.75], atol=2e-3)
    np.testing.assert_allclose(sorted([*first[0], *second[0]]), [0, 0.5, 0.75, 1], atol=2e-3)
    for box in (first, second, largest):
        np.testing.assert_allclose(box[1], [0, 1], atol=2e-3)


def test_a_draw_is_divided_among_boxes():
    """Each of its points goes into one box, at the place that it has in the domain."""
    problem = smoke_spec(("pulse", "pinn"), "jax").build_problem()
    points = np.random.default_rng(0).uniform(problem.lower, problem.upper, (101, 2))
    boxes = {"low": {"t": (0.0, 0.5)}, "high": {"t": (0.5, 1.0)}}
    low, high = groupings.load("boxes")(boxes, divided=True).split(points, problem, ridge).values()
    np.testing.assert_allclose(low, points[0::2] * [1, 0.5], rtol=1e-15)
    np.testing.assert_allclose(high, points[1::2] * [1, 0.5] + [0, 0.5], rtol=1e-15)
    split = groupings.load("tree")(count=4, divided=True).split(points, problem, ridge)
    assert sum(map(len, split.values())) == 101


@pytest.mark.parametrize("shape", [(32,), (8, 8), (6, 5, 4)])
@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_the_boxes_of_a_tree_cover_the_domain_once(shape, count):
    """Each split lowers the scatter: with all of it in two halves, one split finds them."""
    levels = np.random.default_rng(1).normal(size=shape)
    blocks = grow(levels, count)
    assert len(blocks) == count
    covered = np.zeros(shape, int)
    for block in blocks:
        covered[tuple(slice(*side) for side in block)] += 1
    assert (covered == 1).all()
    means = [levels[tuple(slice(*side) for side in block)].mean() for block in blocks]
    assert means == sorted(means)


def test_no_split_of_a_tree_beats_its_first():
    """Against all splits there are, tried one by one."""
    levels = np.random.default_rng(2).normal(size=(7, 9))
    scatter = lambda cells: ((cells - cells.mean()) ** 2).sum()  # noqa: E731
    splits = [np.split(levels, [at], axis) for axis in (0, 1) for at in range(2, levels.shape[axis] - 1)]
    ours = sum(scatter(levels[tuple(slice(*side) for side in block)]) for block in grow(levels, 2))
    assert ours == pytest.approx(min(scatter(a) + scatter(b) for a, b in splits), rel=1e-12)


def test_a_tree_is_refused_where_no_more_boxes_fit():
    with pytest.raises(ValueError, match=r"no 3 boxes"):
        grow(np.zeros(4), 3)
    with pytest.raises(ValueError, match=r"count 0"):
        groupings.load("tree")(count=0)


def test_quantiles_are_equally_many_points_by_their_residual():
    problem = smoke_spec(("pulse", "pinn"), "jax").build_problem()
    points = np.random.default_rng(0).uniform(problem.lower, problem.upper, (100, 2))
    split = groupings.load("quantiles")(count=3).split(points, problem, lambda points: points[:, 1])
    assert [len(own) for own in split.values()] == [34, 33, 33]
    low, middle, high = (own[:, 1] for own in split.values())
    assert low.max() < middle.min() and middle.max() < high.min()


@pytest.mark.parametrize("grouping", ["{name: quantiles}", "{name: tree, divided: true}"])
def test_groups_of_other_sizes_from_step_to_step_are_refused(grouping):
    """Whereas boxes that all points of a step are in are as good with fresh points as without."""
    powers = "balancing={name: power, exponents: {residual: 3}}"
    with pytest.raises(ConfigurationError, match=r"grouping.*cannot split the fresh points"):
        smoke_spec(("poisson-2-50", "mmpinn-mff"), "jax", overrides=[f"grouping={grouping}", powers])
    spec = smoke_spec(("poisson-2-50", "mmpinn-mff"), "jax", overrides=["grouping={name: tree, count: 2}", powers])
    problem = spec.build_problem()
    drawn = minibatches(spec, problem, build_model(spec, problem)).draw(3)
    assert [term[0]["points"].shape for term in drawn[-2:]] == [(3, 64, 1)] * 2


@pytest.mark.parametrize("name", groupings.names())
def test_groupings_are_set_in_the_configuration(name):
    """A power for all groups; both backends train on the same groups, each of the points that it says."""
    given = {"boxes": "boxes: {low: {t: [0, 0.5]}, high: {t: [0.5, 1]}}"}.get(name, "count: 2")
    overrides = [f"grouping={{name: {name}, {given}}}", "balancing={name: power, exponents: {residual: 3}}"]
    found = []
    for backend in BACKENDS:
        spec = smoke_spec(("heat-0.3", "pinn"), backend, overrides=overrides)
        terms = build_backend(spec, spec.build_problem()).terms
        assert tuple(term.name for term in terms) == spec.terms and len(terms) == 4
        found.append([term.constraints[0].points for term in terms])
    for ours, other in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, other)
