"""The balanced loss: a backend's terms under a balancing rule; evaluated in NumPy, and followed step by step."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.backends.base import SUMS, Array, Backend, Batches, TermValues, Tree
from solvers.balancing.base import TINY, Balancing, State, StepObservation
from solvers.optimizers.base import Evaluation, FirstOrder, Memory
from solvers.training.objective import IDENTITY, Transform

__all__ = ["Loss", "StageObjective", "Steps", "Trace"]


@dataclass(frozen=True)
class Trace:
    """What n steps saw, each at its parameters before the step: loss (n,), the rest (n, k), as in
    :class:`~solvers.optimizers.base.Evaluation`."""

    loss: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    gradient_norms: np.ndarray

    def first(self) -> "Trace":
        """What the first step saw: a number, and (k,)."""
        return Trace(self.loss[0], self.values[0], self.weights[0], self.gradient_norms[0])


@dataclass(frozen=True)
class Loss:
    """The terms of ``backend`` under ``balancing``, as a function of parameters and the rule's state."""

    backend: Backend
    balancing: Balancing

    def initial_state(self, rng: np.random.Generator) -> State:
        """The rule's state at the start of a level, in NumPy."""
        return self.balancing.init(self.backend.sizes, rng)

    def at(self, points: Tree, theta: Array, state: State) -> tuple[TermValues, Array, Array]:
        """Terms, loss and weights (k,), in arrays of the backend."""
        rule = self.balancing
        found = self.backend.terms_at(points, theta, rule.multipliers(state), rule.wants_residuals)
        loss, weights = rule.combine(found.values, state, self.backend.xp)
        return found, loss, weights

    def recorded(self, found: TermValues, weights: Array) -> tuple[Array, Array, Array]:
        """Values, weights and norms (k,) as :class:`~solvers.optimizers.base.Evaluation` holds them."""
        norms = self.backend.norms(found.gradients)
        if not self.balancing.pointwise:
            return found.values, weights, norms
        ratio = (found.values + TINY) / (found.raw + TINY)
        return found.raw, weights * ratio, norms / ratio

    def _evaluation(self, points: Tree, theta: Array, state: State) -> tuple[Array, ...]:
        found, loss, weights = self.at(points, theta, state)
        return loss, *self.recorded(found, weights), weights @ found.gradients

    def evaluate(self, theta: np.ndarray, state: State) -> Evaluation:
        """Terms, loss and gradient at ``theta`` (P,)."""
        backend = self.backend
        key = "loss", self.balancing.key
        seen = backend.call(key, self._evaluation, backend.array(theta), backend.array(state, SUMS))
        loss, values, weights, norms, gradient = backend.numpy(seen)
        return Evaluation(values, float(loss), weights, gradient, norms)


class StageObjective:
    """The loss under a transform, with the rule's state as it is, in float64: what an optimizer in NumPy minimises
    (:class:`~solvers.optimizers.base.Objective`).

    ``first`` is told of the evaluation that the stage begins with, ``every`` of each that is not finite. Both may
    raise.
    """

    def __init__(
        self,
        loss: Loss,
        state: State,
        transform: Transform = IDENTITY,
        count: Callable[[int], None] = lambda evaluations: None,
        first: Callable[[np.ndarray, Evaluation], None] = lambda theta, seen: None,
        not_finite: Callable[[Evaluation], None] = lambda seen: None,
    ):
        self.loss, self.backend, self.state, self.transform = loss, loss.backend, state, transform
        self.evaluations = 0
        self._count, self._first, self._not_finite = count, first, not_finite
        self._last: tuple[np.ndarray, Evaluation] | None = None

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Objective and gradient (P,) at ``theta`` (P,); nothing is evaluated twice in a row."""
        seen = self._known(theta)
        if seen is None:
            begins = self._last is None
            seen = self._evaluate(theta)
            self.count(1)
            if begins:
                self._first(theta, seen)
            elif not (np.isfinite(seen.loss) and np.isfinite(seen.gradient_norms).all()):
                self._not_finite(seen)
        gradient = seen.gradient.astype(float)
        if self.transform is IDENTITY:
            return seen.loss, gradient
        return self.transform.value(seen.loss), self.transform.slope(seen.loss) * gradient

    @property
    def key(self) -> Hashable:
        """What :meth:`traced` depends on beside its arguments."""
        return self.loss.balancing.key, self.transform.name

    def seen(self, theta: np.ndarray) -> Evaluation:
        """The terms behind the objective at ``theta``; never counted, for it is asked for the record alone."""
        known = self._known(theta)
        if known is not None:
            return known
        with self.backend.stopwatch.phase("monitoring"):
            return self._evaluate(theta)

    def loss_of(self, values: np.ndarray) -> float:
        """The balanced loss of term values (k,), before the transform."""
        loss, _ = self.loss.balancing.combine(values, self.state, np)
        return float(loss)

    def count(self, evaluations: int) -> None:
        """Count evaluations, also those made inside compiled code."""
        self.evaluations += evaluations
        self._count(evaluations)

    def traced(self, points: Tree, theta: Array, state: Tree) -> tuple[Array, Array]:
        """Objective and gradient in arrays of the backend."""
        found, loss, weights = self.loss.at(points, theta, state)
        gradient = weights @ found.gradients
        if self.transform is IDENTITY:
            return loss, gradient
        return self.transform.of_array(loss, self.backend.xp), self.transform.slope(loss) * gradient

    def _known(self, theta: np.ndarray) -> Evaluation | None:
        return self._last[1] if self._last is not None and np.array_equal(theta, self._last[0]) else None

    def _evaluate(self, theta: np.ndarray) -> Evaluation:
        seen = self.loss.evaluate(theta, self.state)
        self._last = theta.copy(), seen
        return seen


class Steps:
    """Many steps of a first-order optimizer in one program: the terms, the rule's direction, the optimizer's
    step, and what the rule makes of its state."""

    def __init__(self, loss: Loss, optimizer: FirstOrder, transform: Transform = IDENTITY) -> None:
        self.loss, self.optimizer, self.transform = loss, optimizer, transform
        self.backend, self.rule = loss.backend, loss.balancing
        self.transformation = optimizer.transformation(self.backend)
        self._lengths: dict[str, int] = {}
        self._given: State = {}
        self.key = "steps", optimizer.key, self.rule.key, transform.name

    def start(self, theta: np.ndarray, state: State, memory: Memory | None = None) -> Tree:
        """What is carried from step to step, from parameters (P,), the rule's state and, if the stage is taken up
        again, the optimizer's memory."""
        self._lengths = {name: len(state[name]) for name in self.rule.trained}
        own = self._given = {name: array for name, array in state.items() if name not in self.rule.trained}
        trained = np.concatenate([theta, *(state[name] for name in self.rule.trained)])
        moved = self.backend.array(trained)
        restored = self.transformation.restore(moved, memory) if memory else self.transformation.init(moved)
        return moved, restored, self.backend.array(own, SUMS)

    def run(self, carry: Tree, schedule: Tree, chance: Tree, batches: Batches | None = None) -> tuple[Tree, Trace]:
        """As many steps as the ``schedule`` has rows."""
        carry, seen = self.backend.scan(self.key, self._step, carry, (schedule, chance), batches)
        return carry, Trace(*seen)

    def position(self, carry: Tree) -> tuple[np.ndarray, State]:
        """Parameters (P,) and the rule's state in NumPy; what no step changes is returned as it was given, not in
        the precision of the backend, for a stage in another one may follow."""
        trained, _, own = carry
        state = self.backend.numpy(own) if self.rule.changes_each_step else self._given
        return self._split(self.backend.numpy(trained), state)

    def memory(self, carry: Tree) -> dict[str, np.ndarray]:
        """The optimizer's memory in NumPy."""
        return self.transformation.export(carry[1])

    def with_state(self, carry: Tree, state: State) -> Tree:
        """The same with the entries of the rule's state that are not trained replaced."""
        own = self._given = {name: state[name] for name in carry[2]}
        return carry[0], carry[1], self.backend.array(own, SUMS)

    def _split(self, trained: Any, own: State) -> tuple[Any, State]:
        if not self.rule.trained:
            return trained, own
        state, start = dict(own), self.backend.parameters
        for name, length in self._lengths.items():
            state[name] = trained[start : start + length]
            start += length
        return trained[: self.backend.parameters], state

    def _step(self, points: Tree, carry: Tree, given: Tree) -> tuple[Tree, Tree]:
        xp, rule = self.backend.xp, self.rule
        trained, memory, own = carry
        inputs, chance = given
        theta, state = self._split(trained, own)
        found, loss, weights = self.loss.at(points, theta, state)
        seen = StepObservation(found.values, found.gradients, weights, found.residuals, found.shares)
        if self.optimizer.by_term:
            direction = weights[:, None] * found.gradients
        else:
            direction = rule.direction(found.gradients, weights, state, chance, xp)
        if self.transform is not IDENTITY:
            direction = self.transform.slope(loss) * direction
        if rule.trained:
            direction = xp.concatenate([direction, *rule.trained_gradients(seen, state, xp)])
        direction = xp.asarray(direction, dtype=trained.dtype)
        trained, memory = self.transformation.update(trained, direction, memory, inputs)
        if rule.changes_each_step:
            advanced = rule.advance(state, seen, chance, xp)
            own = {name: advanced[name] for name in own}
        return (trained, memory, own), (loss, *self.loss.recorded(found, weights))
