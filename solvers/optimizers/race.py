"""A race between a few starts, which needs no exact solution to tell the better one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from solvers.balancing.base import is_residual, term_weights
from solvers.model.networks.base import Network, places
from solvers.optimizers.base import Memory, Objective, Step, StopReason
from solvers.optimizers.bfgs import Bfgs
from solvers.optimizers.linear_start import least_squares_layer, requires_linear_output
from solvers.plugins import KeyProblem
from solvers.points.fresh import fresh_terms

__all__ = ["Race"]

OWN, BEST = "own.", "best."
"""What stands in the memory before the names of the inner optimizer's: of the start whose turn it is, and of the
best so far."""


@dataclass(frozen=True)
class _State:
    """How far the race is: the parameters (P,) it began from; the fresh losses (n,) of the n starts, not a number
    where not known yet; whose turn it is, n after the race, and the iterations it has made; the iterations made by
    all; the best start, and its parameters (P,). ``own`` and ``kept`` are the memories of these two."""

    base: np.ndarray
    losses: np.ndarray
    turn: int
    made: int
    total: int
    best: int
    theta: np.ndarray
    own: Memory = field(default_factory=dict)
    kept: Memory = field(default_factory=dict)

    @classmethod
    def of(cls, memory: Memory) -> "_State":
        """What :meth:`memory` gave."""
        turn, made, total, best = (int(number) for number in memory["counts"])
        inner = [{n.removeprefix(p): a for n, a in memory.items() if n.startswith(p)} for p in (OWN, BEST)]
        return cls(memory["base"], memory["losses"], turn, made, total, best, memory["theta"], *inner)

    def memory(self) -> Memory:
        """For the next step and for a checkpoint."""
        counts = np.array([self.turn, self.made, self.total, self.best])
        inner = {OWN + n: a for n, a in self.own.items()} | {BEST + n: a for n, a in self.kept.items()}
        return {"base": self.base, "losses": self.losses, "counts": counts, "theta": self.theta} | inner

    @property
    def over(self) -> bool:
        """Whether every start has had its turn."""
        return self.turn == len(self.losses)


@dataclass(frozen=True)
class Race(Bfgs):
    """:class:`Bfgs` from the best of a few starts, which differ by a factor on the frequencies of the first layer.

    Each start has the same draws with the frequencies times one of the ``factors``, an output layer of its own by
    least squares (:class:`solvers.optimizers.linear_start.LinearStart`, with these ``weights``), and
    ``iterations_each`` iterations. The one whose balanced loss over ``fresh_points`` is the lowest, or the first
    of equal ones, goes on with all that it has learned of the curvature, for what is left of the ``iterations``.
    Fresh points, because a network of too high frequencies may have a low loss at its own points alone.

    Iterations, evaluations and rows of the history are those of all starts, one after the other; each judgement is
    counted as one evaluation. A start whose loss is not finite is out. ``evaluations`` that run out end the race
    with the best so far. Until it is over the best start's matrix is kept beside that of the one whose turn it is.
    """

    factors: list[float] = field(default_factory=lambda: [1.0, 0.5])
    iterations_each: int = 200
    weights: dict[str, float] = field(default_factory=dict)
    cut: float = 1e-10
    fresh_points: int = 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.factors or min(self.factors) <= 0 or len(set(self.factors)) < len(self.factors):
            raise KeyProblem("factors", self.factors, "must be different numbers greater than 0, at least one")
        for name in ("iterations_each", "fresh_points"):
            if getattr(self, name) < 1:
                raise KeyProblem(name, getattr(self, name), "must be at least 1")
        raced = len(self.factors) * self.iterations_each
        if self.iterations <= raced:
            raise KeyProblem(
                "iterations", self.iterations, f"must be more than the {raced} that the race itself takes"
            )
        if not 0 < self.cut < 1:
            raise KeyProblem("cut", self.cut, "must lie between 0 and 1")

    def check(self, network: Network, dimension: int, terms: Sequence[str]) -> None:
        """The network has frequencies and a linear output layer, and the residual's points are not grouped."""
        super().check(network, dimension, terms)
        requires_linear_output(network, dimension, "race")
        if not network.frequency_arrays(dimension):
            needed = "needs a network with frequencies of its first layer, such as sines with frequencies"
            raise KeyProblem("optimizer", "race", needed)
        if any(is_residual(term) and term != "residual" for term in terms):
            problem = (
                "judges by fresh points of the residual, which belong to none of its groups: needs no grouping"
            )
            raise KeyProblem("optimizer", "race", problem)
        term_weights(self.weights, terms)

    def bytes_for(self, parameters: int, points: int) -> int:
        """Those of one start, the matrix of the best, and the last one's while the next one's is made."""
        return super().bytes_for(parameters, points) + 8 * parameters**2 * min(2, len(self.factors) - 1)

    def init(self, objective: Objective, theta: np.ndarray) -> Memory:
        """See :class:`_State`; the first row of the history is that of ``theta``."""
        objective(theta)
        return _State(theta, np.full(len(self.factors), np.nan), 0, 0, 0, 0, theta).memory()

    def step(self, objective: Objective, theta: np.ndarray, memory: Memory) -> Step:
        """An iteration of the start whose turn it is, or of the winner. The last one of the race leads to the
        winner's parameters."""
        state = _State.of(memory)
        if state.over:
            step = super().step(objective, theta, state.own)
            state = replace(state, own=step.memory, total=state.total + 1)
        else:
            step, state = self._raced(objective, theta, state)
        return self._ended(objective, replace(step, memory=state.memory()), state)

    def _raced(self, objective: Objective, theta: np.ndarray, state: _State) -> tuple[Step, _State]:
        """The next iteration that moves, whosever it is."""
        while not state.over:
            if state.made == 0:
                theta = self._start(objective, state)
                if not np.isfinite(objective(theta)[0]):
                    state = self._next(objective, theta, state, np.inf)
                    continue
                state = replace(state, own=super().init(objective, theta))
            step = super().step(objective, theta, state.own)
            moved = not np.array_equal(step.theta, theta)
            theta = step.theta
            state = replace(state, own=step.memory, made=state.made + 1, total=state.total + moved)
            if step.stop or state.made == self.iterations_each or objective.evaluations >= self.evaluations:
                state = self._next(objective, theta, state, self._fresh_loss(objective, theta))
            if moved:
                break
        return Step(state.theta if state.over else theta, {}), state

    def _start(self, objective: Objective, state: _State) -> np.ndarray:
        model = objective.backend.model
        theta = state.base.copy()
        theta[places(model.shapes, model.network.frequency_arrays(len(model.shift)))] *= self.factors[state.turn]
        return least_squares_layer(objective, theta, self.weights, self.cut)[0]

    def _fresh_loss(self, objective: Objective, theta: np.ndarray) -> float:
        objective.count(1)
        loss = objective.loss_of(fresh_terms(objective.backend, theta, self.fresh_points))
        return loss if np.isfinite(loss) else np.inf

    def _next(self, objective: Objective, theta: np.ndarray, state: _State, loss: float) -> _State:
        """The turn of the next start, or the end of the race with the best."""
        losses = state.losses.copy()
        losses[state.turn] = loss
        if state.turn == 0 or loss < losses[state.best]:
            state = replace(state, best=state.turn, theta=theta, kept=state.own)
        spent = objective.evaluations >= self.evaluations
        turn = len(losses) if spent else state.turn + 1
        state = replace(state, losses=losses, turn=turn, made=0, own={})
        return replace(state, own=state.kept, kept={}) if state.over else state

    def _ended(self, objective: Objective, step: Step, state: _State) -> Step:
        """The step with a reason to stop, if there is one, and the race in its message."""
        if not step.stop and objective.evaluations >= self.evaluations:
            limit = f"{objective.evaluations} evaluations made"
            step = replace(step, stop=StopReason.EVALUATION_LIMIT, message=limit)
        if not step.stop and state.total >= self.iterations:
            step = replace(step, stop=StopReason.ITERATION_LIMIT, message=f"{state.total} iterations made")
        if not (step.stop and state.over):
            return step
        losses = ", ".join(
            f"{loss:.4g} of {factor:g}" for factor, loss in zip(self.factors, state.losses, strict=True)
        )
        won = f"the start with factor {self.factors[state.best]:g} has won: fresh losses {losses}"
        return replace(step, message=f"{step.message}; {won}")
