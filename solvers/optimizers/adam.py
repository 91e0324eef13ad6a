"""Adam (Kingma and Ba 2015), full batch, many steps inside the backend at a time."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.backends.base import AdamOptions, Trace
from solvers.optimizers.base import Job, Optimizer, Outcome, StopReason

__all__ = ["Adam"]


@dataclass(frozen=True)
class Adam(Optimizer):
    """``iterations`` steps at ``learning_rate * decay_rate ** (step / decay_steps)``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

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

    def minimise(self, job: Job, theta: np.ndarray) -> Outcome:
        """All steps, in blocks of the history's interval; the row of a block is its first iterate."""
        backend, monitor = job.backend, job.monitor
        state = backend.start_adam(theta, AdamOptions(self.beta1, self.beta2, self.epsilon))
        rates = self.rates()
        for start in range(0, len(rates), monitor.every):
            block = rates[start : start + monitor.every]
            before = backend.adam_theta(state)
            counts = monitor.total.iterations, monitor.total.function_evaluations + 1
            seconds = monitor.stopwatch.seconds("training")
            state, trace = backend.adam_steps(state, block, job.coefficients)
            monitor.count(iterations=len(block), evaluations=len(block))
            monitor.record(before, _first(trace), *counts, seconds)
            monitor.check(trace, before=len(block))
        return Outcome(backend.adam_theta(state), StopReason.ITERATION_LIMIT, f"{self.iterations} steps made")


def _first(trace: Trace) -> Trace:
    return Trace(trace.objective[0], trace.values[0], trace.weights[0], trace.gradient_norms[0])
