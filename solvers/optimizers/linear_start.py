"""The output layer as least squares: where a network is linear, no step has to be found one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from solvers.balancing.base import term_weights
from solvers.model.networks.base import Network, places
from solvers.optimizers.base import Iterative, Memory, Objective, Step, StopReason
from solvers.plugins import KeyProblem

__all__ = ["LinearStart", "least_squares_layer", "requires_linear_output"]


@dataclass(frozen=True)
class LinearStart(Iterative):
    """Sets the output layer, its weights and its bias, to the minimiser of sum_i w_i L_i and leaves all else.

    For a linear PDE every term L_i is a quadratic of that layer's m numbers: its gradients at zero and at the m
    unit vectors give it exactly, and its minimiser of least norm is the pseudo-inverse's, which leaves out
    eigenvalues below ``cut`` times the largest. For another PDE the same differences are those of one guess in the
    manner of Gauss and Newton. A layer that would not lower the sum stays as it is.

    ``weights``, by term or of all ``supervised`` ones, are those of this stage, whatever the balancing rule makes
    of the terms: a sum of powers, or of terms whose weights follow their gradients, is no quadratic.

    It makes m + 3 evaluations, and wants the precision of float64.
    """

    iterations: int = 1
    weights: dict[str, float] = field(default_factory=dict)
    cut: float = 1e-10

    def __post_init__(self) -> None:
        if self.iterations != 1:
            raise KeyProblem("iterations", self.iterations, "must be 1: the minimiser is found at once")
        if not 0 < self.cut < 1:
            raise KeyProblem("cut", self.cut, "must lie between 0 and 1")

    def check(self, network: Network, dimension: int, terms: Sequence[str]) -> None:
        """The network has a linear output layer, and the terms that have weights exist."""
        requires_linear_output(network, dimension, "linear-start")
        term_weights(self.weights, terms)

    def init(self, objective: Objective, theta: np.ndarray) -> Memory:
        """None is needed."""
        return {}

    def step(self, objective: Objective, theta: np.ndarray, memory: Memory) -> Step:
        """The one iteration."""
        found, message = least_squares_layer(objective, theta, self.weights, self.cut)
        return Step(found, memory, StopReason.ITERATION_LIMIT, message)


def requires_linear_output(network: Network, dimension: int, optimizer: str) -> None:
    """Raises ``KeyProblem`` if an ``optimizer`` that sets it is given a network without a linear output layer."""
    if not network.output_layer(dimension):
        needed = f"needs a network with a linear output layer, which {type(network).__name__} does not have"
        raise KeyProblem("optimizer", optimizer, needed)


def least_squares_layer(
    objective: Objective, theta: np.ndarray, weights: Mapping[str, float], cut: float
) -> tuple[np.ndarray, str]:
    """Parameters (P,) with the output layer, of m numbers, that minimises the weighted sum of the terms, or
    ``theta`` if that is no better; and what became of it, in words. Counts m + 3 evaluations."""
    backend = objective.backend
    model, factors = backend.model, term_weights(weights, backend.names)
    layer = places(model.shapes, model.network.output_layer(len(model.shift)))

    def total(theta: np.ndarray) -> float:
        objective(theta)
        return float(factors @ objective.seen(theta).values)

    def gradient(values: np.ndarray) -> np.ndarray:
        changed = theta.copy()
        changed[layer] = values
        objective.count(1)
        _, gradients = backend.terms_and_gradients(changed)
        with np.errstate(all="ignore"):
            return factors @ gradients[:, layer].astype(float)

    before = total(theta)
    said = f"sum of weighted terms {before:.6g}"
    slope, *slopes = (gradient(values) for values in np.vstack([np.zeros(len(layer)), np.eye(len(layer))]))
    if not np.isfinite([slope, *slopes]).all():
        return theta, f"{said}: stays, for its gradients are not finite"
    found = theta.copy()
    found[layer] = -_pseudo_inverse(np.stack(slopes) - slope, cut) @ slope
    after = total(found)
    if not (np.isfinite(objective.seen(found).gradient_norms).all() and after < before):
        return theta, f"{said}: stays, for the minimiser's is {after:.6g}"
    return found, f"{said} -> {after:.6g}"


def _pseudo_inverse(matrix: np.ndarray, cut: float) -> np.ndarray:
    """Of the symmetric part, of which positive eigenvalues above ``cut`` times the largest count."""
    eigenvalues, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    kept = eigenvalues > max(cut * eigenvalues[-1], 0.0)
    return (vectors[:, kept] / eigenvalues[kept]) @ vectors[:, kept].T
