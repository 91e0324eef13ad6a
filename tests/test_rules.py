"""Balancing rules of the field against the vectors and properties that their papers state, in each namespace."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from solvers import backends, balancing
from solvers.balancing import Balancing
from solvers.balancing._located import located
from solvers.balancing.augmented_lagrangian import AugmentedLagrangian
from solvers.balancing.base import State, StepObservation
from solvers.balancing.brdr import Brdr
from solvers.balancing.causal import Causal
from solvers.balancing.conflict_free import ConflictFree
from solvers.balancing.dual_balanced import DualBalanced
from solvers.balancing.ntk import Ntk
from solvers.balancing.pcgrad import Pcgrad
from solvers.balancing.rba import Rba
from solvers.balancing.relobralo import Relobralo
from solvers.balancing.soft_adapt import SoftAdapt
from solvers.balancing.uncertainty import Uncertainty
from solvers.configuration.catalogue import ConfigurationError
from solvers.optimizers.adam import Adam
from solvers.runs.record import read_history
from solvers.runs.run import run
from tests.conftest import smoke_spec, state_of
from tests.trial import assert_same, continued, trial_of

backends.load("jax")  # turns float64 on, whichever tests ran before
NAMESPACES = {
    "numpy": (np, np.asarray),
    "jax": (jnp, jnp.asarray),
    "torch": (torch, lambda array: torch.from_numpy(np.array(array))),
}
FOLLOWING = {
    "relobralo": Relobralo(look_back=0.5),
    "uncertainty": Uncertainty(),
    "dual-balanced": DualBalanced(update_every=3),
    "conflict-free": ConflictFree(),
    "augmented-lagrangian": AugmentedLagrangian(),
    "brdr": Brdr(("residual", "boundary"), decay=0.9, rate=0.9),
    "soft-adapt": SoftAdapt(slope="normalized"),
    "ntk": Ntk(update_every=3),
    "pcgrad": Pcgrad(),
    "rba": Rba(("residual", "boundary"), rate=0.1),
    "causal": Causal(tolerances=(1e-4, 1e-3), chunks=7),
}
"""Rules whose weights or direction change on the way, as they are tested on a training."""
TOLERANCES: dict[str, float] = {}
"""Of the objectives of ten steps between backends, where it is not 1e-10."""


@pytest.fixture(params=NAMESPACES)
def namespace(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return NAMESPACES[request.param]


def advanced(rule: Balancing, terms: str, sequence: Any, xp: Any, convert: Any, chance: Any = None) -> State:
    """The state after steps that saw the values of a ``sequence``, each with its row of ``chance``."""
    state: Mapping[str, Any] = {name: convert(array) for name, array in state_of(rule, list(terms)).items()}
    for i, values in enumerate(sequence):
        seen = StepObservation(convert(np.array(values)), None, None, {}, {})
        given = {name: convert(rows[i]) for name, rows in (chance or {}).items()}
        state = rule.advance(state, seen, given, xp)
    return {name: np.asarray(array) for name, array in state.items()}


LOSSES = [(10.0, 1.0, 0.1), (8.0, 0.5, 0.2), (7.0, 0.6, 0.1), (5.0, 0.4, 0.05)]


@pytest.mark.parametrize(
    ("alpha", "rho", "steps", "expected"),
    [
        (0.9, 0.0, 2, [0.592775824, 0.4391391312, 1.9680850447]),
        (0.9, 0.0, 3, [0.9272483814, 0.885815607, 1.1869360116]),
        (0.9, 0.0, 4, [1.0381554826, 0.9446498288, 1.0171946886]),
        (0.999, 1.0, 4, [0.5936533816, 0.4406480109, 1.9656986075]),
    ],
)
def test_relobralos_published_vector(namespace, alpha, rho, steps, expected):
    rule = Relobralo(alpha=alpha, look_back=rho, temperature=1.0)
    chance = {"rho": np.full((steps, 1), rho)}
    found = advanced(rule, "abc", LOSSES[:steps], *namespace, chance)
    np.testing.assert_allclose(found["weights"], expected, rtol=1e-9)
    assert found["weights"].sum() == pytest.approx(3, rel=1e-12)


def test_look_back_is_drawn_as_often_as_said():
    rho = Relobralo(look_back=0.7).chance(20000, 3, np.random.default_rng(0))["rho"]
    assert set(np.unique(rho)) == {0.0, 1.0} and rho.mean() == pytest.approx(0.7, abs=0.02)


def test_uncertainty_weights_come_to_rest_where_the_objective_is_that_of_logarithms():
    """With the terms held, s descends to their logarithms, and L to half the sum of these and a constant."""
    values, rule = np.array([3.0, 0.02]), Uncertainty()
    state = state_of(rule, ["residual", "boundary"])
    for _ in range(2000):
        seen = StepObservation(values, None, None, {}, {})
        (slope,) = rule.trained_gradients(seen, state, np)
        state = {"log_variance": state["log_variance"] - 0.1 * slope}
    np.testing.assert_allclose(state["log_variance"], np.log(values), atol=1e-6)
    objective, _ = rule.combine(values, state, np)
    assert objective == pytest.approx(0.5 * (np.log(values) + 1).sum(), rel=1e-9)


def test_the_slope_along_an_uncertainty_is_the_objectives_derivative(namespace):
    xp, convert = namespace
    rule, values, s = Uncertainty(), np.array([3.0, 0.02]), np.array([0.3, -1.0])
    seen = StepObservation(convert(values), None, None, {}, {})
    (slope,) = rule.trained_gradients(seen, {"log_variance": convert(s)}, xp)
    for i in range(2):
        step = 1e-6 * np.eye(2)[i]
        rise = [rule.combine(values, {"log_variance": s + sign * step}, np)[0] for sign in (1, -1)]
        assert float(slope[i]) == pytest.approx((rise[0] - rise[1]) / 2e-6, rel=1e-6)


def test_dual_balancings_published_vector():
    """The standard deviation of the residual's gradient is 4 and 8 times that of the others."""
    gradient = np.array([1.0, -1.0, 3.0, 0.0])
    rule, terms = DualBalanced(statistic="std"), ["boundary", "initial", "residual"]
    state = state_of(rule, terms)
    found = []
    for values in ([0.2, 0.4, 1.0], [0.1, 0.4, 1.0]):
        gradients = np.stack([gradient / 4, gradient / 8, gradient])
        seen = SimpleNamespace(terms=terms, values=np.array(values), gradients=gradients)
        state, _ = rule.update(state, seen)
        found.append(state["weights"])
    np.testing.assert_allclose(found, [[6, 6, 1], [5.4, 6.6, 1]], rtol=1e-12)


@pytest.mark.parametrize(("statistic", "expected"), [("mean", 1.0), ("std", 2.0), ("kurt", 2.0)])
def test_the_statistics_of_dual_balancing(statistic, expected):
    """Of a residual whose gradient is twice the other's: 3 / mean |g| of both, 2, and 2 with equal kurtoses."""
    gradient = np.array([1.5, -1.5, 1.5, 0.0])
    terms = ["boundary", "residual"]
    seen = SimpleNamespace(terms=terms, values=np.ones(2), gradients=np.stack([gradient, 2 * gradient]))
    state, _ = DualBalanced(statistic=statistic).update(state_of(DualBalanced(), terms), seen)
    budget = 3 / np.abs(gradient).mean() if statistic == "mean" else expected
    np.testing.assert_allclose(state["weights"], [budget, 1])


@pytest.mark.parametrize(
    ("gradients", "expected"),
    [
        ([[1, 2, 0], [-3, 1, 1]], [-1.269679945, 3.3203396287, 0.8370999312]),
        (
            [[1, 2, 0, 1], [-3, 1, 1, 0], [0, -0.5, 2, 1]],
            [-1.186189066, 2.8666342018, 2.7708733709, 2.2446719907],
        ),
    ],
)
def test_the_conflict_free_directions_published_vectors(namespace, gradients, expected):
    xp, convert = namespace
    given = np.array(gradients, float)
    direction = np.asarray(ConflictFree().direction(convert(given), None, {}, {}, xp))
    np.testing.assert_allclose(direction, expected, rtol=1e-9)
    cosines = given @ direction / np.linalg.norm(given, axis=1) / np.linalg.norm(direction)
    np.testing.assert_allclose(cosines, cosines[0], rtol=1e-9)
    assert cosines[0] > 0


def test_the_augmented_lagrangians_published_vector(namespace):
    sequence = [(1.0, 0.1, 0.01), (0.9, 0.08, 0.02), (0.95, 0.09, 0.02)]
    rule, (xp, convert) = AugmentedLagrangian(), namespace
    state: Mapping[str, Any] = state_of(rule, ["residual", "boundary", "initial"])
    state = {name: convert(array) for name, array in state.items()}
    for values in sequence:
        state = rule.advance(state, StepObservation(convert(np.array(values)), None, None, {}, {}), {}, xp)
    np.testing.assert_allclose(state["multiplier"][1:], [1.09, 1.02], rtol=1e-12)
    np.testing.assert_allclose(state["penalty"][1:], [64.2333494013, 334.4481605332], rtol=1e-9)
    np.testing.assert_allclose(state["square"][1:], [2.4237e-4, 8.9401e-6], rtol=1e-4)
    np.testing.assert_allclose(state["last"], 1.06425, rtol=1e-12)


def test_the_published_vector_of_decay_rates(namespace):
    """Of two terms, after two steps; the weights of all points are one in the mean, whatever a term's unit is."""
    sequence = [([1.0, 2.0], [0.5]), ([0.5, 2.0], [0.1])]
    rule, (xp, convert) = Brdr(("residual", "boundary")), namespace
    for unit in (1.0, 1e3):
        state: Mapping[str, Any] = rule.init({"boundary": 1, "residual": 2}, np.random.default_rng(0))
        state = {name: convert(array) for name, array in state.items()}
        for residual, boundary in sequence:
            residuals = {"residual": convert(unit * np.array(residual)), "boundary": convert(np.array(boundary))}
            state = rule.advance(state, StepObservation(None, None, None, residuals, {}), {}, xp)
        weights = [np.asarray(state[f"multiplier.{term}"]) ** 2 for term in rule.terms]
        np.testing.assert_allclose(weights[0], [0.9997353609, 1.0011434537], rtol=1e-9)
        np.testing.assert_allclose(weights[1], 0.9991211854, rtol=1e-9)
        assert np.concatenate(weights).mean() == pytest.approx(1, rel=1e-9)


SLOPES = [(10.0, 1.0, 0.1), (8.0, 0.5, 0.2)]


def test_soft_adapts_published_vector(namespace):
    found = advanced(SoftAdapt(beta=1.0), "abc", SLOPES, *namespace)
    np.testing.assert_allclose(found["weights"], [0.2198146980, 0.9851411293, 1.7950441727], rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "slopes"),
    [
        ({"slope": "difference"}, [-2, -0.5, 0.1]),
        ({"slope": "normalized"}, np.array([-2, -0.5, 0.1]) / 2.6),
        ({"slope": "ratio"}, [0.8, 0.5, 2]),
        ({"slope": "ratio", "loss_weighted": True}, [0.8, 0.5, 2]),
    ],
)
def test_the_slopes_of_soft_adapt(namespace, settings, slopes):
    """lambda is in proportion to exp(beta s), with or without the loss, and sums to k; one at the second step."""
    rule = SoftAdapt(beta=0.7, **settings)
    found = advanced(rule, "abc", SLOPES, *namespace)["weights"]
    expected = np.exp(0.7 * np.array(slopes)) * (SLOPES[1] if rule.loss_weighted else 1)
    np.testing.assert_allclose(found, 3 * expected / expected.sum(), rtol=1e-12)
    assert found.sum() == pytest.approx(3, rel=1e-12)
    np.testing.assert_array_equal(advanced(rule, "abc", SLOPES[:1], *namespace)["weights"], np.ones(3))


def test_what_the_slopes_of_soft_adapt_do_not_depend_on():
    """Of ratios: the unit of a term. Of normalized differences: that of all. Of differences: none of these."""
    units = np.array([1e6, 1, 1])

    def weights(slope: str, units: Any) -> np.ndarray:
        return advanced(SoftAdapt(slope=slope), "abc", np.array(SLOPES) * units, np, np.asarray)["weights"]

    np.testing.assert_allclose(weights("ratio", units), weights("ratio", 1), rtol=1e-12)
    np.testing.assert_allclose(weights("normalized", 1e6), weights("normalized", 1), rtol=1e-12)
    assert weights("normalized", units)[0] < 0.99 * weights("normalized", 1)[0]
    assert weights("difference", 10)[0] < 0.5 * weights("difference", 1)[0]


def test_slopes_of_any_size_leave_weights_finite(namespace):
    found = advanced(SoftAdapt(), "abc", [(1e30, 1e12, 1.0), (1.0, 1e20, 0.0)], *namespace)["weights"]
    np.testing.assert_allclose(found, [0, 3, 0])


NORMS = {"boundary": np.array([4.0, 2.0]), "residual": np.array([100.0, 200.0, 300.0, 400.0])}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [1006 / 6, 1006 / 1000]),
        ({"kernel": "mean"}, [126.5 / 3, 126.5 / 250]),
        ({"kernel": "mean", "rate": 0.1}, [0.9 + 12.65 / 3, 0.9 + 12.65 / 250]),
    ],
)
def test_weights_by_the_tangent_kernel_are_the_formulas(settings, expected):
    """Traces 6 and 1000, means 3 and 250."""
    seen, rule = SimpleNamespace(terms=list(NORMS), row_norms=NORMS), Ntk(**settings)
    state, _ = rule.update(state_of(rule, NORMS), seen)
    np.testing.assert_allclose(state["weights"], expected, rtol=1e-14)


def test_the_tangent_kernels_weights_make_all_rates_one():
    """lambda_i tr K_i is the same for all terms, whatever their units: those of the second are 1e3 times as large,
    its rows' squares 1e6 times."""
    rule, terms = Ntk(), list(NORMS)
    for unit in (1.0, 1e6):
        norms = {"boundary": NORMS["boundary"], "residual": unit * NORMS["residual"]}
        state, _ = rule.update(state_of(rule, terms), SimpleNamespace(terms=terms, row_norms=norms))
        traces = np.array([norms[term].sum() for term in terms])
        np.testing.assert_allclose(state["weights"] * traces, traces.sum(), rtol=1e-14)


def test_the_tangent_kernel_of_a_run_is_that_of_its_rows(backend_name):
    """The weights after the one update are those of the Jacobian's rows, taken one by one."""
    made = trial_of(backend_name, rule=Ntk(update_every=100))
    made.train(Adam(3))
    first = trial_of(backend_name, rule=balancing.load("sum")()).train(Adam(1)).theta
    traces = dict.fromkeys(made.backend.names, 0.0)
    for part in made.backend.rows(first):
        traces[part.term] += float((part.jacobian**2).sum())
    found = np.array(list(traces.values()))
    np.testing.assert_allclose(made.balancing["weights"], found.sum() / found, rtol=1e-9)


def chances(rule: Balancing, terms: int, convert: Any) -> Mapping[str, Any]:
    """What the first of one step is given."""
    return {name: convert(rows[0]) for name, rows in rule.chance(1, terms, np.random.default_rng(0)).items()}


def test_pcgrads_published_vector(namespace):
    xp, convert = namespace
    gradients, rule = convert(np.array([[1.0, 2.0, 0.0], [-3.0, 1.0, 1.0]])), Pcgrad()
    direction = rule.direction(gradients, convert(np.ones(2)), {}, chances(rule, 2, convert), xp)
    np.testing.assert_allclose(np.asarray(direction), [-2.0727272727, 3.4909090909, 1.0909090909], rtol=1e-9)


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [3.0, 1.0, 0.5]])
def test_pcgrad_goes_through_the_others_in_their_order(namespace, weights):
    """Algorithm 1, of weighted gradients, with the orders that chance gave; none alone is against what is left."""
    xp, convert = namespace
    rule = Pcgrad()
    given = np.array(weights)[:, None] * [[1.0, 2, 0, 1], [-3, 1, 1, 0], [0, -0.5, 2, -3]]
    chance = chances(rule, 3, convert)
    expected = np.zeros(4)
    for i, order in enumerate(np.asarray(chance["order"])):
        assert set(order) == {0, 1, 2} - {i}
        own = given[i].copy()
        for j in order:
            if own @ given[j] < 0:
                own -= own @ given[j] / (given[j] @ given[j]) * given[j]
        expected += own
    plain = convert(given / np.array(weights)[:, None])
    found = rule.direction(plain, convert(np.array(weights)), {}, chance, xp)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-12)
    assert not np.allclose(expected, given.sum(axis=0))


def test_pcgrad_leaves_gradients_that_agree(namespace):
    xp, convert = namespace
    for given in ([[1.0, 2.0], [1.0, 0.0], [0.5, 0.5]], [[2.0, -1.0]]):
        rule, k = Pcgrad(), len(given)
        gradients = convert(np.array(given))
        found = rule.direction(gradients, convert(np.ones(k)), {}, chances(rule, k, convert), xp)
        np.testing.assert_allclose(np.asarray(found), np.sum(given, axis=0), rtol=1e-15)


def test_the_orders_of_pcgrad_are_equally_likely():
    orders = Pcgrad().chance(6000, 3, np.random.default_rng(0))["order"]
    assert orders.shape == (6000, 3, 2)
    assert (orders[:, 0] == [1, 2]).all(axis=1).mean() == pytest.approx(0.5, abs=0.03)


def attended(rule: Rba, steps: int, xp: Any, convert: Any, unit: float = 1.0) -> np.ndarray:
    """The weights of three points after so many steps that saw the same residuals."""
    state: Mapping[str, Any] = {k: convert(v) for k, v in state_of(rule, ["residual"]).items()}
    seen = StepObservation(None, None, None, {"residual": convert(unit * np.array([0.5, -2.0, 1.0]))}, {})
    for _ in range(steps):
        state = rule.advance(state, seen, {}, xp)
    return np.asarray(state["multiplier.residual"])


def test_residual_based_attentions_published_vector(namespace):
    """Whatever the unit of the residual is."""
    for unit in (1.0, 1e6):
        found = attended(Rba(), 2, *namespace, unit)
        np.testing.assert_allclose(found, [0.00049975, 0.001999, 0.0009995], rtol=1e-12)


def test_attention_comes_to_rest_at_its_bound():
    limit = attended(Rba(decay=0.9, rate=0.1), 400, np, np.asarray)
    np.testing.assert_allclose(limit, [0.25, 1, 0.5], rtol=1e-12)


def in_time(rule: Causal, times: Any) -> Balancing:
    """The rule, told that the residual has points at these times."""
    problem = SimpleNamespace(coordinates=("x", "t"))
    points = np.stack([np.zeros(len(times)), np.array(times)], axis=1)
    constraint = SimpleNamespace(points=points, equation=SimpleNamespace(problem=problem))
    return located(rule, [SimpleNamespace(name="residual", constraints=[constraint])])


def causal(rule: Balancing, residuals: Any, xp: Any, convert: Any) -> list[dict[str, np.ndarray]]:
    """The state at the start, and after each step that saw the next row of the residuals."""
    state: Mapping[str, Any] = state_of(rule, {"initial": 2, "residual": len(residuals[0])})
    state, found = {name: convert(array) for name, array in state.items()}, []
    for row in [None, *residuals]:
        if row is not None:
            seen = StepObservation(None, None, None, {"residual": convert(np.array(row, float))}, {})
            state = rule.advance(state, seen, {}, xp)
        kept = {name: np.asarray(array) for name, array in state.items()}
        found.append(kept | {"weights": kept["multiplier.residual"] ** 2})
    return found


def test_causal_weights_are_the_published_ones(namespace):
    """Of three chunks of the same residual; the points stand in another order than their times."""
    rule = in_time(Causal(tolerances=(1.0,), chunks=3), [0.9, 0.1, 0.5, 0.2, 0.8, 0.4])
    start, after = causal(rule, [[1, -1, 1, 1, -1, 1]], *namespace)
    one, two, three = 1.0, 0.3678794412, 0.1353352832
    np.testing.assert_allclose(after["weights"], [three, one, two, one, three, two], rtol=1e-9)
    np.testing.assert_array_equal(start["weights"], [0, 1, 0, 1, 0, 0])


def test_a_chunk_waits_for_earlier_ones_alone(namespace):
    """A residual of its own, or a later one, leaves a chunk's weight: no triangle is the wrong way round."""
    rule = in_time(Causal(tolerances=(1.0,), chunks=3), [0.0, 0.5, 1.0])
    for i in range(3):
        _, after = causal(rule, [np.eye(3)[i]], *namespace)
        np.testing.assert_allclose(after["weights"], [1, *(np.exp(-1.0 * (m > i)) for m in (1, 2))], rtol=1e-12)


def test_epsilon_goes_on_once_all_chunks_count(namespace):
    rule = in_time(Causal(tolerances=(0.1, 1.0, 10.0), chunks=2), [0.0, 1.0])
    rows = [[2.0, 0], [0.2, 5], [0.2, 5], [0.01, 5], [0.0, 5], [0.0, 5]]
    found = [float(state["epsilon"][0]) for state in causal(rule, rows, *namespace)]
    assert found == [0.1, 0.1, 1.0, 1.0, 10.0, 10.0, 10.0]


def test_causal_weights_have_other_chunks_for_fewer_points_and_a_weight_for_conditions():
    rule = in_time(Causal(chunks=32, weights={"initial": 1e3}), [0.0, 1.0, 0.5])
    state = state_of(rule, {"initial": 2, "residual": 3})
    assert state["member"].shape == (3, 3) and list(state["weights"]) == [1e3, 1]
    objective, _ = rule.combine(np.array([2.0, 3.0]), state, np)
    assert objective == 2003


def test_causal_weights_that_know_no_times_are_an_error():
    rule = Causal()
    with pytest.raises(LookupError, match="told"):
        causal(rule, [[1.0, 2.0]], np, np.asarray)


@pytest.mark.parametrize(
    ("case", "overrides", "parts"),
    [
        (("pulse", "pinn"), [], ["balancing.coordinate", 'value "t"', "is no time", "none at its end 1"]),
        (("helmholtz-1-8", "mff"), [], ["balancing.coordinate", 'value "t"', "x, y"]),
        (("heat-0.3", "pinn"), ["balancing.coordinate=x"], ["balancing.coordinate", 'value "x"', "is no time"]),
        (("heat-0.3", "pinn"), ["grouping={name: tree, count: 2}"], ["balancing.name", "in one term"]),
        (
            ("heat-0.3", "pinn"),
            ["points.residual={strategy: rad, count: 50}"],
            ["balancing.name", "stay the same"],
        ),
    ],
)
def test_causal_weights_are_refused_where_there_is_no_time(case, overrides, parts):
    with pytest.raises(ConfigurationError) as refused:
        smoke_spec(case, "jax", overrides=["balancing={name: causal}", *overrides])
    assert all(part in str(refused.value) for part in parts), str(refused.value)


@pytest.mark.parametrize("case", [("heat-0.3", "pinn"), ("burgers", "pinn"), ("klein-gordon-5", "bfgs-tuned")])
def test_problems_in_time_are_known(case):
    problem = smoke_spec(case, "jax").build_problem()
    Causal().check(problem)


def test_a_run_tells_causal_weights_its_times(tmp_path, backend_name):
    """Else its first step is an error; two levels, in each of which the weights begin anew."""
    levels = "levels=[{stages: [{optimizer: adam, iterations: 6}]}, {stages: [{optimizer: adam, iterations: 6}]}]"
    own = "balancing={name: causal, tolerances: [1.0e-4], chunks: 5}"
    spec = smoke_spec(("heat-0.3", "pinn"), backend_name, overrides=[own, levels, "evaluation.every=2"])
    assert run(spec, tmp_path / "run").status == "finished"
    weights = read_history(tmp_path / "run")["weight.residual"].to_numpy()
    assert len(weights) == 7 and (np.diff(weights)[:2] != 0).all()


@pytest.mark.parametrize("name", FOLLOWING)
def test_it_changes_on_the_way_and_a_kill_changes_nothing(name, backend_name):
    """Its state after ten steps is not that of the start, or its direction not the gradient's."""
    rule = FOLLOWING[name]
    make = lambda kept: trial_of(backend_name, rule=rule, every=4, kept=kept)  # noqa: E731
    for whole, again in continued(make, lambda made: made.train(Adam(10)), counts=(2,)):
        assert_same(whole, again)
        start = whole.start
        changed = any((start[key] != array).any() for key, array in whole.balancing.items())
        assert changed or rule.own_direction


@pytest.mark.parametrize("name", FOLLOWING)
def test_it_trains_in_float32(name, backend_name):
    """Residuals and parameters are in another precision than its state and the sums over points."""
    made = trial_of(backend_name, "paper", rule=FOLLOWING[name])
    training = made.train(Adam(4))
    assert training.status == "finished" and training.theta.dtype == np.float32
    assert np.isfinite(training.theta).all() and (training.theta != made.theta).any()


@pytest.mark.parametrize("name", FOLLOWING)
def test_backends_agree(name):
    ends = []
    for backend in backends.names():
        made = trial_of(backend, rule=FOLLOWING[name])
        made.train(Adam(10))
        ends.append(made.objectives)
    np.testing.assert_allclose(ends[0], ends[1], rtol=TOLERANCES.get(name, 1e-10))


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("relobralo", {"alpha": 1.5}),
        ("relobralo", {"look_back": -0.1}),
        ("relobralo", {"temperature": 0.0}),
        ("dual-balanced", {"update_every": 0}),
        ("brdr", {"decay": 1.0}),
        ("brdr", {"rate": 0.0}),
        ("brdr", {"terms": ()}),
        ("causal", {"tolerances": ()}),
        ("causal", {"tolerances": (1.0, 1.0)}),
        ("causal", {"reached": 1.0}),
        ("causal", {"chunks": 0}),
        ("rba", {"terms": ()}),
        ("rba", {"decay": 1.0}),
        ("rba", {"rate": 0.0}),
        ("ntk", {"update_every": 0}),
        ("ntk", {"rate": 0.0}),
        ("soft-adapt", {"beta": 0.0}),
        ("augmented-lagrangian", {"penalty": 0.0}),
        ("augmented-lagrangian", {"decay": 1.0}),
        ("augmented-lagrangian", {"progress": 0.0}),
    ],
)
def test_impossible_settings_are_refused(name, bad):
    (key,) = bad
    with pytest.raises(ValueError, match=key):
        balancing.load(name)(**bad)
