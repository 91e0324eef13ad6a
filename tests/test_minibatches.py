"""Fresh points for every Adam step, learning-rate annealing on them, and multipliers trained point by point."""

import numpy as np
import pytest

from solvers.assembly import minibatches
from solvers.networks.base import unflatten
from solvers.optimizers.adam import Adam
from solvers.optimizers.base import Job
from solvers.optimizers.lbfgs import Lbfgs
from solvers.sampling import Source
from solvers.terms import Piece, build_terms
from tests.conftest import BACKENDS, CATALOGUE, METHODS, build, coefficients_of, smoke_spec
from tests.test_optimizers import job_for, objectives
from tests.test_terms import reference_term

RESAMPLED = [method for method in METHODS if smoke_spec(method, "jax").resampled]
POINTWISE = [method for method in METHODS if smoke_spec(method, "jax").build_balancing().pointwise]
ANNEALED = [method for method in RESAMPLED if smoke_spec(method, "jax").balancing["name"] == "lra"]


def batches_of(method: tuple[str, str], backend: str = "jax"):
    spec = smoke_spec(method, backend)
    problem, built, theta = build(spec)
    return spec, problem, built, theta, minibatches(spec, problem, built.model)


def test_the_groups_of_methods_are_not_empty():
    assert RESAMPLED and POINTWISE and ANNEALED


@pytest.mark.parametrize("method", RESAMPLED, ids="-".join)
def test_batches_do_not_depend_on_how_many_are_drawn_at_a_time(method):
    whole = batches_of(method)[-1].draw(7)
    sampler = batches_of(method)[-1]
    parts = [sampler.draw(n) for n in (1, 4, 2)]
    for i, term in enumerate(whole):
        for j, block in enumerate(term):
            for name, array in block.items():
                np.testing.assert_array_equal(array, np.concatenate([part[i][j][name] for part in parts]))


@pytest.mark.parametrize("method", RESAMPLED, ids="-".join)
def test_batches_are_new_at_every_step_and_have_the_counts_asked_for(method):
    spec, problem, backend, _, sampler = batches_of(method)
    drawn = sampler.draw(3)
    assert [len(term) for term in drawn] == [len(term.blocks) for term in backend.terms]
    residual = drawn[-1][0]["points"]
    assert residual.shape == (3, spec.points["residual"].count, problem.dimension)
    assert len(np.unique(residual[..., 0])) == residual[..., 0].size
    assert (residual >= problem.lower).all() and (residual <= problem.upper).all()
    for term, blocks in zip(backend.terms, drawn, strict=True):
        for fixed, block in zip(term.blocks, blocks, strict=True):
            np.testing.assert_array_equal(block["weight"], np.tile(fixed.weight, (3, 1)))


@pytest.mark.parametrize("method", RESAMPLED, ids="-".join)
def test_a_batchs_terms_equal_the_numpy_reference(method, backend_name):
    """From the points themselves: the draw of each equation, face by face."""
    spec, problem, backend, theta, sampler = batches_of(method, backend_name)
    values, gradients = backend.terms_and_gradients(theta, sampler.draw(1))
    pieces = [piece for source in minibatches(spec, problem, backend.model).sources for piece in source.draw(1)]
    for name, value in zip(spec.terms, values, strict=True):
        own = [piece for piece in pieces if piece.term == name]
        assert value == pytest.approx(reference_term(problem, own, backend.model, theta), rel=1e-8)
    fixed = type(backend)(backend.model, build_terms(pieces), backend.balancing, "float64")
    np.testing.assert_allclose(fixed.terms_and_gradients(theta)[1], gradients, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [5, 1000])
def test_batches_may_be_larger_than_a_chunk(backend_name, size):
    method = ("klein-gordon-5", "mmpinn-mff")
    _, _, backend, theta, sampler = batches_of(method, backend_name)
    batch = sampler.draw(1)
    other = type(backend)(backend.model, backend.terms, backend.balancing, "float64", chunk_size=size)
    for ours, expected in zip(
        other.terms_and_gradients(theta, batch), backend.terms_and_gradients(theta, batch), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)


def job_of(method: tuple[str, str], backend: str, every: int = 1) -> tuple[Job, np.ndarray]:
    job, theta = job_for(backend, every=every, case=method)
    spec = smoke_spec(method, backend)
    job.minibatches = minibatches(spec, spec.build_problem(), job.backend.model)
    return job, theta


def test_adam_takes_each_step_on_its_batch(backend_name):
    """Kingma and Ba, algorithm 1, on the gradients of one batch after the other."""
    method = ("klein-gordon-5", "mmpinn-mff")
    job, theta = job_of(method, backend_name, every=4)
    adam = Adam(iterations=9, learning_rate=3e-3)
    outcome = adam.minimise(job, theta)
    sampler = batches_of(method, backend_name)[-1]
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    for t in range(1, 10):
        values, gradients = job.backend.terms_and_gradients(theta, sampler.draw(1))
        gradient = job.backend.balancing.combine(values, job.coefficients)[1] @ gradients
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        theta = theta - 3e-3 * first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(outcome.theta, theta, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("method", [*RESAMPLED, *POINTWISE], ids="-".join)
def test_backends_take_the_same_path_in_float64(method):
    paths, ends = [], []
    for name in BACKENDS:
        job, theta = job_of(method, name)
        Adam(iterations=20).minimise(job, theta)
        paths.append(objectives(job))
        ends.append(job.coefficients)
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-7)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-7)


def test_a_point_face_needs_one_point():
    spec = smoke_spec(("poisson-4-150", "pinn"), "jax", overrides=["points.boundary.count=50"])
    problem = spec.build_problem()
    source = Source(problem.equations[0], "resampled", 50, np.random.default_rng(0))
    (piece,) = source.draw(3)
    assert isinstance(piece, Piece)
    np.testing.assert_array_equal(piece.points, np.zeros((3, 1)))


def annealed(coefficients, model, values, gradients, rate) -> np.ndarray:
    """Wang, Teng and Perdikaris, algorithm 1, matrix by matrix, with the authors' weighted denominator."""
    by_name = [unflatten(gradient, model.shapes) for gradient in gradients]
    names = model.network.layer_weights(len(model.shift))
    assert names and not any(name.startswith(("u", "v")) for name in names)
    largest = max(np.abs(by_name[-1][name]).max() for name in names)
    new = coefficients.copy()
    for i in range(len(values) - 1):
        mean = np.mean([np.abs(coefficients[i] * by_name[i][name]).mean() for name in names])
        new[i] = (1 - rate) * coefficients[i] + rate * largest / mean
    return new


@pytest.mark.parametrize("method", ANNEALED, ids="-".join)
def test_annealing_updates_after_its_steps_on_their_batches(method, backend_name):
    """With a period of 3, seven steps update after steps 0, 3 and 6, and count these evaluations."""
    job, theta = job_of(method, backend_name, every=4)
    rule = type(job.backend.balancing)(update_every=3, rate=0.25)
    job.backend.balancing = rule
    np.testing.assert_array_equal(job.coefficients, 1)
    Adam(iterations=7, learning_rate=1e-3).minimise(job, theta)
    assert job.monitor.total.function_evaluations == 7 + 3

    reference, _ = job_of(method, backend_name)
    backend, sampler = reference.backend, batches_of(method, backend_name)[-1]
    state = backend.start_adam(theta, _options())
    coefficients = np.ones(len(backend.terms))
    for step in range(7):
        batch = sampler.draw(1)
        state, _ = backend.adam_steps(state, np.array([1e-3]), coefficients, batch)
        if step % 3 == 0:
            seen = backend.terms_and_gradients(backend.adam_trained(state), batch)
            coefficients = annealed(coefficients, backend.model, *seen, rate=0.25)
    np.testing.assert_allclose(job.coefficients, coefficients, rtol=1e-9)
    assert (coefficients[:-1] > 1).all() and coefficients[-1] == 1


def _options():
    from solvers.backends import AdamOptions

    return AdamOptions()


def test_annealed_weights_stand_in_the_history():
    job, theta = job_of(("klein-gordon-5", "lra-ifnn"), "jax", every=5)
    Adam(iterations=12).minimise(job, theta)
    rows = job.monitor.rows
    assert rows[0]["weight.boundary"] == 1 < rows[1]["weight.boundary"]
    assert all(row["weight.residual"] == 1 for row in rows)


@pytest.mark.parametrize("method", POINTWISE, ids="-".join)
def test_multipliers_climb_the_objectives_gradient(method, backend_name):
    """One Adam step with a huge epsilon is a plain gradient step, up for multipliers and down for parameters."""
    job, theta = job_of(method, backend_name)
    backend, start = job.backend, job.coefficients
    adam = Adam(iterations=1, learning_rate=1e-3 * 1e20, epsilon=1e20)
    after = adam.minimise(job, theta).theta
    np.testing.assert_allclose(
        after - theta, -1e-3 * backend.evaluate(theta, start).gradient, rtol=1e-5, atol=1e-8
    )
    climbed = job.coefficients - start
    for i in np.linspace(0, len(start) - 1, 5).astype(int):
        step = np.zeros_like(start)
        step[i] = 1e-2
        rise = backend.evaluate(theta, start + step).objective - backend.evaluate(theta, start - step).objective
        # The objective is a square in each multiplier: the central difference is exact.
        assert climbed[i] == pytest.approx(1e-3 * rise / 2e-2, rel=1e-5, abs=1e-7 * np.abs(climbed).max())
    assert (climbed >= 0).all() and climbed.max() > 0


@pytest.mark.parametrize("method", POINTWISE, ids="-".join)
def test_lbfgs_keeps_the_multipliers(method, backend_name):
    job, theta = job_of(method, backend_name)
    Adam(iterations=3).minimise(job, theta)
    after_adam = job.coefficients.copy()
    Lbfgs(iterations=3, evaluations=20).minimise(job, theta)
    np.testing.assert_array_equal(job.coefficients, after_adam)
    assert len(after_adam) == sum(job.backend.sizes[name] for name in job.backend.balancing.pointwise)


def test_multipliers_start_as_told():
    rule = smoke_spec(("heat-0.15", "sa-pinn"), "jax").build_balancing()
    start = coefficients_of(rule, {"initial": 4, "boundary": 5, "residual": 1000}, {})
    np.testing.assert_array_equal(start[:4], 100)
    assert len(start) == 1004 and 0 <= start[4:].min() < 0.02 and 0.98 < start[4:].max() <= 1


@pytest.mark.parametrize(
    ("case", "override", "parts"),
    [
        (("klein-gordon-5", "pinn"), "points.residual.strategy=grid", ["points.residual.strategy", "resampled"]),
        (("heat-0.3", "pinn"), "points.residual.strategy=resampled", ["points.initial.strategy", "resampled"]),
        (("klein-gordon-5", "lra-ifnn"), "balancing.update_every=0", ["balancing", "update_every", "at least 1"]),
        (("klein-gordon-5", "lra-ifnn"), "balancing.rate=2.0", ["balancing", "(0, 1]"]),
        (("heat-0.15", "sa-pinn"), "balancing.start={wall: [0, 1]}", ["balancing", "wall", "boundary"]),
        (("heat-0.15", "sa-pinn"), "balancing.start={residual: [2, 1]}", ["balancing", "interval"]),
        (("heat-0.15", "hard-constraint"), "points.residual.strategy=resampled", ["levels.0.stages", "lbfgs"]),
    ],
    ids=str,
)
def test_impossible_settings_are_named(case, override, parts):
    from solvers.configuration import ConfigurationError

    with pytest.raises(ConfigurationError) as caught:
        CATALOGUE.resolve(*case, "jax", scale="smoke", overrides=[override])
    for part in parts:
        assert part in str(caught.value)
