"""Rules, an optimizer, a sampler and a grouping for tests: what a research file may hold, as short as can be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing import Balancing
from solvers.balancing.base import Observation, Signal, State, StepObservation
from solvers.balancing.sum import Sum
from solvers.optimizers.base import FirstOrder, Iterative, Memory, Objective, Step, StopReason
from solvers.points.groupings import Grouping
from solvers.points.samplers.uniform import Uniform

__all__ = [
    "SEEN",
    "Armijo",
    "Attentive",
    "ByTerm",
    "Curious",
    "Drifting",
    "Forgetful",
    "Halves",
    "HeavyBall",
    "Noisy",
    "Roaming",
    "Shifted",
    "Signalling",
    "Worst",
]


@dataclass(frozen=True)
class Shifted(Sum):
    """The sum less a constant: a loss that may lie below zero."""

    shift: float = 0.0

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        loss, weights = super().combine(values, state, xp)
        return loss - self.shift, weights


@dataclass(frozen=True)
class Drifting(Sum):
    """Weights that grow by a hundredth at every step."""

    changes_each_step: ClassVar[bool] = True

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        return {"weights": 1.01 * state["weights"]}


@dataclass(frozen=True)
class Noisy(Sum):
    """Follows the gradients of the terms in proportions that chance draws for every step."""

    own_direction: ClassVar[bool] = True

    def chance(self, steps: int, terms: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        return {"factors": rng.uniform(0, 2, (steps, terms))}

    def direction(self, gradients: Any, weights: Any, state: State, chance: Any, xp: Any) -> Any:
        return (chance["factors"] * weights) @ gradients


@dataclass(frozen=True)
class Attentive(Balancing):
    """Multipliers of the residual's points that follow its size (Anagnostopoulos et al. 2024)."""

    rate: float = 0.1
    changes_each_step: ClassVar[bool] = True
    pointwise: ClassVar[tuple[str, ...]] = ("residual",)
    wants_residuals: ClassVar[tuple[str, ...]] = ("residual",)

    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        return {"multiplier.residual": np.ones(terms["residual"])}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        return values.sum(), values * 0 + 1

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        size = abs(seen.residuals["residual"])
        own = (1 - self.rate) * state["multiplier.residual"] + self.rate * size / xp.amax(size)
        return {"multiplier.residual": own}


@dataclass(frozen=True)
class Curious(Sum):
    """Looks at all that there is, twice, after every third step, and keeps it."""

    @property
    def every(self) -> int | None:
        return 3

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        for _ in range(2):
            found = {"values": observation.values, "gradients": observation.gradients, "gram": observation.gram}
            found |= {f"residuals.{term}": each for term, each in observation.residuals.items()}
            found |= {f"norms.{term}": each for term, each in observation.row_norms.items()}
        SEEN.append((observation.iteration, list(observation.terms), found))
        return state, None


SEEN: list[tuple[int, list[str], dict[str, np.ndarray]]] = []
"""What :class:`Curious` has looked at."""


@dataclass(frozen=True)
class HeavyBall(FirstOrder):
    """Momentum (Polyak 1964)."""

    iterations: int
    rate: float = 1e-6
    momentum: float = 0.9

    def init(self, theta: Any, xp: Any) -> dict[str, Any]:
        return {"velocity": xp.zeros_like(theta)}

    def update(self, theta: Any, direction: Any, memory: dict[str, Any], inputs: Any, xp: Any):
        velocity = self.momentum * memory["velocity"] - self.rate * direction
        return theta + velocity, {"velocity": velocity}


@dataclass(frozen=True)
class ByTerm(FirstOrder):
    """A step along each weighted gradient, of the same length for all, shorter from step to step."""

    iterations: int
    by_term: ClassVar[bool] = True

    def schedule(self) -> np.ndarray:
        return 1e-3 / np.arange(1, self.iterations + 1)

    def update(self, theta: Any, direction: Any, memory: dict[str, Any], inputs: Any, xp: Any):
        lengths = xp.sqrt((direction * direction).sum(1))
        return theta - inputs * (direction / lengths[:, None]).sum(0), memory


@dataclass(frozen=True)
class Signalling(Sum):
    """Asks for the end of the stage or of the level after so many steps."""

    after: int = 4
    ends_level: bool = False

    @property
    def every(self) -> int | None:
        return 1

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        if observation.iteration < self.after:
            return state, None
        return state, Signal.END_LEVEL if self.ends_level else Signal.END_STAGE


@dataclass(frozen=True)
class Armijo(Iterative):
    """Steepest descent with backtracking (Armijo 1966). What it has seen of the objective is in its memory."""

    iterations: int
    evaluations: int = 10**9
    slope: float = 1e-4
    trials: int = 30

    def init(self, objective: Objective, theta: np.ndarray) -> Memory:
        value, gradient = objective(theta)
        return {"value": np.array(value), "gradient": gradient, "length": np.array(1.0)}

    def step(self, objective: Objective, theta: np.ndarray, memory: Memory) -> Step:
        value, gradient, length = float(memory["value"]), memory["gradient"], 2 * float(memory["length"])
        for _ in range(self.trials):
            new, after = objective(theta - length * gradient)
            if new <= value - self.slope * length * (gradient @ gradient):
                kept = {"value": np.array(new), "gradient": after, "length": np.array(length)}
                return Step(theta - length * gradient, kept)
            length /= 2
        return Step(theta, memory, StopReason.LINE_SEARCH, f"{self.trials} trials, no decrease")


@dataclass(frozen=True)
class Forgetful(Armijo):
    """The same, asking for the objective anew at the start of every step."""

    def step(self, objective: Objective, theta: np.ndarray, memory: Memory) -> Step:
        value, gradient = objective(theta)
        return super().step(objective, theta, memory | {"value": np.array(value), "gradient": gradient})


@dataclass(frozen=True)
class Roaming(Forgetful):
    """The same, of an objective that may change between its iterations."""

    needs_fixed_objective: ClassVar[bool] = False


@dataclass(frozen=True)
class Worst(Uniform):
    """Every so many iterations those of four times as many candidates at which the residual is largest."""

    period: int = 5

    @property
    def refresh_every(self) -> int | None:
        return self.period

    def refresh(self, points, lower, upper, residual, rng) -> np.ndarray:
        candidates = self.draw(lower, upper, 4 * len(points), rng)
        return candidates[np.argsort(residual(candidates), kind="stable")[-len(points) :]]


@dataclass(frozen=True)
class Halves(Grouping):
    """Points at which the residual of the untrained network is below its median, and the others."""

    @property
    def groups(self) -> tuple[str, ...]:
        return "low", "high"

    def split(self, points, problem, residual) -> Mapping[str, np.ndarray]:
        found = residual(points)
        below = found < np.median(found)
        return {"low": points[below], "high": points[~below]}
