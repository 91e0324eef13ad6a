"""How the three kinds of optimizers are driven through a stage: in blocks of compiled steps, one iteration after
the other, or by a loop of their own."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from solvers.balancing.base import Signal
from solvers.optimizers.base import Budget, FirstOrder, Foreign, Iterative, Outcome, StopReason
from solvers.training.iterates import Iterates
from solvers.training.levels import Stage
from solvers.training.loss import Steps
from solvers.training.state import Interrupted

__all__ = ["minimise"]


def minimise(run: Iterates, stage: Stage, interrupted: Interrupted | None) -> Outcome:
    """The stage's outcome, from where ``run`` is, or from where the stage was ``interrupted``.

    Raises what :class:`~solvers.training.iterates.Iterates` raises: :class:`~solvers.training.history.Diverged`
    and :class:`~solvers.training.iterates.OutOfTime`.
    """
    optimizer = stage.optimizer
    if isinstance(optimizer, FirstOrder):
        return _first_order(run, stage, optimizer, interrupted)
    if isinstance(optimizer, Iterative):
        return _iterative(run, stage, optimizer, interrupted)
    if isinstance(optimizer, Foreign):
        return _foreign(run, stage, optimizer, interrupted)
    raise TypeError(f"{type(optimizer).__name__} is none of the kinds of optimizers.base")


def _first_order(run: Iterates, stage: Stage, optimizer: FirstOrder, interrupted: Interrupted | None) -> Outcome:
    """Blocks of steps inside the backend; the row of a block is its first iterate."""
    monitor, rule = run.monitor, run.loss.balancing
    steps = Steps(run.loss, optimizer, stage.transform)
    theta, schedule = run.at.theta, optimizer.schedule()
    carry = steps.start(theta, run.at.balancing, interrupted.memory if interrupted else None)
    for start, stop in _blocks(run, optimizer, interrupted.iterations if interrupted else 0):
        counts = monitor.total.iterations, monitor.total.function_evaluations + 1
        seconds = monitor.stopwatch.seconds("training")
        batches = run.minibatches.draw(stop - start) if run.minibatches else None
        chance = rule.chance(stop - start, len(run.loss.backend.terms), run.rng)
        carry, trace = steps.run(carry, _rows(schedule, start, stop), chance, batches)
        monitor.count(iterations=stop - start, evaluations=stop - start)
        if start == 0 or counts[0] % monitor.every == 0:
            monitor.record(theta, trace.first(), *counts, seconds)
        monitor.check(trace, before=stop - start)
        theta, run.at.balancing = steps.position(carry)
        if run.updates_after(stop):
            last = [[{name: array[-1:] for name, array in b.items()} for b in term] for term in batches or []]
            signal = run.update(theta, stop, last or None)
            carry = steps.with_state(carry, run.at.balancing)
            if signal:
                return Outcome(theta, StopReason.BALANCING, f"{signal.value} after {stop} steps")
        run.refresh_at(theta, stop)
        run.reached(theta, partial(steps.memory, carry))
    return Outcome(theta, StopReason.ITERATION_LIMIT, f"{optimizer.iterations} steps made")


def _blocks(run: Iterates, optimizer: FirstOrder, done: int) -> Iterator[tuple[int, int]]:
    """First step and end of each block that is left: blocks end before a row of the history, after a step at
    which the balancing is updated, and where points are chosen anew."""
    every, update, last = run.monitor.every, run.loss.balancing.every, optimizer.iterations
    before = run.monitor.total.iterations - done
    ends = {*range(every - before % every, last, every), last}
    if update:
        ends |= {step + 1 for step in range(0, last, update)}
    for period in run.points.periods if run.points else []:
        ends |= set(range(period, last, period))
    return pairwise(sorted({done, *(end for end in ends if end > done)}))


def _iterative(run: Iterates, stage: Stage, optimizer: Iterative, interrupted: Interrupted | None) -> Outcome:
    """Iterations in NumPy, one by one."""
    objective = run.objective(stage, begins=interrupted is None)
    theta, done = run.at.theta.astype(float), 0
    if interrupted:
        memory, done = interrupted.memory, interrupted.iterations
        if not _changes_after(run, optimizer, done):
            objective.seen(theta)  # known where it was interrupted: to ask for it again counts nothing
    else:
        memory = optimizer.init(objective, theta)
    allowed = getattr(optimizer, "evaluations", None)
    for iteration in range(done + 1, optimizer.iterations + 1):
        step = optimizer.step(objective, theta, memory)
        if not np.array_equal(step.theta, theta):
            theta = step.theta
            run.accepted(theta, 1, objective)
        if step.stop:
            return Outcome(theta, step.stop, step.message)
        memory = step.memory
        if allowed is not None and objective.evaluations >= allowed:
            return Outcome(theta, StopReason.EVALUATION_LIMIT, f"{objective.evaluations} evaluations made")
        if _changes_after(run, optimizer, iteration):
            if signal := _change(run, theta, iteration):
                return Outcome(theta, StopReason.BALANCING, f"{signal.value} after {iteration} iterations")
            objective = run.objective(stage, begins=False)
        run.reached(theta, partial(dict, memory))
    return Outcome(theta, StopReason.ITERATION_LIMIT, f"{optimizer.iterations} iterations made")


def _changes_after(run: Iterates, optimizer: Iterative, iteration: int) -> bool:
    """Whether the objective is another after an iteration: the balancing is updated, or points are chosen."""
    if optimizer.needs_fixed_objective:
        return False
    periods = run.points.periods if run.points else []
    return run.updates_after(iteration) or any(iteration % period == 0 for period in periods)


def _change(run: Iterates, theta: np.ndarray, iteration: int) -> Signal | None:
    signal = run.update(theta, iteration, None) if run.updates_after(iteration) else None
    run.refresh_at(theta, iteration)
    return signal


def _foreign(run: Iterates, stage: Stage, optimizer: Foreign, interrupted: Interrupted | None) -> Outcome:
    """A loop of the optimizer's own."""
    objective = run.objective(stage, begins=True)

    def report(theta: np.ndarray, iterations: int) -> None:
        if not iterations:
            return run.record(theta, objective)
        run.accepted(theta, iterations, objective)
        return run.reached(theta, dict, exact=False)

    spent = Budget(interrupted.iterations, interrupted.evaluations) if interrupted else Budget()
    return optimizer.minimise(objective, run.at.theta, report, run.monitor.every, spent)


def _rows(tree: Any, start: int, stop: int) -> Any:
    """Rows of an array, or of each array of a mapping."""
    if isinstance(tree, Mapping):
        return {name: array[start:stop] for name, array in tree.items()}
    return tree[start:stop]
