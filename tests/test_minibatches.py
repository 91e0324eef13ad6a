"""Fresh points for every Adam step, learning-rate annealing on them, and multipliers trained point by point."""

import numpy as np
import pytest

from solvers.balancing.lra import Lra
from solvers.balancing.self_adaptive import SelfAdaptive
from solvers.configuration.assembly import minibatches
from solvers.model.networks.base import unflatten
from solvers.model.terms import CollocationPoints, build_terms
from solvers.optimizers.adam import Adam
from solvers.optimizers.lbfgs import Lbfgs
from solvers.points import samplers
from solvers.points.sampling import PointSource
from solvers.training.loss import Steps
from tests.conftest import (
    BACKENDS,
    CATALOGUE,
    METHODS,
    build,
    loss_kind,
    one_of_each,
    physics_of,
    smoke_spec,
    state_of,
)
from tests.test_terms import reference_term
from tests.trial import trial_of


def rule_of(method: tuple[str, str]):
    return smoke_spec(method, "jax").build_levels()[0].balancing


RESAMPLED = [method for method in METHODS if smoke_spec(method, "jax").resampled]
POINTWISE = [method for method in METHODS if rule_of(method).pointwise]
CLIMBING = [method for method in METHODS if isinstance(rule_of(method), SelfAdaptive)]
"""Those of the pointwise ones whose multipliers follow the gradient."""
BATCHED = one_of_each(physics_of, RESAMPLED)
PATHS = one_of_each(lambda spec: loss_kind(spec)[0], [*RESAMPLED, *POINTWISE])
"""One for each rule: a step is the rule's and Adam's on the terms of a batch, tested with all physics."""
ANNEALED = [method for method in BATCHED if isinstance(rule_of(method), Lra)]


def batches_of(method: tuple[str, str], backend: str = "jax"):
    spec = smoke_spec(method, backend)
    problem, built, theta = build(spec)
    return spec, problem, built, theta, minibatches(spec, problem, built.model)


def test_the_groups_of_methods_are_not_empty():
    assert RESAMPLED and POINTWISE and CLIMBING and ANNEALED


@pytest.mark.parametrize("method", RESAMPLED, ids="-".join)
def test_batches_do_not_depend_on_how_many_are_drawn_at_a_time(method):
    whole = batches_of(method)[-1].draw(7)
    sampler = batches_of(method)[-1]
    parts = [sampler.draw(n) for n in (1, 4, 2)]
    for i, term in enumerate(whole):
        for j, constraint in enumerate(term):
            for name, array in constraint.items():
                np.testing.assert_array_equal(array, np.concatenate([part[i][j][name] for part in parts]))


@pytest.mark.parametrize("method", RESAMPLED, ids="-".join)
def test_batches_are_new_at_every_step_and_have_the_counts_asked_for(method):
    spec, problem, backend, _, sampler = batches_of(method)
    drawn = sampler.draw(3)
    assert [len(term) for term in drawn] == [len(term.constraints) for term in backend.terms]
    residual = drawn[-1][0]["points"]
    assert residual.shape == (3, spec.points["residual"]["count"], problem.dimension)
    assert len(np.unique(residual[..., 0])) == residual[..., 0].size
    assert (residual >= problem.lower).all() and (residual <= problem.upper).all()
    for term, constraints in zip(backend.terms, drawn, strict=True):
        for fixed, constraint in zip(term.constraints, constraints, strict=True):
            np.testing.assert_array_equal(constraint["weight"], np.tile(fixed.weight, (3, 1)))


@pytest.mark.parametrize("method", BATCHED, ids="-".join)
def test_a_batchs_terms_equal_the_numpy_reference(method, backend_name):
    """From the points themselves: the draw of each equation, face by face."""
    spec, problem, backend, theta, sampler = batches_of(method, backend_name)
    values, gradients = backend.terms_and_gradients(theta, sampler.draw(1))
    collocation = [
        group for source in minibatches(spec, problem, backend.model).sources for group in source.draw(1)
    ]
    for name, value in zip(spec.terms, values, strict=True):
        own = [group for group in collocation if group.term == name]
        assert value == pytest.approx(reference_term(problem, own, backend.model, theta), rel=1e-8)
    fixed = type(backend)(backend.model, build_terms(collocation), "float64")
    np.testing.assert_allclose(fixed.terms_and_gradients(theta)[1], gradients, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [5, 1000])
def test_batches_may_be_larger_than_a_chunk(backend_name, size):
    method = ("klein-gordon-5", "mmpinn-mff")
    _, _, backend, theta, sampler = batches_of(method, backend_name)
    batch = sampler.draw(1)
    other = type(backend)(backend.model, backend.terms, "float64", chunk_size=size)
    for ours, expected in zip(
        other.terms_and_gradients(theta, batch), backend.terms_and_gradients(theta, batch), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)


def test_adam_takes_each_step_on_its_batch(backend_name):
    """Kingma and Ba, algorithm 1, on the gradients of one batch after the other."""
    method = ("klein-gordon-5", "mmpinn-mff")
    trial = trial_of(backend_name, every=4, case=method)
    ours = trial.train(Adam(iterations=9, learning_rate=3e-3)).theta
    sampler, theta = batches_of(method, backend_name)[-1], trial.theta
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    for t in range(1, 10):
        values, gradients = trial.backend.terms_and_gradients(theta, sampler.draw(1))
        gradient = trial.rule.combine(values, trial.start, np)[1] @ gradients
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        theta = theta - 3e-3 * first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(ours, theta, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("method", PATHS, ids="-".join)
def test_backends_take_the_same_path_in_float64(method):
    paths, ends = [], []
    for name in BACKENDS:
        trial = trial_of(name, case=method)
        trial.train(Adam(iterations=20))
        paths.append(trial.objectives)
        ends.append(trial.balancing)
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-7)
    assert ends[0].keys() == ends[1].keys() == trial.start.keys()
    for name, array in ends[0].items():
        np.testing.assert_allclose(array, ends[1][name], rtol=1e-7)


def test_a_point_face_needs_one_point():
    spec = smoke_spec(("poisson-4-150", "pinn"), "jax", overrides=["points.boundary.count=50"])
    problem = spec.build_problem()
    source = PointSource(problem.equations[0], samplers.load("resampled")(50), np.random.default_rng(0))
    (group,) = source.draw(3)
    assert isinstance(group, CollocationPoints)
    np.testing.assert_array_equal(group.points, np.zeros((3, 1)))


def annealed(weights, model, gradients, rate) -> np.ndarray:
    """Wang, Teng and Perdikaris, algorithm 1, matrix by matrix, with the authors' weighted denominator."""
    by_name = [unflatten(gradient, model.shapes) for gradient in gradients]
    names = model.network.layer_weights(len(model.shift))
    assert names and not any(name.startswith(("u", "v")) for name in names)
    largest = max(np.abs(by_name[-1][name]).max() for name in names)
    new = weights.copy()
    for i in range(len(weights) - 1):
        mean = np.mean([np.abs(weights[i] * by_name[i][name]).mean() for name in names])
        new[i] = (1 - rate) * weights[i] + rate * largest / mean
    return new


@pytest.mark.parametrize("method", ANNEALED, ids="-".join)
def test_annealing_updates_after_its_steps_on_their_batches(method, backend_name):
    """With a period of 3, seven steps update after steps 0, 3 and 6, and count these evaluations."""
    rule = Lra(update_every=3, rate=0.25)
    trial = trial_of(backend_name, every=4, case=method, rule=rule)
    np.testing.assert_array_equal(trial.start["weights"], 1)
    adam = Adam(iterations=7, learning_rate=1e-3)
    trial.train(adam)
    assert trial.monitor.total.function_evaluations == 7 + 3

    loss, sampler = trial.loss, batches_of(method, backend_name)[-1]
    steps = Steps(loss, adam)
    carry = steps.start(trial.theta, trial.start)
    weights = np.ones(len(loss.backend.terms))
    for step in range(7):
        batch = sampler.draw(1)
        carry, _ = steps.run(carry, np.array([1e-3]), {}, batch)
        if step % 3 == 0:
            _, gradients = loss.backend.terms_and_gradients(steps.position(carry)[0], batch)
            weights = annealed(weights, loss.backend.model, gradients, rate=0.25)
            carry = steps.with_state(carry, {"weights": weights})
    np.testing.assert_allclose(trial.balancing["weights"], weights, rtol=1e-9)
    assert (weights[:-1] > 1).all() and weights[-1] == 1


def test_annealed_weights_stand_in_the_history():
    trial = trial_of("jax", every=5, case=("klein-gordon-5", "lra-ifnn"))
    trial.train(Adam(iterations=12))
    rows = trial.monitor.rows
    assert rows[0]["weight.boundary"] == 1 < rows[1]["weight.boundary"]
    assert all(row["weight.residual"] == 1 for row in rows)


@pytest.mark.parametrize("method", CLIMBING, ids="-".join)
def test_multipliers_climb_the_objectives_gradient(method, backend_name):
    """One Adam step with a huge epsilon is a plain gradient step, up for multipliers and down for parameters."""
    trial = trial_of(backend_name, case=method)
    start, theta = trial.start, trial.theta
    after = trial.train(Adam(iterations=1, learning_rate=1e-3 * 1e20, epsilon=1e20)).theta
    down = -1e-3 * trial.evaluate(theta, start).gradient
    np.testing.assert_allclose(after - theta, down, rtol=1e-5, atol=1e-8)
    end = trial.balancing
    assert end.keys() == start.keys() == {f"multiplier.{term}" for term in trial.rule.pointwise}
    climbed = {name: end[name] - start[name] for name in start}
    largest = max(np.abs(array).max() for array in climbed.values())
    for name, array in climbed.items():
        assert len(array) == trial.backend.sizes[name.removeprefix("multiplier.")]
        for i in np.linspace(0, len(array) - 1, 4).astype(int):
            step = np.zeros_like(array)
            step[i] = 1e-2
            up, low = (trial.evaluate(theta, start | {name: start[name] + s}).loss for s in (step, -step))
            # The objective is a square in each multiplier: the central difference is exact.
            assert array[i] == pytest.approx(1e-3 * (up - low) / 2e-2, rel=1e-5, abs=1e-7 * largest)
        assert (array >= 0).all() and array.max() > 0


@pytest.mark.parametrize("method", POINTWISE, ids="-".join)
def test_lbfgs_keeps_the_multipliers(method, backend_name):
    trial = trial_of(backend_name, case=method)
    trial.train(Adam(iterations=3), Lbfgs(iterations=3, evaluations=20))
    after_adam, after_lbfgs = (
        next(s for s in reversed(trial.kept.snapshots) if not s.data["inside"] and s.data["next_stage"] == n)
        for n in (1, 2)
    )
    names = [f"balancing.multiplier.{term}" for term in trial.rule.pointwise]
    for name in names:
        np.testing.assert_array_equal(after_lbfgs.arrays[name], after_adam.arrays[name])
        assert not np.array_equal(after_adam.arrays[name], trial.start[name.removeprefix("balancing.")])
    sizes = [trial.backend.sizes[name] for name in trial.rule.pointwise]
    assert [len(after_adam.arrays[name]) for name in names] == sizes


def test_multipliers_start_as_told():
    rule = rule_of(("heat-0.15", "sa-pinn"))
    start = state_of(rule, {"initial": 4, "boundary": 5, "residual": 1000})
    np.testing.assert_array_equal(start["multiplier.initial"], np.full(4, 100))
    residual = start["multiplier.residual"]
    assert len(residual) == 1000 and 0 <= residual.min() < 0.02 and 0.98 < residual.max() <= 1
    assert start.keys() == {"multiplier.initial", "multiplier.residual"}


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
    from solvers.configuration.catalogue import ConfigurationError

    with pytest.raises(ConfigurationError) as caught:
        CATALOGUE.resolve(*case, "jax", scale="smoke", overrides=[override])
    for part in parts:
        assert part in str(caught.value)
