"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2025, arXiv 2409.11321, algorithm 3).

For physics-informed networks see Wang et al. 2025, arXiv 2502.00604.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.backends.base import SUMS, Array, Backend, Tree
from solvers.model.networks.base import parameter_count
from solvers.optimizers.adam import Adam
from solvers.optimizers.base import Memory, Transformation

__all__ = ["Soap"]

GAP = 1e-8
"""Part of the mean eigenvalue, times 1, ..., 1/a along the diagonal, that is added to a matrix (a, a) before its
eigenvectors are sought. Gradients of a layer have fewer independent rows or columns than that; the directions
without any would have the basis that rounding gives them, another in each framework. In float32, in which SOAP is
published, smaller eigenvalues are rounding."""


@dataclass(frozen=True)
class Soap(Adam):
    """For each weight matrix W (a, b) with gradient G, and Q_L and Q_R the eigenvectors of L and R, a step is

        L <- ``beta3`` L + (1 - ``beta3``) G G',    R <- ``beta3`` R + (1 - ``beta3``) G' G,
        G~ = Q_L' G Q_R,    m~ and v~ Adam's moments of G~ and of its squares,
        W <- W - rate (Q_L m~^ / (sqrt(v~^) + ``epsilon``) Q_R' + ``weight_decay`` W).

    ``beta3`` is ``beta2`` if it is not given. Biases, and weights that a balancing rule trains, move as in Adam.
    The first step of a stage finds the eigenvectors and moves nothing. After every ``refresh_every`` steps behind
    it the columns of Q_L are sorted by q' L q, v~ along with them, L Q_L is made orthogonal by a QR decomposition,
    and m~ is taken over into the new basis; so with Q_R. A side of more than ``largest`` rows has no basis of its
    own (the identity).

    The rate grows over ``warm_up`` steps. Default values are those used for physics-informed networks, but for
    their schedule of the rate (2,000 steps of warm-up, then ``decay_rate`` 0.9 every 2,000). The method's own
    paper has rate 3e-3, both betas 0.95, ``refresh_every`` 10 and ``weight_decay`` 0.01.

    All but the parameters is in float64. Both decompositions are computed at every step and used at some, since a
    compiled step has no branches: O(a^3 + b^3) for each matrix.
    """

    beta3: float | None = None
    refresh_every: int = 2
    weight_decay: float = 0.0
    largest: int = 10_000
    warm_up: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta3 is not None and not 0 <= self.beta3 < 1:
            raise ValueError(f"beta3 {self.beta3} must lie in [0, 1)")
        if self.refresh_every < 1 or self.largest < 1:
            raise ValueError(f"refresh_every {self.refresh_every} and largest {self.largest} must be at least 1")
        if self.weight_decay < 0 or self.warm_up < 0:
            raise ValueError(f"weight_decay {self.weight_decay} and warm_up {self.warm_up} must not be negative")

    @property
    def key(self) -> Hashable:
        """Rates and budget are arguments of a compiled step."""
        own = self.beta1, self.beta2, self.beta3, self.epsilon, self.refresh_every, self.weight_decay, self.largest
        return "soap", *own

    def schedule(self) -> np.ndarray:
        """The learning rate of every step, (iterations,)."""
        return super().schedule() * np.minimum(1.0, np.arange(1, self.iterations + 1) / max(1, self.warm_up))

    def transformation(self, backend: Backend) -> Transformation:
        """Over the array namespace."""
        return _Rotated(self, backend)

    def rotated(
        self, weights: Array, gradient: Array, memory: Mapping[str, Array], count: Array, rate: Any, xp: Any
    ) -> tuple[Array, dict[str, Array]]:
        """A step of one matrix (a, b) or vector (n,) after ``count`` (1,) others, and its memory; all float64."""
        found, begins = dict(memory), count == 0
        own, sides = gradient, [side for side in ("left", "right") if side in memory]
        for side in sides:
            own = _turned(own, memory[f"{side}.basis"], side)
        first = self.beta1 * memory["first"] + (1 - self.beta1) * own
        second = self.beta2 * memory["second"] + (1 - self.beta2) * own * own
        steps = xp.where(begins, xp.ones_like(count), count)
        move = first / (1 - self.beta1**steps) / (xp.sqrt(second / (1 - self.beta2**steps)) + self.epsilon)
        for side in sides:
            move = _turned(move, memory[f"{side}.basis"].T, side)
        moved = xp.where(begins, weights, weights - rate * (move + self.weight_decay * weights))
        found["first"] = xp.where(begins, memory["first"], first)
        found["second"] = xp.where(begins, memory["second"], second)
        for side in sides:
            found |= self._followed(found, gradient, side, count, xp)
        return moved, found

    def _followed(
        self, memory: Mapping[str, Array], gradient: Array, side: str, count: Array, xp: Any
    ) -> dict[str, Array]:
        """Matrix and basis of one side after a step, and the moments in the new basis."""
        beta = self.beta2 if self.beta3 is None else self.beta3
        product = gradient @ gradient.T if side == "left" else gradient.T @ gradient
        matrix, basis = beta * memory[side] + (1 - beta) * product, memory[f"{side}.basis"]
        distinct = _distinct(matrix, xp)
        size = xp.amax(xp.abs(distinct))
        distinct = distinct / xp.where(size > 0, size, xp.ones_like(size))
        order = xp.argsort(-((basis.T @ distinct) * basis.T).sum(1))
        followed, _ = xp.linalg.qr(distinct @ basis[:, order])
        begins, due = count == 0, (count > 0) & (count % self.refresh_every == 0)
        found = xp.where(begins, xp.flip(xp.linalg.eigh(distinct)[1], (1,)), xp.where(due, followed, basis))
        second, first = memory["second"], memory["first"]
        permuted = second[order] if side == "left" else second[:, order]
        again = _turned(_turned(first, basis.T, side), found, side)
        return {
            side: matrix,
            f"{side}.basis": found,
            "first": xp.where(due, again, first),
            "second": xp.where(due, permuted, second),
        }


def _turned(array: Array, basis: Array, side: str) -> Array:
    """Q' A or A Q."""
    return basis.T @ array if side == "left" else array @ basis


def _distinct(matrix: Array, xp: Any) -> Array:
    """The matrix (a, a) with the gaps of :data:`GAP` between eigenvalues that are zero."""
    size = len(matrix)
    ones = xp.ones_like(matrix[0])
    falling = 1 - (xp.cumsum(ones, 0) - 1) / size
    trace = xp.diagonal(matrix).sum()
    return matrix + GAP * trace / size * xp.diag(falling)


def _by_rows(array: Array) -> Array:
    """In the order in memory in which a checkpoint gives it back: the last bits of products depend on it."""
    return array.reshape(-1).reshape(array.shape)


@dataclass(frozen=True)
class _Rotated:
    """The memory by name and part: ``first`` and ``second`` moments in the basis; for each side of a matrix that
    has one, L or R and its ``basis``; the ``count`` of steps (1,)."""

    optimizer: Soap
    backend: Backend

    def _parts(self, flat: Array) -> dict[str, Array]:
        """The trained arrays by name; what a rule trains beside them is the last."""
        parts, start = {}, 0
        for name, shape in self.backend.model.shapes.items():
            stop = start + parameter_count({name: shape})
            parts[name] = flat[start:stop].reshape(shape)
            start = stop
        return parts | ({"beside": flat[start:]} if start < len(flat) else {})

    def init(self, theta: Array) -> Tree:
        xp = self.backend.xp
        memory = {"count": xp.zeros_like(theta[:1], dtype=xp.float64)}
        for name, part in self._parts(theta).items():
            zeros = xp.zeros_like(part, dtype=xp.float64)
            own = {"first": zeros, "second": zeros}
            if part.ndim == 2:
                for side, size in zip(("left", "right"), part.shape, strict=True):
                    if size <= self.optimizer.largest:
                        own |= {side: self._float64(np.zeros((size, size)))}
                        own |= {f"{side}.basis": self._float64(np.eye(size))}
            memory |= {f"{name}:{key}": array for key, array in own.items()}
        return memory

    def update(self, theta: Array, direction: Array, memory: Tree, inputs: Any) -> tuple[Array, Tree]:
        xp, count = self.backend.xp, memory["count"]
        gradients, moved, after = self._parts(direction), [], {"count": count + 1}
        for name, part in self._parts(theta).items():
            own = {key.partition(":")[2]: a for key, a in memory.items() if key.startswith(f"{name}:")}
            weights, gradient = (xp.asarray(array, dtype=xp.float64) for array in (part, gradients[name]))
            new, kept = self.optimizer.rotated(weights, gradient, own, count, inputs, xp)
            moved.append(new.reshape(-1))
            after |= {f"{name}:{key}": _by_rows(array) for key, array in kept.items()}
        return xp.asarray(xp.concatenate(moved), dtype=theta.dtype), after

    def export(self, memory: Tree) -> dict[str, np.ndarray]:
        return self.backend.numpy(memory)

    def restore(self, theta: Array, kept: Memory) -> Tree:
        return self._float64(dict(kept))

    def _float64(self, tree: Tree) -> Tree:
        return self.backend.array(tree, SUMS)
