"""The one loop: best iterates, transforms, precision, kills, optimizers in NumPy, signals, new points."""

import numpy as np
import pytest

from solvers.balancing.lra import Lra
from solvers.balancing.sum import Sum
from solvers.optimizers.adam import Adam
from solvers.optimizers.lbfgs import Lbfgs
from solvers.training.levels import Level, Stage
from solvers.training.loss import Loss, StageObjective
from solvers.training.objective import IDENTITY, LOGARITHM
from tests.conftest import BACKENDS
from tests.plugins import Armijo, Drifting, Forgetful, Roaming, Shifted, Signalling, Worst
from tests.trial import Kept, Trial, assert_same, continued, trial_of

LBFGS = Lbfgs(iterations=8, evaluations=100, ftol=0, gtol=0)
SELF_ADAPTIVE = ("heat-0.15", "sa-pinn")
RESAMPLED = ("klein-gordon-5", "mmpinn-mff")


def bests(trial: Trial) -> list[tuple[int, int | None]]:
    """By checkpoint: the stage it stands in, and the iteration of its best iterate if it has one."""
    data = [snapshot.data["monitor"] for snapshot in trial.kept.snapshots]
    return [(each["place"]["stage"], each["best"] and each["best"][0]) for each in data]


def lowest(rows: list[dict]) -> tuple[int, float]:
    row = min(rows, key=lambda row: row["objective"])
    return row["iteration"], row["objective"]


# The best iterate.


@pytest.mark.parametrize(
    ("rule", "case"),
    [(None, SELF_ADAPTIVE), (Lra(update_every=3), ("heat-0.3", "pinn")), (Drifting(), ("heat-0.3", "pinn"))],
    ids=["trained", "now and then", "at every step"],
)
def test_there_is_no_best_while_weights_change_and_it_is_sought_after(backend_name, rule, case):
    """Losses under different weights cannot be compared; those of a line search, which keeps them, can."""
    trial = trial_of(backend_name, every=2, case=case, rule=rule)
    trial.train(Adam(10), LBFGS)
    found = bests(trial)
    within = [best for stage, best in found if stage == 0]
    assert len(within) >= 6 and set(within) == {None}  # five blocks or more, and the stage's end
    assert all(best is not None for stage, best in found if stage == 1)
    own = [row for row in trial.monitor.rows if row["stage"] == 1]
    assert (trial.monitor.best.iteration, trial.monitor.best.objective) == lowest(own)


def test_there_is_no_best_of_minibatches(backend_name):
    trial = trial_of(backend_name, every=2, case=RESAMPLED)
    assert trial.minibatches is not None
    trial.train(Adam(10))
    assert len(trial.monitor.rows) == 6 and {best for _, best in bests(trial)} == {None}
    assert trial.monitor.best is None


def test_the_best_of_fixed_weights_is_of_all_stages_of_the_level(backend_name):
    """A stage at a rate that climbs: the best iterate is that of the stage before it."""
    trial = trial_of(backend_name, every=2, rule=Sum())
    trial.train(Adam(4), Adam(6, learning_rate=2.0))
    best = trial.monitor.best
    assert (best.iteration, best.objective) == lowest(trial.monitor.rows)
    assert best.iteration == 4 < trial.monitor.rows[-1]["iteration"]
    assert trial.evaluate(best.theta).loss == pytest.approx(best.objective, rel=1e-12)


# The objective.


def test_a_loss_below_zero_is_no_divergence_but_one_beyond_the_limit_is(backend_name):
    first = trial_of(backend_name, rule=Sum())
    loss = first.evaluate(first.theta).loss
    trial = trial_of(backend_name, rule=Shifted(shift=2 * loss))
    training = trial.train(Adam(10), LBFGS)
    assert training.status == "finished" and len(training.stages) == 2
    assert (trial.objectives < 0).all() and trial.objectives[-1] < trial.objectives[0]
    wild = trial_of(backend_name, rule=Shifted(shift=2 * loss))
    training = wild.train(Adam(10, learning_rate=1e4))
    assert training.status == "diverged" and "exceeds" in training.reason
    np.testing.assert_array_equal(training.theta, wild.theta)


@pytest.mark.parametrize("level", [0, 1])
def test_the_logarithm_of_the_loss_and_its_gradient(backend_name, level):
    """Against finite differences; the compiled form, which a framework's own L-BFGS follows, against the other."""
    trial = trial_of(backend_name)
    trial.rule = trial.spec.build_levels()[level].balancing
    objective = StageObjective(trial.loss, trial.start, LOGARITHM)
    theta, step = trial.theta + 0.1 * np.random.default_rng(1).standard_normal(trial.theta.shape), 1e-5
    value, gradient = objective(theta)
    assert value == pytest.approx(np.log(trial.evaluate(theta).loss), rel=1e-14)
    for seed in range(3):
        along = np.random.default_rng(seed).standard_normal(theta.shape)
        along /= np.linalg.norm(along)
        rise = objective(theta + step * along)[0] - objective(theta - step * along)[0]
        assert gradient @ along == pytest.approx(rise / (2 * step), rel=1e-6, abs=1e-7 * np.linalg.norm(gradient))
    backend = trial.backend
    arrays = backend.array(theta), backend.array(objective.state)
    traced = backend.numpy(backend.call(("test log", trial.rule.key), objective.traced, *arrays))
    assert float(traced[0]) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(traced[1], gradient, rtol=1e-9, atol=1e-12 * np.abs(gradient).max())


def test_adam_follows_the_gradient_of_the_logarithm(backend_name):
    """One step with a huge epsilon is a plain gradient step: of log L, whose gradient is that of L over L."""
    trial = trial_of(backend_name)
    adam = Adam(iterations=1, learning_rate=1e-3 * 1e20, epsilon=1e20)
    after = trial.train(Stage("adam", adam, LOGARITHM)).theta
    seen = trial.evaluate(trial.theta)
    np.testing.assert_allclose(after - trial.theta, -1e-3 * seen.gradient / seen.loss, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("implementation", ["scipy", "native"])
def test_lbfgs_under_the_logarithm_lowers_the_loss_that_is_recorded(backend_name, implementation):
    """The history holds the loss, which is judged, and not its logarithm, which is minimised."""
    trial = trial_of(backend_name, every=10)
    lbfgs = Lbfgs(iterations=40, evaluations=400, ftol=0, gtol=0, implementation=implementation)
    training = trial.train(Stage("lbfgs", lbfgs, LOGARITHM))
    assert training.stages[0].reason == "iteration-limit"
    assert trial.objectives[0] == pytest.approx(trial.evaluate(trial.theta).loss, rel=1e-12)
    assert trial.objectives[-1] == pytest.approx(trial.evaluate(training.theta).loss, rel=1e-12)
    assert 0 < trial.objectives[-1] < 0.9 * trial.objectives[0]
    plain = trial_of(backend_name, every=10).train(lbfgs).theta
    assert not np.allclose(plain, training.theta)


def test_stages_of_other_objectives_are_other_programs(backend_name):
    """One backend, the same settings: after a level's first stage come its logarithm, and another rule."""
    native = Lbfgs(iterations=5, evaluations=100, ftol=0, gtol=0, implementation="native")
    stages = [Stage("plain", native), Stage("log", native, LOGARITHM)]
    trial = trial_of(backend_name, every=5, rule=Sum())
    trial.through([Level(Sum(), stages), Level(Shifted(shift=10.0), [Stage("shifted", native, LOGARITHM)])])
    ends = [each.arrays["theta"] for each in trial.kept.snapshots if not each.data["inside"]]
    assert len(ends) == 3
    for start, end, rule, transform in (
        (trial.theta, ends[0], Sum(), IDENTITY),
        (ends[0], ends[1], Sum(), LOGARITHM),
        (ends[1], ends[2], Shifted(shift=10.0), LOGARITHM),
    ):
        alone = trial_of(backend_name, every=5, rule=rule)
        alone.theta = start
        np.testing.assert_array_equal(alone.train(Stage("alone", native, transform)).theta, end)


# Precision of a stage.


def in_two_precisions() -> list[Stage]:
    return [Stage("adam", Adam(8), precision="float32"), Stage("lbfgs", LBFGS)]


def test_stages_of_two_precisions_are_one_run(backend_name):
    """Adam as a run in float32 makes it, then L-BFGS in float64 from there."""
    trial = trial_of(backend_name, every=4)
    training = trial.train(*in_two_precisions())
    single = trial_of(backend_name, "paper", every=4)
    after = single.train(Adam(8)).theta
    ends = [each for each in trial.kept.snapshots if not each.data["inside"]]
    assert [each.arrays["theta"].dtype.name for each in ends] == ["float32", "float64"]
    np.testing.assert_array_equal(ends[0].arrays["theta"], after)
    assert training.theta.dtype == np.float64
    assert not np.array_equal(training.theta, training.theta.astype(np.float32))
    lbfgs = trial_of(backend_name, every=4)
    lbfgs.theta = after.astype(float)
    np.testing.assert_array_equal(lbfgs.train(LBFGS).theta, training.theta)
    assert trial.iterations == [0, 4, 8, 8 + 4, 8 + 8, 8 + 8]
    ours, expected = trial.objectives[[2, -1]], lbfgs.objectives[[0, -1]]
    np.testing.assert_allclose(ours, expected, rtol=1e-14)


def test_a_rules_settings_keep_their_digits_through_a_stage_in_float32(backend_name):
    """An exponent of a third is that of float64 in the stage that follows."""
    trial = trial_of(backend_name)
    trial.train(*in_two_precisions())
    assert trial.balancing["power"].dtype == np.float64
    np.testing.assert_array_equal(trial.balancing["power"], trial.start["power"])
    assert 1 / 3 in trial.balancing["power"]


# Kills.


def test_a_kill_in_a_stage_of_another_precision(backend_name):
    """Inside Adam, in float32, and at its end: to the last bit; inside L-BFGS: from the iterate that was kept."""
    make, train = (
        lambda kept: trial_of(backend_name, every=2, kept=kept),
        lambda trial: trial.train(*in_two_precisions()),
    )
    for whole, again in continued(make, train, [1, 3, 5]):
        assert_same(whole, again)
    ((whole, again),) = continued(make, train, [5 + 3])
    (restart,) = again.training.restarts
    assert not restart.exact and restart.iteration == 8 + 3 and restart.optimizer == "lbfgs"
    assert again.kept.start.arrays["theta"].dtype == again.training.theta.dtype == np.float64
    before = sum(row["iteration"] <= restart.iteration for row in whole.rows)
    assert again.rows[:before] == whole.rows[:before]
    assert again.monitor.total.iterations == whole.monitor.total.iterations == 16
    assert again.objectives[-1] < again.objectives[4]


@pytest.mark.parametrize("optimizer", [Armijo(12), Forgetful(12)], ids=["remembers", "asks again"])
def test_optimizers_in_numpy_go_on_to_the_last_bit(backend_name, optimizer):
    make = lambda kept: trial_of(backend_name, every=5, kept=kept)  # noqa: E731
    for whole, again in continued(make, lambda trial: trial.train(Adam(3), optimizer), [2, 7, 12]):
        assert_same(whole, again)


@pytest.mark.parametrize("rule", [Lra(update_every=4), Drifting(), None], ids=["lra", "drifting", "power"])
def test_first_order_optimizers_go_on_to_the_last_bit(backend_name, rule):
    make = lambda kept: trial_of(backend_name, every=5, rule=rule, kept=kept)  # noqa: E731
    for whole, again in continued(make, lambda trial: trial.train(Adam(12), Adam(7))):
        assert_same(whole, again)


# Optimizers in NumPy.


def test_iterations_in_numpy_are_counted_and_recorded(backend_name):
    trial = trial_of(backend_name, every=5)
    training = trial.train(Armijo(12))
    assert trial.iterations == [0, 5, 10, 12]
    assert training.stages[0].reason == "iteration-limit" and training.stages[0].iterations == 12
    assert 13 <= trial.monitor.total.function_evaluations == trial.monitor.total.gradient_evaluations
    assert (np.diff(trial.objectives) < 0).all()
    assert training.theta.dtype == np.float64
    again = trial_of(backend_name, every=5)
    again.train(Forgetful(12))
    assert again.rows == trial.rows  # to ask again at the last iterate counts nothing


def test_backends_take_the_same_path_in_numpy():
    paths = []
    for name in BACKENDS:
        trial = trial_of(name)
        trial.train(Stage("armijo", Armijo(20), LOGARITHM))
        paths.append(trial.objectives)
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-8)


def test_an_optimizer_in_numpy_says_why_it_stopped(backend_name):
    short = trial_of(backend_name).train(Armijo(100, evaluations=7)).stages[0]
    assert short.reason == "evaluation-limit" and short.function_evaluations >= 7 > short.iterations
    trial = trial_of(backend_name)
    stuck = trial.train(Armijo(100, slope=1e9, trials=3), Adam(2))
    assert [stage.reason for stage in stuck.stages] == ["line-search", "iteration-limit"]
    assert stuck.stages[0].iterations == 0 and stuck.stages[0].function_evaluations == 4
    assert stuck.status == "finished" and trial.iterations == [0, 0, 1, 2]


def test_an_optimizer_in_numpy_may_let_its_weights_change(backend_name):
    """Rules are updated between its iterations, and counted; it then sees another objective."""
    rule = Lra(update_every=4, rate=0.5)
    make = lambda kept=None: trial_of(backend_name, every=5, rule=rule, kept=kept)  # noqa: E731
    trial, fixed = make(), make()
    trial.train(Roaming(10))
    fixed.train(Forgetful(10))
    np.testing.assert_array_equal(fixed.balancing["weights"], 1)
    assert (trial.balancing["weights"][:-1] > 1).all() and trial.balancing["weights"][-1] == 1
    assert trial.monitor.best is None and fixed.monitor.best is not None
    for whole, again in continued(make, lambda trial: trial.train(Roaming(10)), [1, 2, 5, 9]):
        assert_same(whole, again)


# Signals.


@pytest.mark.parametrize("optimizer", [Adam(20), Roaming(20)], ids=["first order", "in NumPy"])
def test_a_rule_can_end_its_stage(backend_name, optimizer):
    trial = trial_of(backend_name, every=3, rule=Signalling(after=4))
    training = trial.train(optimizer, LBFGS)
    assert [(stage.reason, stage.iterations) for stage in training.stages] == [
        ("balancing", 4),
        ("iteration-limit", 8),
    ]
    assert training.stages[0].message.startswith("end of the stage after 4")
    assert training.status == "finished" and trial.monitor.total.iterations == 12


@pytest.mark.parametrize("optimizer", [Adam(20), Roaming(20)], ids=["first order", "in NumPy"])
@pytest.mark.parametrize("last", [False, True])
def test_a_rule_can_end_its_level(backend_name, optimizer, last):
    """The level's other stages are not run; the next level, if there is one, is."""
    rule = Signalling(after=4, ends_level=True)
    stages = [Stage("first", optimizer), Stage("second", LBFGS), Stage("third", Adam(5))]
    levels = [Level(rule, stages), Level(Sum(), [Stage("adam", Adam(3))])][: 1 if last else 2]
    make = lambda kept: trial_of(backend_name, every=3, kept=kept)  # noqa: E731
    whole, ended = make(Kept()), [(0, "first", 4), (1, "adam", 3)][: len(levels)]
    training = whole.through(levels)
    assert [(stage.level, stage.optimizer, stage.iterations) for stage in training.stages] == ended
    assert training.status == "finished" and whole.iterations[-1] == sum(count for *_, count in ended)
    if not last:
        at_the_end = next(i for i, s in enumerate(whole.kept.snapshots) if not s.data["inside"]) + 1
        for _, again in continued(make, lambda trial: trial.through(levels), [at_the_end]):
            assert_same(whole, again)


def test_the_final_row_is_in_the_precision_of_the_last_stage_that_ran(backend_name):
    """The level's last stage, in another precision, is skipped; also if the run goes on behind the first."""
    rule = Signalling(after=4, ends_level=True)
    levels = [Level(rule, [Stage("adam", Adam(20), precision="float32"), Stage("lbfgs", LBFGS)])]
    make = lambda kept: trial_of(backend_name, every=3, kept=kept, rule=rule)  # noqa: E731
    whole = make(Kept())
    theta, current = whole.through(levels).theta, whole.backends.current
    assert len(whole.training.stages) == 1 and theta.dtype == current.dtype == np.float32
    loss = Loss(current, rule).evaluate(theta, whole.start).loss
    assert whole.objectives[-1] == loss != whole.evaluate(theta.astype(float)).loss
    for _, again in continued(make, lambda trial: trial.through(levels), [len(whole.kept.snapshots)]):
        assert_same(whole, again)


# Points that are chosen anew.


def residual_points(trial: Trial) -> dict[int, np.ndarray]:
    """The residual's points at each checkpoint, by iteration."""
    name = f"points.{len(trial.points.sources) - 1}"
    return {s.data["monitor"]["total"]["iterations"]: s.arrays[name] for s in trial.kept.snapshots}


def moving(backend: str, kept: Kept | None = None, every: int = 3, **options) -> Trial:
    return trial_of(backend, every=every, kept=kept, sampler=Worst(60, period=5), **options)


def test_points_are_chosen_anew_at_their_iterations(backend_name):
    """After 5, 10, ... steps and at no others, where the residual is large."""
    trial = moving(backend_name)
    start = trial.points.terms()[-1].constraints[0].points
    trial.train(Adam(18))
    at = residual_points(trial)
    assert sorted(at) == [3, 5, 6, 9, 10, 12, 15, 18]
    last = start
    for iteration in sorted(at):
        assert np.array_equal(at[iteration], last) != (iteration in (5, 10, 15))
        last = at[iteration]
    assert at[18].shape == start.shape
    held = trial.backend.terms[-1].constraints[0].points
    np.testing.assert_array_equal(held, at[18])
    assert trial.objectives[-1] == pytest.approx(trial.evaluate(trial.training.theta).loss, rel=1e-12)


def test_new_points_are_where_the_residual_of_the_network_is_large(backend_name):
    trial = moving(backend_name)
    trial.train(Adam(5))
    equation, theta = trial.problem.residual, trial.training.theta
    mean = {
        name: np.abs(trial.backend.residuals_at(theta, equation, points)).mean()
        for name, points in (("new", residual_points(trial)[5]), ("old", residual_points(trial)[3]))
    }
    assert mean["new"] > 1.5 * mean["old"]


def test_backends_choose_the_same_points():
    found = []
    for name in BACKENDS:
        trial = moving(name)
        trial.train(Adam(12), LBFGS)
        found.append(residual_points(trial))
    assert found[0].keys() == found[1].keys()
    for iteration, points in found[0].items():
        np.testing.assert_array_equal(points, found[1][iteration])


def test_best_is_sought_anew_among_new_points(backend_name):
    trial = moving(backend_name)
    trial.train(Adam(12))
    found = {s.data["monitor"]["total"]["iterations"]: s.data["monitor"]["best"] for s in trial.kept.snapshots}
    assert found[3] and found[5] is None and found[10] is None and found[9][0] >= 6
    own = [row for row in trial.monitor.rows if row["iteration"] > 10]
    assert (trial.monitor.best.iteration, trial.monitor.best.objective) == lowest(own)


def test_a_line_search_keeps_its_points_which_are_chosen_anew_before_it(backend_name):
    """If so many iterations have passed: after 7 steps, 2 since the last time, they stay; after 13 they do not."""
    trial = moving(backend_name)
    trial.train(Adam(7), LBFGS, Lbfgs(4, 100, ftol=0, gtol=0))
    at = residual_points(trial)
    np.testing.assert_array_equal(at[7], at[5])
    for iteration in range(8, 16):
        np.testing.assert_array_equal(at[iteration], at[7])
    assert not np.array_equal(at[16], at[15])  # the next stage, 10 iterations after the last time
    np.testing.assert_array_equal(at[19], at[16])


@pytest.mark.parametrize("count", range(1, 9))
def test_points_survive_a_kill(backend_name, count):
    """Inside Adam before, at and after a choice, and between the stages."""
    train = lambda trial: trial.train(Adam(12), Armijo(6))  # noqa: E731
    ((whole, again),) = continued(lambda kept: moving(backend_name, kept), train, [count])
    assert_same(whole, again)
    ends = [residual_points(trial)[18] for trial in (whole, again)]
    np.testing.assert_array_equal(*ends)


def test_points_of_an_optimizer_in_numpy_that_lets_them_change(backend_name):
    make = lambda kept=None: moving(backend_name, kept)  # noqa: E731
    trial = make()
    trial.train(Roaming(12))
    at = residual_points(trial)
    changed = [i for i in range(2, 13) if not np.array_equal(at[i], at[i - 1])]
    assert changed == [5, 10]
    for whole, again in continued(make, lambda trial: trial.train(Roaming(12)), [4, 5, 6]):
        assert_same(whole, again)


def test_every_precision_has_the_same_points(backend_name):
    """Those that float32 has chosen are those of float64 after it."""
    trial = moving(backend_name)
    trial.train(Stage("adam", Adam(7), precision="float32"), Stage("adam", Adam(7)))
    for precision in ("float32", "float64"):
        held = trial.backends.of(precision).terms[-1].constraints[0].points
        np.testing.assert_array_equal(held, residual_points(trial)[14])
    objective = trial.evaluate(trial.training.theta).loss
    assert trial.objectives[-1] == pytest.approx(objective, rel=1e-12)
