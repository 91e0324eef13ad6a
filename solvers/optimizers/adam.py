"""Adam (Kingma and Ba 2015), full batch or on mini-batches, many steps inside the backend at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from solvers.backends.base import AdamOptions, Batches, Trace
from solvers.optimizers.base import Job, Midway, Optimizer, Outcome, StopReason

__all__ = ["Adam"]


@dataclass(frozen=True)
class Adam(Optimizer):
    """``iterations`` steps at ``learning_rate * decay_rate ** (step / decay_steps)``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    takes_minibatches = True
    iterations: int
    learning_rate: float = 1e-3
    decay_rate: float = 1.0
    decay_steps: int = 1000
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self):
        if self.iterations < 1 or self.decay_steps < 1:
            raise ValueError(f"iterations {self.iterations}, decay_steps {self.decay_steps} must be at least 1")
        if not (self.learning_rate > 0 and self.decay_rate > 0 and self.epsilon > 0):
            raise ValueError("learning_rate, decay_rate and epsilon must be greater than 0")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f"beta1 {self.beta1} and beta2 {self.beta2} must lie in [0, 1)")

    def rates(self) -> np.ndarray:
        """The learning rate of every step, (iterations,)."""
        return self.learning_rate * self.decay_rate ** (np.arange(self.iterations) / self.decay_steps)

    def minimise(self, job: Job, theta: np.ndarray, midway: Midway | None = None) -> Outcome:
        """All steps, in blocks of the history's interval; the row of a block is its first iterate."""
        backend, monitor = job.backend, job.monitor
        options = AdamOptions(self.beta1, self.beta2, self.epsilon)
        memory = midway.memory if midway else None
        state = backend.start_adam(backend.joined(theta, job.coefficients), options, memory)
        rates, done = self.rates(), midway.iterations if midway else 0
        for start, stop in self._blocks(monitor.every, backend.balancing.update_every):
            if stop <= done:
                continue
            counts = monitor.total.iterations, monitor.total.function_evaluations + 1
            seconds = monitor.stopwatch.seconds("training")
            batches = job.minibatches.draw(stop - start) if job.minibatches else None
            state, trace = backend.adam_steps(state, rates[start:stop], job.coefficients, batches)
            monitor.count(iterations=stop - start, evaluations=stop - start)
            if start % monitor.every == 0:
                monitor.record(theta, _first(trace), *counts, seconds)
            monitor.check(trace, before=stop - start)
            theta, job.coefficients = backend.parted(backend.adam_trained(state), job.coefficients)
            self._update(job, theta, stop - 1, batches)
            job.reached(theta, lambda state=state: backend.adam_memory(state))
        return Outcome(theta, StopReason.ITERATION_LIMIT, f"{self.iterations} steps made")

    def _blocks(self, every: int, update_every: int | None) -> Iterator[tuple[int, int]]:
        """First step and end of each block: blocks end before a row of the history and after an update's step."""
        ends = {*range(every, self.iterations, every), self.iterations}
        if update_every:
            ends |= {step + 1 for step in range(0, self.iterations, update_every)}
        return pairwise(sorted({0, *ends}))

    def _update(self, job: Job, theta: np.ndarray, step: int, batches: Batches | None) -> None:
        """After step 0, n, 2n, ... let the balancing rule look at the gradients, on that step's points."""
        balancing, backend = job.backend.balancing, job.backend
        if not balancing.update_every or step % balancing.update_every:
            return
        last = [[{name: array[-1:] for name, array in b.items()} for b in term] for term in batches or []]
        _, gradients = backend.terms_and_gradients(theta, last or None)
        job.monitor.count(evaluations=1)
        job.coefficients = balancing.update(
            job.coefficients, list(backend.sizes), gradients, backend.model.matrices
        )


def _first(trace: Trace) -> Trace:
    return Trace(trace.objective[0], trace.values[0], trace.weights[0], trace.gradient_norms[0])
