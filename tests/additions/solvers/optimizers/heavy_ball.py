"""Gradient descent with momentum (Polyak 1964)."""

from dataclasses import dataclass
from typing import Any

from solvers.backends.base import Array, Tree
from solvers.optimizers.base import FirstOrder

__all__ = ["HeavyBall"]


@dataclass(frozen=True)
class HeavyBall(FirstOrder):
    """v <- momentum v - learning_rate g, theta <- theta + v."""

    iterations: int
    learning_rate: float = 1e-4
    momentum: float = 0.9

    def init(self, theta: Array, xp: Any) -> dict[str, Array]:
        """The velocity (P,), zero at the start."""
        return {"velocity": xp.zeros_like(theta)}

    def update(
        self, theta: Array, direction: Array, memory: dict[str, Array], inputs: Tree, xp: Any
    ) -> tuple[Array, dict[str, Array]]:
        """One step."""
        velocity = self.momentum * memory["velocity"] - self.learning_rate * direction
        return theta + velocity, {"velocity": velocity}
