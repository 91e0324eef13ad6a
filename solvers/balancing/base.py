"""What a balancing rule must give: an objective of the term values and its derivatives by them.

Rules come in three kinds. What most need is in ``coefficients`` and ``combine``. A rule with ``update_every``
changes its coefficients between Adam steps. A rule with ``pointwise`` terms gives every point of them a
multiplier, which Adam trains together with the parameters, by gradient ascent.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["TINY", "Balancing"]

TINY = 1e-30
"""Far below any term or gradient that training reaches, and no denormal in float32: keeps quotients and the slopes
of powers finite where these are zero."""


class Balancing(ABC):
    """Maps the k term values to an objective and to the k effective weights d objective / d term.

    The gradient of the objective is then ``weights @ gradients of the terms``, in either backend. What changes
    from level to level is in the array ``coefficients``, so a level needs no new compilation.
    """

    update_every: int | None = None
    """Adam steps between two calls of :meth:`update`; ``None``: never."""

    @property
    def pointwise(self) -> tuple[str, ...]:
        """Terms whose squares are multiplied point by point: L = sum_i w_i (lambda_i r_i)^2.

        The coefficients are then their multipliers, term by term, point by point, and :meth:`combine` is given
        the weighted terms.
        """
        return ()

    @abstractmethod
    def coefficients(
        self, terms: Mapping[str, int], exponents: Mapping[str, float], rng: np.random.Generator
    ) -> np.ndarray:
        """The numbers of one level, an array of the same shape at every level.

        ``terms`` gives the number of points of each term. Raises ``ValueError`` naming the keys allowed if
        ``exponents`` names a term that does not exist.
        """

    def update(
        self, coefficients: np.ndarray, terms: Sequence[str], gradients: np.ndarray, matrices: Sequence[slice]
    ) -> np.ndarray:
        """New coefficients from the gradients of the terms (k, P); ``matrices`` are the places of the weight
        matrices in a gradient. Called after steps 0, n, 2n, ... with n = ``update_every``."""
        return coefficients

    @abstractmethod
    def combine(self, values: Any, coefficients: Any) -> tuple[Any, Any]:
        """Objective and effective weights (k,) for term values (k,); arrays of any namespace, same dtype."""
