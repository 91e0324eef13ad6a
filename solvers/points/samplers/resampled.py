"""Mini-batches: fresh uniform points at every step of a first-order optimizer."""

from dataclasses import dataclass
from typing import ClassVar

from solvers.points.samplers.uniform import Uniform

__all__ = ["Resampled"]


@dataclass(frozen=True)
class Resampled(Uniform):
    """``count`` independent uniform points, and new ones at every step."""

    each_step: ClassVar[bool] = True
