"""What a balancing rule may look at between steps: computed when it is asked for, and counted then."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from solvers.backends.base import Backend, Batches

__all__ = ["CountedObservation"]


class CountedObservation:
    """The terms at ``theta`` (P,) on a backend's own points, or on the first of the ``batches``
    (:class:`solvers.balancing.base.Observation`)."""

    def __init__(
        self,
        backend: Backend,
        theta: np.ndarray,
        iteration: int,
        batches: Batches | None,
        count: Callable[[int], None],
    ):
        self._backend, self._theta, self._batches, self._count = backend, theta, batches, count
        self.terms: Sequence[str] = backend.names
        self.iteration = iteration

    @cached_property
    def _values_and_gradients(self) -> tuple[np.ndarray, np.ndarray]:
        self._count(1)
        return self._backend.terms_and_gradients(self._theta, self._batches)

    @property
    def values(self) -> np.ndarray:
        """The terms (k,)."""
        return self._values_and_gradients[0]

    @property
    def gradients(self) -> np.ndarray:
        """Their gradients (k, P)."""
        return self._values_and_gradients[1]

    @cached_property
    def gram(self) -> np.ndarray:
        """The scalar products (k, k) of the gradients."""
        return self.gradients @ self.gradients.T

    @property
    def matrices(self) -> Sequence[slice]:
        """Where the weight matrices of the layers stand in a gradient."""
        return self._backend.model.matrices

    @cached_property
    def residuals(self) -> Mapping[str, np.ndarray]:
        """The residuals (n,) of each term, at its own points."""
        self._count(1)
        return self._backend.residuals(self._theta)

    @cached_property
    def solution(self) -> Mapping[str, np.ndarray]:
        """u (n,) at the own points of each term."""
        points = {term.name: [own.points for own in term.constraints] for term in self._backend.terms}
        return {name: self._backend.predict(self._theta, np.concatenate(own)) for name, own in points.items()}

    @property
    def targets(self) -> Mapping[str, np.ndarray]:
        """What the operator of each term should give at its own points (n,)."""
        return {t.name: np.concatenate([own.target for own in t.constraints]) for t in self._backend.terms}

    @cached_property
    def row_norms(self) -> Mapping[str, np.ndarray]:
        """|dr_i/dtheta|^2 (n,) of the own points of each term."""
        self._count(1)
        return self._backend.row_norms(self._theta)
