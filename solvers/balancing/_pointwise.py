"""Balancing rules that give every point of some terms a weight of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from solvers.balancing.base import Balancing, State
from solvers.plugins import KeyProblem

__all__ = ["Pointwise"]


@dataclass(frozen=True)
class Pointwise(Balancing):
    """L = sum over the terms of <(w_j r_j)^2>, where the w_j of the points of ``terms`` change after each step by
    the residuals r_j, and are one elsewhere. A line search keeps them.

    A rule gives them as ``multiplier.<term>`` (n,) of its state.
    """

    terms: tuple[str, ...] = ("residual",)

    changes_each_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("terms must name at least one term")

    @property
    def pointwise(self) -> tuple[str, ...]:
        """``terms``."""
        return tuple(self.terms)

    @property
    def wants_residuals(self) -> tuple[str, ...]:
        """``terms``."""
        return tuple(self.terms)

    def filled(self, name: str, value: float, terms: Mapping[str, int]) -> State:
        """``<name>.<term>`` (n,) of each of ``terms``, every number ``value``.

        Raises :class:`solvers.plugins.KeyProblem` if a term of this rule is none of the run.
        """
        for term in self.terms:
            if term not in terms:
                raise KeyProblem("terms", term, f"no such term; allowed: {', '.join(terms)}")
        return {f"{name}.{term}": np.full(terms[term], float(value)) for term in self.terms}

    def combine(self, values: Any, state: State, xp: Any) -> tuple[Any, Any]:
        """The sum of the weighted terms."""
        return values.sum(), values * 0 + 1
