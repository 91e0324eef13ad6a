"""Loss terms: each a weighted sum of squares over points, from the equations of a problem.

A term is a sum of means, one for each face: point i of a face with N points has weight 1 / N. A (soft)
constraint holds the points of one term that share an operator.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from problems.base import Equation
from solvers.model.jets import FUSED, Jet, Layout, Ops, channel_rows, coordinate_jet, layout_for
from solvers.model.networks.base import Network
from solvers.model.trial import HardConstraint

__all__ = [
    "INPUTS",
    "CollocationPoints",
    "Constraint",
    "Model",
    "Term",
    "build_terms",
    "chunked",
    "constraint_arrays",
    "residuals",
    "weighted_squares",
]


@dataclass(frozen=True)
class Constraint:
    """Points (N, d), target (N,) and weight (N,) of one term and operator, in float64; ``sizes`` are the numbers
    of points of its faces, which follow each other. Of periodic conditions ``across`` (N, d) are the points of
    the opposite faces."""

    equation: Equation
    layout: Layout
    fused: bool
    points: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    sizes: tuple[int, ...]
    across: np.ndarray | None = None

    def mismatch(self, jet: Jet, points: Any, target: Any) -> Any:
        """operator(u) - target (N,), from the jet of u at ``points`` (N, d)."""
        named, linear = jet.named(), self.equation.linear
        if not self.fused or linear is None:
            columns = [points[:, i] for i in range(points.shape[1])]
            return self.equation.apply(named, columns) - target
        coefficient = linear.get("", 0.0)
        mismatch = named.get(FUSED, 0.0) - target
        return mismatch if coefficient == 0.0 else coefficient * named[""] + mismatch


@dataclass(frozen=True)
class Term:
    """A named loss term."""

    name: str
    constraints: tuple[Constraint, ...]

    @property
    def size(self) -> int:
        """Number of points."""
        return sum(len(constraint.points) for constraint in self.constraints)


INPUTS: Mapping[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "interval": lambda lower, upper: ((lower + upper) / 2, 2 / (upper - lower)),
    "standard": lambda lower, upper: ((lower + upper) / 2, np.sqrt(12) / (upper - lower)),
    "raw": lambda lower, upper: (np.zeros_like(lower), np.ones_like(upper)),
}
"""Scalings of the coordinates, as (shift, scale): to [-1, 1]; to mean 0 and standard deviation 1 of the uniform
distribution on the domain; none."""


@dataclass(frozen=True)
class Model:
    """A network of the scaled coordinates ``scale (X - shift)``, with its frozen arrays, in a trial function."""

    network: Network
    shift: np.ndarray
    scale: np.ndarray
    frozen: Mapping[str, np.ndarray] = field(default_factory=dict)
    trial: HardConstraint | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the trainable arrays."""
        return self.network.shapes(len(self.shift))

    @property
    def matrices(self) -> list[slice]:
        """Where the weight matrices of the layers stand in the flat parameter vector; encoders do not count."""
        shapes = self.shapes
        ends = dict(zip(shapes, np.cumsum([np.prod(shape) for shape in shapes.values()]), strict=True))
        names = self.network.layer_weights(len(self.shift))
        return [slice(int(ends[name] - np.prod(shapes[name])), int(ends[name])) for name in names]

    def constants(self, layout: Layout) -> dict[str, np.ndarray]:
        """What evaluating needs besides points and parameters: ``shift``, ``scale`` (d,), ``rows`` (C, d), and
        the frozen arrays by name."""
        rows = channel_rows(layout, self.scale)
        return {"shift": self.shift, "scale": self.scale, "rows": rows, **self.frozen}

    def at_points(self, points: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
        """Arrays (N, 1 + C) that the trial function needs at ``points`` (N, d)."""
        return self.trial.arrays(points, layout) if self.trial else {}

    def features(self, points: Any, layout: Layout, given: Mapping[str, Any], ops: Ops) -> tuple[Jet, ...]:
        """What the network makes of ``points`` (n, d) whatever its parameters are; ``given`` holds
        :meth:`constants` as arrays of ``ops``."""
        inputs = coordinate_jet(points, given["shift"], given["scale"], layout, given["rows"])
        return self.network.features({name: given[name] for name in self.frozen}, inputs, ops)

    def output(
        self, points: Any, layout: Layout, parameters: Mapping[str, Any], given: Mapping[str, Any], ops: Ops
    ) -> Jet:
        """The jet of the network's output N (n, 1); ``given`` as in :meth:`features`, or with the ``features`` of
        these points, computed before."""
        features = given["features"] if "features" in given else self.features(points, layout, given, ops)
        return self.network.forward(parameters, features, layout, ops)

    def solution(self, network: np.ndarray, points: np.ndarray) -> np.ndarray:
        """u (N,) from the network's values (N,) at ``points`` (N, d)."""
        return self.trial.value(network, points) if self.trial else network


@dataclass(frozen=True)
class CollocationPoints:
    """The points (N, d) of one equation that count towards one term."""

    term: str
    equation: Equation
    points: np.ndarray


def build_terms(collocation: Sequence[CollocationPoints], fuse: bool = True) -> tuple[Term, ...]:
    """The terms over all collocation points, in the order in which they first appear.

    With ``fuse`` an operator that is linear with constant coefficients travels as one channel.
    """
    terms = []
    for name in dict.fromkeys(group.term for group in collocation):
        own = [group for group in collocation if group.term == name]
        kinds = dict.fromkeys(_kind(group.equation) for group in own)
        constraints = [_constraint([p for p in own if _kind(p.equation) == kind], fuse) for kind in kinds]
        terms.append(Term(name, tuple(constraints)))
    return tuple(terms)


def _kind(equation: Equation) -> tuple[Callable[..., Any], bool]:
    """Equations of one term with equal kinds make one constraint."""
    return equation.operator, equation.opposite is not None


def _constraint(collocation: Sequence[CollocationPoints], fuse: bool) -> Constraint:
    equation = collocation[0].equation
    periodic = equation.opposite is not None
    linear = equation.linear if fuse else None
    layout = layout_for(equation.problem.coordinates, equation.derivatives, linear)
    return Constraint(
        equation=equation,
        layout=layout,
        fused=linear is not None,
        points=np.concatenate([group.points for group in collocation]),
        target=np.concatenate([group.equation.target(group.points) for group in collocation]),
        weight=np.concatenate([np.full(len(group.points), 1.0 / len(group.points)) for group in collocation]),
        sizes=tuple(len(group.points) for group in collocation),
        across=np.concatenate([g.equation.across(g.points) for g in collocation]) if periodic else None,
    )


ACROSS = "across."
"""What stands before the names of arrays of the opposite faces' points."""


def constraint_arrays(model: Model, constraint: Constraint) -> dict[str, np.ndarray]:
    """All arrays of a constraint with a row a point: points, target, weight, and what the trial function needs;
    of periodic conditions those of the points across, too."""
    own = {"points": constraint.points, "target": constraint.target, "weight": constraint.weight}
    own |= model.at_points(constraint.points, constraint.layout)
    if constraint.across is None:
        return own
    other = {"points": constraint.across} | model.at_points(constraint.across, constraint.layout)
    return own | {ACROSS + name: array for name, array in other.items()}


def chunked(arrays: Mapping[str, np.ndarray], size: int | None, axis: int = 0) -> dict[str, np.ndarray]:
    """:func:`constraint_arrays` cut into equal chunks: points (c, n, d), target and weight (c, n), ...

    n is at most ``size`` (``None``: one chunk). The last chunk is filled up with points of weight zero. ``axis``
    is that of the points; axes before it stay.
    """
    total = arrays["points"].shape[axis]
    chunks = 1 if size is None else -(-total // size)
    length = -(-total // chunks)
    missing = chunks * length - total

    def cut(name: str, array: np.ndarray) -> np.ndarray:
        padding = [(0, missing if i == axis else 0) for i in range(array.ndim)]
        padded = np.pad(array, padding) if name == "weight" else np.pad(array, padding, mode="edge")
        return padded.reshape(*array.shape[:axis], chunks, length, *array.shape[axis + 1 :])

    return {name: cut(name, array) for name, array in arrays.items()}


def residuals(
    model: Model, constraint: Constraint, parameters: Mapping[str, Any], chunk: Mapping[str, Any], ops: Ops
) -> Any:
    """r_i = operator(u)(x_i) - target_i (n,) at the points of one chunk, in any array namespace; of periodic
    conditions less operator(u) at the points across.

    ``chunk`` holds one chunk of :func:`chunked`, the model's constants for the constraint's layout and, where
    there are such, the points' ``features``.
    """
    found = _mismatch(model, constraint, parameters, chunk, chunk["target"], ops)
    if constraint.across is None:
        return found
    # Features that are kept are those of the points, and are computed anew across.
    other = {name: array for name, array in chunk.items() if name != "features"}
    other |= {n.removeprefix(ACROSS): array for n, array in chunk.items() if n.startswith(ACROSS)}
    return found - _mismatch(model, constraint, parameters, other, 0.0, ops)


def _mismatch(
    model: Model,
    constraint: Constraint,
    parameters: Mapping[str, Any],
    chunk: Mapping[str, Any],
    target: Any,
    ops: Ops,
) -> Any:
    """operator(u) - ``target`` (n,) at the points of one chunk."""
    jet = model.output(chunk["points"], constraint.layout, parameters, chunk, ops)
    if model.trial:
        jet = model.trial.jet(jet, chunk, ops)
    return constraint.mismatch(jet, chunk["points"], target)


def weighted_squares(
    model: Model, constraint: Constraint, parameters: Mapping[str, Any], chunk: Mapping[str, Any], ops: Ops
) -> tuple[Any, Any]:
    """sum_i w_i (lambda_i r_i)^2 over one chunk, in float64 whatever the precision of the network, and the r_i
    (n,) of :func:`residuals`; ``chunk`` may hold the multipliers lambda (n,) of a balancing rule, too."""
    found = residuals(model, constraint, parameters, chunk, ops)
    return ops.total(_multiplied(chunk) * (found * found)), found


def _multiplied(chunk: Mapping[str, Any]) -> Any:
    return chunk["weight"] * chunk["multiplier"] ** 2 if "multiplier" in chunk else chunk["weight"]
