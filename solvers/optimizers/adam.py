"""Adam (Kingma and Ba 2015), full batch or on mini-batches: that of the framework's own library."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from solvers.backends.base import Backend
from solvers.optimizers.base import FirstOrder, Transformation

__all__ = ["Adam"]


@dataclass(frozen=True)
class Adam(FirstOrder):
    """``iterations`` steps at ``learning_rate * decay_rate ** (step / decay_steps)``."""

    iterations: int
    learning_rate: float = 1e-3
    decay_rate: float = 1.0
    decay_steps: int = 1000
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.decay_steps < 1:
            raise ValueError(f"iterations {self.iterations}, decay_steps {self.decay_steps} must be at least 1")
        if not (self.learning_rate > 0 and self.decay_rate > 0 and self.epsilon > 0):
            raise ValueError("learning_rate, decay_rate and epsilon must be greater than 0")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f"beta1 {self.beta1} and beta2 {self.beta2} must lie in [0, 1)")

    @property
    def key(self) -> Hashable:
        """Rates and budget are arguments of a compiled step."""
        return "adam", self.beta1, self.beta2, self.epsilon

    def schedule(self) -> np.ndarray:
        """The learning rate of every step, (iterations,)."""
        return self.learning_rate * self.decay_rate ** (np.arange(self.iterations) / self.decay_steps)

    def transformation(self, backend: Backend) -> Transformation:
        """optax or torch.optim."""
        return backend.library.Adam(backend, self.beta1, self.beta2, self.epsilon)
