"""The adaptive rule, levels that end on a condition, and what a rule sees between the stages of a level."""

from dataclasses import replace

import numpy as np
import pytest

from solvers.balancing.adaptive import Adaptive
from solvers.balancing.base import State
from solvers.balancing.conditional_power import ConditionalPower
from solvers.optimizers.adam import Adam
from solvers.optimizers.lbfgs import Lbfgs
from solvers.training.levels import Level, Stage
from tests.conftest import state_of
from tests.trial import assert_same, continued, trial_of

TERMS = ("initial", "boundary", "residual.left", "residual.right")


def capped(cap: float, rule: Adaptive = Adaptive()) -> State:  # noqa: B008, frozen
    return state_of(rule, TERMS) | {"cap": np.array([cap])}


@pytest.mark.parametrize("cap", [1e-6, 0.02, 1 / 3, 5.0, 1e30])
@pytest.mark.parametrize("exponent", [2.0, 3.0, 4.0])
def test_psi_is_a_root_far_away_and_a_line_nearby(cap, exponent):
    """Against the formula, on both sides of where they meet, and there: value and slope are continuous."""
    rule = Adaptive(exponent=exponent)
    least = (exponent * cap) ** (exponent / (1 - exponent))
    at = least * np.array([1e-3, 0.5, 1 - 1e-9, 1 + 1e-9, 2.0, 1e6])
    at = at[at > 1e-29]  # below that, a term counts as zero
    line = least ** (1 / exponent) + cap * (at - least)
    expected = np.where(at > least, at ** (1 / exponent), line)
    for value, psi in zip(at, expected, strict=True):
        objective, weights = rule.combine(np.array([1.5, 2.0, value, value]), capped(cap, rule), np)
        assert objective == pytest.approx(3.5 + 2 * psi, rel=1e-9)
        slope = min(cap, value ** (1 / exponent - 1) / exponent)
        np.testing.assert_allclose(weights, [1, 1, slope, slope], rtol=1e-6)


def test_before_the_first_look_it_is_the_papers_root():
    objective, weights = Adaptive().combine(np.array([1.0, 2.0, 8.0, 1e9]), state_of(Adaptive(), TERMS), np)
    assert objective == pytest.approx(3 + 2 + 1e3)
    np.testing.assert_allclose(weights, [1, 1, 1 / 12, 1e-6 / 3])


def test_a_rule_sees_the_solution_and_the_operator(backend_name):
    """On the boundary the operator is u itself: what it should give and what is missing from that are u."""
    made = trial_of(backend_name)
    seen = []
    rule = replace(Adaptive(), update_every=1)
    object.__setattr__(rule, "update", lambda state, observation: (seen.append(observation), (state, None))[1])
    trial = trial_of(backend_name, rule=rule)
    trial.train(Adam(1))
    (observation,) = seen
    for term in ("initial", "boundary"):
        operator = observation.residuals[term] + observation.targets[term]
        np.testing.assert_allclose(operator, observation.solution[term], rtol=1e-9, atol=1e-12)
    points = np.concatenate([own.points for own in made.backend.terms[-1].constraints])
    expected = made.backend.predict(trial.training.theta, points)
    np.testing.assert_allclose(observation.solution["residual"], expected, rtol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_kappa_is_the_gain_of_the_network_at_the_end_of_a_stage(backend_name, share):
    """Between two stages of L-BFGS, which has one fixed function inside each."""
    rule = Adaptive(share=share)
    made = trial_of(backend_name, rule=rule)
    made.train(Lbfgs(6, 20), Lbfgs(3, 10))
    after = next(s for s in made.kept.snapshots if s.data["next_stage"] == 1 and not s.data["inside"])
    theta, backend = after.arrays["theta"], made.backend
    (term,) = [term for term in backend.terms if term.name == "residual"]
    points = np.concatenate([own.points for own in term.constraints])
    operator = backend.residuals(theta)["residual"] + np.concatenate([own.target for own in term.constraints])
    gain = (backend.predict(theta, points) ** 2).mean() / (operator**2).mean()
    assert after.arrays["balancing.cap"] == pytest.approx(gain**share, rel=1e-9)
    weight = made.monitor.rows[-1]["weight.residual"]
    value = made.monitor.rows[-1]["term.residual"]
    assert weight == pytest.approx(min(gain**share, value ** (-2 / 3) / 3), rel=1e-6)


def test_backends_agree_on_the_rule():
    ends = []
    for backend in ("jax", "torch"):
        made = trial_of(backend, rule=Adaptive(update_every=2))
        made.train(Adam(5), Adam(5))
        ends.append((made.objectives, made.balancing["cap"]))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=1e-8)
    np.testing.assert_allclose(ends[0][1], ends[1][1], rtol=1e-8)


def test_a_kill_between_stages_changes_nothing(backend_name):
    make = lambda kept: trial_of(backend_name, rule=Adaptive(update_every=3), every=3, kept=kept)  # noqa: E731
    for whole, again in continued(make, lambda made: made.train(Adam(6), Adam(5), Adam(4))):
        assert_same(whole, again)


def test_the_best_iterate_is_one_of_the_last_function(backend_name):
    """Before it, losses are of another function, however small they are."""
    made = trial_of(backend_name, rule=Adaptive())
    made.train(Lbfgs(5, 15), Lbfgs(4, 12))
    assert made.monitor.best.iteration >= made.training.stages[0].iterations


@pytest.mark.parametrize("bad", [{"exponent": 1.0}, {"share": 1.5}, {"share": -0.1}, {"update_every": 0}])
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
