"""The adaptive rule, levels that end on a condition, and what a rule sees between the stages of a level."""

import numpy as np
import pytest

from solvers.balancing.adaptive import Adaptive
from solvers.balancing.base import TINY, Observation, Signal, State
from solvers.balancing.conditional_power import ConditionalPower
from solvers.configuration.catalogue import ConfigurationError
from solvers.optimizers.adam import Adam
from solvers.optimizers.lbfgs import Lbfgs
from solvers.training.levels import Level, Stage
from tests.conftest import smoke_spec, state_of
from tests.trial import CASE, Trial, assert_same, continued, trial_of

TERMS = ("initial", "boundary", "residual.left", "residual.right")
LEAST = 3**-1.5
"""Where the slope of a cube root is one."""


def phase(near: bool, cap: float = 1 / TINY) -> State:
    return state_of(Adaptive(), TERMS) | {"below": np.array([LEAST * near]), "cap": np.array([cap])}


@pytest.mark.parametrize("exponent", [2.0, 3.0, 4.0])
def test_far_away_the_residuals_alone_have_a_root(exponent):
    rule = Adaptive(exponent)
    objective, weights = rule.combine(np.array([0.01, 0.02, 8.0, 1e9]), state_of(rule, TERMS), np)
    assert objective == pytest.approx(0.03 + 8 ** (1 / exponent) + 1e9 ** (1 / exponent))
    np.testing.assert_allclose(weights, [1, 1, *(np.array([8.0, 1e9]) ** (1 / exponent - 1) / exponent)])


@pytest.mark.parametrize("supervised", [1e-9, 0.1, LEAST * (1 - 1e-9), LEAST * (1 + 1e-9), 0.3, 20.0])
def test_nearby_the_conditions_never_count_less_than_without_a_root(supervised):
    values = np.array([supervised / 4, 3 * supervised / 4, 8.0, 1e9])
    objective, weights = Adaptive().combine(values, phase(near=True), np)
    root = np.cbrt(supervised) if supervised < LEAST else np.cbrt(LEAST) + supervised - LEAST
    assert objective == pytest.approx(root + 2 + 1e3)
    slope = max(1.0, supervised ** (-2 / 3) / 3)
    np.testing.assert_allclose(weights, [slope, slope, 1 / 12, 1e-6 / 3], rtol=1e-8)


@pytest.mark.parametrize("cap", [1e-6, 0.02, 1 / 3, 5.0])
def test_a_residual_never_weighs_more_than_the_cap(cap):
    """Value and slope are continuous where the root becomes a line."""
    least = (3 * cap) ** -1.5
    for value in least * np.array([1e-3, 0.5, 1 - 1e-9, 1 + 1e-9, 2.0, 1e6]):
        objective, weights = Adaptive().combine(np.array([1.5, 2.0, value, value]), phase(True, cap), np)
        root = np.cbrt(value) if value > least else np.cbrt(least) + cap * (value - least)
        assert objective == pytest.approx(3.5 - LEAST + np.cbrt(LEAST) + 2 * root, rel=1e-9)
        slope = min(cap, value ** (-2 / 3) / 3)
        np.testing.assert_allclose(weights, [1, 1, slope, slope], rtol=1e-6)


class Seeing(Adaptive):
    """Keeps what it is shown after steps."""

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        SEEN.append(observation)
        return state, None


SEEN: list[Observation] = []


def test_a_rule_sees_the_solution_and_the_operator(backend_name):
    """On the boundary the operator is u itself: what it should give and what is missing from that are u."""
    SEEN.clear()
    trial = trial_of(backend_name, rule=Seeing(update_every=1))
    trial.train(Adam(1))
    (observation,) = SEEN
    for term in ("initial", "boundary"):
        operator = observation.residuals[term] + observation.targets[term]
        np.testing.assert_allclose(operator, observation.solution[term], rtol=1e-9, atol=1e-12)
    points = np.concatenate([own.points for own in trial.backend.terms[-1].constraints])
    expected = trial.backend.predict(trial.training.theta, points)
    np.testing.assert_allclose(observation.solution["residual"], expected, rtol=1e-9)


def gain(made: Trial, theta: np.ndarray) -> float:
    (term,) = [term for term in made.backend.terms if term.name == "residual"]
    points = np.concatenate([own.points for own in term.constraints])
    target = np.concatenate([own.target for own in term.constraints])
    operator = made.backend.residuals(theta)["residual"] + target
    return (made.backend.predict(theta, points) ** 2).mean() / (operator**2).mean()


def test_between_stages_phase_and_cap_are_those_of_the_network(backend_name):
    """L-BFGS has one fixed function inside each stage. Its conditions are far from met."""
    made = trial_of(backend_name, rule=Adaptive(near=10.0))
    made.train(Lbfgs(6, 20), Lbfgs(3, 10))
    after = next(s for s in made.kept.snapshots if s.data["next_stage"] == 1 and not s.data["inside"])
    values, _ = made.backend.terms_and_gradients(after.arrays["theta"])
    assert values[:-1].sum() > LEAST
    assert after.arrays["balancing.below"] == pytest.approx(LEAST)
    assert after.arrays["balancing.cap"] == pytest.approx(gain(made, after.arrays["theta"]), rel=1e-9)
    row = made.monitor.rows[-1]
    slope = row["term.residual"] ** (-2 / 3) / 3
    assert row["weight.residual"] == pytest.approx(min(slope, after.arrays["balancing.cap"][0]), rel=1e-6)


def test_once_the_conditions_are_met_there_is_no_cap():
    state, _ = Adaptive().update(phase(near=True, cap=0.1), Met())
    assert state["below"] == pytest.approx(LEAST) and state["cap"] == 1 / TINY


class Met:
    """What a rule sees of a network whose conditions are met."""

    terms = TERMS
    values = np.array([1e-3, 1e-3, 5.0, 5.0])


@pytest.mark.parametrize(("factor", "near"), [(0.999, False), (1.001, True)])
def test_near_is_that_the_residual_has_fallen_so_far(backend_name, factor, near):
    """Against its value where it is first seen, behind the first stage."""
    start = trial_of(backend_name, rule=Adaptive(near=1e-9))
    start.train(Lbfgs(2, 5), Lbfgs(20, 40), Lbfgs(1, 2))
    ends = [s.arrays["theta"] for s in start.kept.snapshots if not s.data["inside"]]
    first, last = (start.backend.terms_and_gradients(theta)[0][-1] for theta in ends[:2])
    assert last < first
    made = trial_of(backend_name, rule=Adaptive(near=factor * last / first))
    made.train(Lbfgs(2, 5), Lbfgs(20, 40), Lbfgs(1, 2))
    assert (made.balancing["below"] > 0) == near


def test_backends_agree_on_the_rule():
    ends = []
    for backend in ("jax", "torch"):
        made = trial_of(backend, rule=Adaptive(near=10.0, update_every=2))
        made.train(Adam(5), Adam(5))
        ends.append((made.objectives, made.balancing["cap"]))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=1e-8)
    np.testing.assert_allclose(ends[0][1], ends[1][1], rtol=1e-8)


def test_a_kill_between_stages_changes_nothing(backend_name):
    rule = Adaptive(near=10.0, update_every=3)
    make = lambda kept: trial_of(backend_name, rule=rule, every=3, kept=kept)  # noqa: E731
    for whole, again in continued(make, lambda made: made.train(Adam(6), Adam(5), Adam(4))):
        assert_same(whole, again)


def test_the_best_iterate_is_one_of_the_last_function(backend_name):
    """Before it, losses are of another function, however small they are."""
    made = trial_of(backend_name, rule=Adaptive())
    made.train(Lbfgs(5, 15), Lbfgs(4, 12))
    assert made.monitor.best.iteration >= made.training.stages[0].iterations


@pytest.mark.parametrize(("stages", "allowed"), [("[lbfgs]", False), ("[lbfgs, lbfgs]", True), ("[adam]", True)])
def test_it_needs_an_optimizer_or_a_second_stage_that_lets_it_change(stages, allowed):
    overrides = ["balancing={name: adaptive}", f"levels=[{{stages: {stages}}}]"]
    if allowed:
        assert smoke_spec(CASE, "jax", overrides=overrides).levels[0].balancing["name"] == "adaptive"
        return
    with pytest.raises(ConfigurationError, match=r"balancing\.name.*between steps"):
        smoke_spec(CASE, "jax", overrides=overrides)


@pytest.mark.parametrize("bad", [{"exponent": 1.0}, {"near": 0.0}, {"update_every": 0}])
def test_impossible_settings_are_refused(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=name):
        Adaptive(**bad)


@pytest.mark.parametrize(("within", "stages"), [(1.0, 5), (1e12, 2)])
def test_a_level_ends_once_its_terms_are_balanced(backend_name, within, stages):
    """Of four stages and one in the next level all are run if the terms never are, else one of the first."""
    rule = ConditionalPower({"residual": 3.0}, within=within)
    made = trial_of(backend_name, rule=rule)
    short = [Stage("test", Adam(2))] * 4
    made.through([Level(rule, short), Level(ConditionalPower(within=within), [Stage("test", Adam(2))])])
    assert len(made.training.stages) == stages
    assert made.training.stages[-1].level == 1


def test_balanced_is_within_the_factor_asked_for(backend_name):
    """The sum of the supervised terms against the residual, as the powers take them."""
    start = trial_of(backend_name)
    values, _ = start.backend.terms_and_gradients(start.train(Adam(2)).theta)
    factor = max(values[-1] / values[:-1].sum(), values[:-1].sum() / values[-1])
    ends = []
    for within in (0.999 * factor, 1.001 * factor):
        rule = ConditionalPower(start.rule.exponents, within=within)
        made = trial_of(backend_name, rule=rule)
        made.train(Adam(2), Adam(1), Adam(1))
        ends.append(len(made.training.stages))
    assert ends[0] > ends[1] == 1
