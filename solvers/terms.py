"""Loss terms: each a weighted sum of squares over points, from the equations of a problem.

A term is a sum of means, one for each face: point i of a face with N points has weight 1 / N. A block holds
the points of one term that share an operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.base import Equation, Problem
from solvers.jets import FUSED, Jet, Layout, Ops, channel_rows, coordinate_jet, layout_for
from solvers.networks.base import Network

__all__ = ["Block", "Model", "Term", "build_terms", "chunked", "weighted_squares"]


@dataclass(frozen=True)
class Block:
    """Points (N, d), target (N,) and weight (N,) of one term and operator, in float64."""

    equation: Equation
    layout: Layout
    fused: bool
    points: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    def mismatch(self, jet: Jet, points: Any, target: Any) -> Any:
        """operator(u) - target (N,), from the jet of u at ``points`` (N, d)."""
        named = jet.named()
        if not self.fused:
            columns = [points[:, i] for i in range(points.shape[1])]
            return self.equation.apply(named, columns) - target
        coefficient = self.equation.linear.get("", 0.0)
        mismatch = named.get(FUSED, 0.0) - target
        return mismatch if coefficient == 0.0 else coefficient * named[""] + mismatch


@dataclass(frozen=True)
class Term:
    """A named loss term."""

    name: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Model:
    """A network on the box ``lower``..``upper`` (d,), its inputs scaled to [-1, 1]."""

    network: Network
    lower: np.ndarray
    upper: np.ndarray

    @property
    def scale(self) -> np.ndarray:
        """Derivative of the scaled coordinates by the physical ones, (d,)."""
        return 2.0 / (self.upper - self.lower)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the trainable arrays."""
        return self.network.shapes(len(self.lower))

    def rows(self, layout: Layout) -> np.ndarray:
        """Input channels (C, d) of a layout."""
        return channel_rows(layout, self.scale)


def build_terms(problem: Problem, points: Mapping[int, np.ndarray], fuse: bool = True) -> tuple[Term, ...]:
    """The terms of ``problem`` over ``points``: for each position in ``problem.equations`` an array (N, d).

    With ``fuse`` an operator that is linear with constant coefficients travels as one channel.
    """
    terms = []
    for name in problem.terms:
        pieces = [(eq, points[i]) for i, eq in enumerate(problem.equations) if eq.term == name]
        operators = dict.fromkeys(equation.operator for equation, _ in pieces)
        blocks = [_block([p for p in pieces if p[0].operator is operator], fuse) for operator in operators]
        terms.append(Term(name, tuple(blocks)))
    return tuple(terms)


def _block(pieces: list[tuple[Equation, np.ndarray]], fuse: bool) -> Block:
    equation = pieces[0][0]
    linear = equation.linear if fuse else None
    layout = layout_for(equation.problem.coordinates, equation.derivatives, linear)
    return Block(
        equation=equation,
        layout=layout,
        fused=linear is not None,
        points=np.concatenate([points for _, points in pieces]),
        target=np.concatenate([eq.target(points) for eq, points in pieces]),
        weight=np.concatenate([np.full(len(points), 1.0 / len(points)) for _, points in pieces]),
    )


def chunked(block: Block, size: int | None) -> dict[str, np.ndarray]:
    """The block's arrays cut into equal chunks: points (c, n, d), target and weight (c, n).

    n is at most ``size`` (``None``: one chunk). The last chunk is filled up with points of weight zero.
    """
    total = len(block.points)
    chunks = 1 if size is None else -(-total // size)
    length = -(-total // chunks)
    missing = chunks * length - total
    return {
        "points": np.pad(block.points, ((0, missing), (0, 0)), mode="edge").reshape(chunks, length, -1),
        "target": np.pad(block.target, (0, missing), mode="edge").reshape(chunks, length),
        "weight": np.pad(block.weight, (0, missing)).reshape(chunks, length),
    }


def weighted_squares(
    model: Model, block: Block, parameters: Mapping[str, Any], chunk: Mapping[str, Any], ops: Ops
) -> Any:
    """sum_i w_i (operator(u)(x_i) - target_i)^2 over one chunk, in any array namespace.

    ``chunk`` holds points (n, d), target (n,), weight (n,), and the constants lower, scale (d,), rows (C, d).
    """
    inputs = coordinate_jet(chunk["points"], chunk["lower"], chunk["scale"], block.layout, chunk["rows"])
    output = model.network.forward(parameters, inputs, ops)
    mismatch = block.mismatch(output, chunk["points"], chunk["target"])
    return (chunk["weight"] * mismatch * mismatch).sum()
