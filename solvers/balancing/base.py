"""What a balancing rule must give: an objective of the term values and its derivatives by them.

A rule is a handful of pure functions over an array namespace ``xp`` (:attr:`solvers.backends.base.Backend.xp`)
and a state, a mapping of names to arrays. It may change its state

* after every step of a first-order optimizer, inside the compiled program (:meth:`Balancing.advance`), or by
  having entries of it ``trained`` along with the parameters;
* now and then, between steps, in NumPy, from whatever it asks the :class:`Observation` for
  (:meth:`Balancing.update`);
* between two stages of a level, likewise (:meth:`Balancing.between_stages`).

An optimizer with a line search needs one fixed function: for its stage the state stays as it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol

import numpy as np

from solvers.plugins import KeyProblem

__all__ = [
    "RESIDUAL",
    "SUPERVISED",
    "TINY",
    "Balancing",
    "Observation",
    "Signal",
    "State",
    "StepObservation",
    "is_residual",
    "term_weights",
]

State = dict[str, Any]
"""Arrays by name."""
TINY = 1e-30
"""Far below any term or gradient that training reaches, and no denormal in float32: keeps quotients and the slopes
of powers finite where these are zero."""


SUPERVISED = "supervised"
"""Stands in settings for all terms that are no residuals: initial and boundary."""
RESIDUAL = "residual"
"""Stands in settings for all terms of the PDE, one for each group of points or one in all."""


def is_residual(term: str) -> bool:
    """Whether a term is the residual of the PDE or of one group of its points."""
    return term.partition(".")[0] == RESIDUAL


def term_weights(weights: Mapping[str, float], terms: Sequence[str]) -> np.ndarray:
    """The weights (k,) of the k ``terms``, one where none is given. A term's own weight goes before that of all
    ``supervised`` terms, which a run with a hard constraint need not have.

    Raises :class:`solvers.plugins.KeyProblem` for a weight that is not above zero and a term that does not exist.
    """
    for name, weight in weights.items():
        if not weight > 0:
            raise KeyProblem(f"weights.{name}", weight, "must be greater than 0")
        if name not in (SUPERVISED, *terms):
            allowed = ", ".join([SUPERVISED, *terms])
            raise KeyProblem(f"weights.{name}", weight, f"no such term; allowed: {allowed}")
    group = weights.get(SUPERVISED, 1.0)
    return np.array([weights.get(term, 1.0 if is_residual(term) else group) for term in terms])


class Signal(Enum):
    """What a rule may ask for when it is updated."""

    END_STAGE = "end of the stage"
    END_LEVEL = "end of the level"


@dataclass(frozen=True)
class StepObservation:
    """What a step saw at its parameters, in arrays of the backend: the ``values`` (k,) and ``gradients`` (k, P)
    of the terms with the multipliers of their points, the ``weights`` (k,) that were used; by name, for the terms
    of :attr:`Balancing.wants_residuals`, the ``residuals`` (n,) and the ``shares`` (n,) of their points."""

    values: Any
    gradients: Any
    weights: Any
    residuals: Mapping[str, Any]
    shares: Mapping[str, Any]


class Observation(Protocol):
    """What a rule may look at between steps, in NumPy. Each entry is computed when it is first asked for, at the
    parameters after the step and on the points of that step."""

    terms: Sequence[str]
    """Names of the k terms."""
    iteration: int
    """Steps that the stage has made."""

    @property
    def values(self) -> np.ndarray:
        """The terms (k,), without multipliers; one evaluation together with the gradients."""

    @property
    def gradients(self) -> np.ndarray:
        """Their gradients (k, P)."""

    @property
    def gram(self) -> np.ndarray:
        """The scalar products (k, k) of the gradients."""

    @property
    def matrices(self) -> Sequence[slice]:
        """Where the weight matrices of the layers stand in a gradient."""

    @property
    def residuals(self) -> Mapping[str, np.ndarray]:
        """The residuals (n,) of each term; one evaluation."""

    @property
    def solution(self) -> Mapping[str, np.ndarray]:
        """u (n,) at the points of each term; no derivative is taken, and nothing counted."""

    @property
    def targets(self) -> Mapping[str, np.ndarray]:
        """What the operator of each term should give at its points (n,): a residual is operator(u) - target."""

    @property
    def row_norms(self) -> Mapping[str, np.ndarray]:
        """|dr_i/dtheta|^2 (n,) of each term's points; counted as one evaluation, though it takes many times as
        long."""


class Balancing(ABC):
    """Maps the k term values to an objective and to the k effective weights d objective / d term. A subclass is a
    frozen dataclass of its settings.

    What changes from level to level is in the state, so that a level needs no new compilation.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    changes_each_step: ClassVar[bool] = False
    """Whether :meth:`advance` changes the state."""
    changes_between_stages: ClassVar[bool] = False
    """Whether :meth:`between_stages` changes the state."""
    own_direction: ClassVar[bool] = False
    """Whether :meth:`direction` is another than the gradient of the objective."""

    @property
    def key(self) -> Hashable:
        """What compiled functions of the rule depend on beside their arguments: by default all settings. A rule
        that keeps them in its state gives its class alone."""
        return repr(self)

    @property
    def every(self) -> int | None:
        """Steps between two calls of :meth:`update`; ``None``: never."""
        return None

    @property
    def pointwise(self) -> tuple[str, ...]:
        """Terms whose residuals are multiplied point by point, L = sum_i share_i (lambda_i r_i)^2; their
        multipliers (n,) stand in the state as ``multiplier.<term>``, and :meth:`combine` is given the weighted
        terms."""
        return ()

    @property
    def trained(self) -> tuple[str, ...]:
        """Vectors of the state that a first-order optimizer trains along with the parameters."""
        return ()

    @property
    def wants_residuals(self) -> tuple[str, ...]:
        """Terms whose residuals are wanted in :class:`StepObservation`."""
        return ()

    @property
    def fixed(self) -> bool:
        """Whether the objective is one function for a whole level."""
        changes = self.changes_each_step or self.changes_between_stages or self.every
        return not (changes or self.trained or self.own_direction)

    @abstractmethod
    def init(self, terms: Mapping[str, int], rng: np.random.Generator) -> State:
        """The state at the start of a level, in NumPy. ``terms`` gives the number of points of each term.

        Raises :class:`solvers.plugins.KeyProblem` if a setting names a term that does not exist.
        """

    @abstractmethod
    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """Objective and effective weights (k,) for term values (k,)."""

    def direction(self, gradients: Any, weights: Any, state: State, chance: Any, xp: Any) -> Any:
        """What a first-order optimizer follows (P,), from the gradients (k, P): by default that of the
        objective."""
        return weights @ gradients

    def trained_gradients(self, seen: StepObservation, state: State, xp: Any) -> list[Any]:
        """For each of the ``trained`` entries the vector that its optimizer descends along."""
        return []

    def chance(self, steps: int, terms: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        """Random numbers for so many steps, the steps along the first axis: each step is given its row of them.
        Drawn with NumPy, so that both backends see the same."""
        return {}

    def advance(self, state: State, seen: StepObservation, chance: Any, xp: Any) -> State:
        """The state after a step."""
        return state

    def update(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The state, in NumPy, after steps 0, n, 2n, ... with n = ``every``, and what the rule asks for, if
        anything."""
        return state, None

    def between_stages(self, state: State, observation: Observation) -> tuple[State, Signal | None]:
        """The state, in NumPy, for the next stage of the same level, whatever the optimizers of both;
        ``END_LEVEL`` leaves out all that are left of the level."""
        return state, None

    def multipliers(self, state: State) -> dict[str, Any]:
        """The multipliers of the ``pointwise`` terms."""
        return {term: state[f"multiplier.{term}"] for term in self.pointwise}
