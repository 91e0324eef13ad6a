"""The objective that an optimizer minimises: a balancing rule's loss L under a monotone transform phi.

The minimisers of L and phi(L) are the same. The logarithm makes every decade of the loss count alike, which a line
search in float64 can follow over fourteen decades.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["IDENTITY", "LOGARITHM", "TRANSFORMS", "Transform"]


@dataclass(frozen=True)
class Transform:
    """phi(L) for numbers; phi'(L) for numbers and arrays; phi(L) for arrays of a namespace."""

    name: str
    value: Callable[[float], float]
    slope: Callable[[Any], Any]
    of_array: Callable[[Any, Any], Any]


def _log(loss: float) -> float:
    return math.log(loss) if loss > 0 else (-math.inf if loss == 0 else math.nan)


def _inverse(loss: Any) -> Any:
    return math.inf if isinstance(loss, float) and loss == 0 else 1 / loss


IDENTITY = Transform("identity", lambda loss: loss, lambda loss: 1.0, lambda loss, xp: loss)
LOGARITHM = Transform("log", _log, _inverse, lambda loss, xp: xp.log(loss))
TRANSFORMS: Mapping[str, Transform] = {each.name: each for each in (IDENTITY, LOGARITHM)}
"""By the name that a stage gives."""
