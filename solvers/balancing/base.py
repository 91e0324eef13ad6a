"""What a balancing rule must give: an objective of the term values and its derivatives by them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["Balancing"]


class Balancing(ABC):
    """Maps the k term values to an objective and to the k effective weights d objective / d term.

    The gradient of the objective is then ``weights @ gradients of the terms``, in either backend. What changes
    from level to level is in the array ``coefficients``, so a level needs no new compilation.
    """

    @abstractmethod
    def coefficients(self, terms: Sequence[str], exponents: Mapping[str, float]) -> np.ndarray:
        """The numbers of one level, an array of the same shape at every level.

        Raises ``ValueError`` naming the keys allowed if ``exponents`` names a term that does not exist.
        """

    @abstractmethod
    def combine(self, values: Any, coefficients: Any) -> tuple[Any, Any]:
        """Objective and effective weights (k,) for term values (k,); arrays of any namespace, same dtype."""
