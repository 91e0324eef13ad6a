"""What a network does between the points that it is trained on: its terms at fresh ones."""

from collections.abc import Mapping

import numpy as np

from problems.base import Equation
from solvers.backends.base import Backend
from solvers.balancing.base import TINY, is_residual
from solvers.model.jets import numpy_ops
from solvers.model.networks.base import unflatten
from solvers.model.terms import (
    CollocationPoints,
    Constraint,
    Model,
    build_terms,
    constraint_arrays,
    residuals,
)
from solvers.points.samplers.sobol import Sobol
from solvers.points.sampling import PointSource
from solvers.randomness import generator

__all__ = ["fresh_residual_ratio", "fresh_terms"]

CHUNK = 4096
FACE = 16
"""Points of the residual for each point of a face."""


def fresh_terms(backend: Backend, theta: np.ndarray, count: int) -> np.ndarray:
    """The terms (k,) at ``theta`` (P,) over points that no run trains on: ``count`` of the residual, a sixteenth
    as many on each face, from Sobol sequences that are the same for all runs.

    ``ValueError`` if the residual's points are grouped: fresh points belong to no group.
    """
    equations = _equations(backend)
    if any(name not in equations for name in backend.names):
        raise ValueError(f"terms {backend.names}: the groups of fresh points of the residual are not known")
    return np.array(
        [sum(_mean_square(backend, theta, *each, count) for each in equations[name]) for name in backend.names]
    )


def fresh_residual_ratio(backend: Backend, theta: np.ndarray, count: int) -> float:
    """The mean square of the residual at ``theta`` (P,) over ``count`` fresh points, divided by that over the
    points of the ``backend``, groups and all. Far above 1 it says that the network fits its points and not the
    equation. In NumPy and float64, so that a compiled backend compiles nothing for it."""
    model = backend.model
    parameters = unflatten(theta.astype(np.float64), model.shapes)
    ((place, equation),) = _equations(backend)["residual"]
    (fresh,) = build_terms([CollocationPoints("residual", equation, _points(equation, place, count))])
    own = [constraint for term in backend.terms if is_residual(term.name) for constraint in term.constraints]
    over, trained = (
        np.concatenate([_residuals(model, constraint, parameters) for constraint in constraints])
        for constraints in (fresh.constraints, own)
    )
    return float((over**2).mean()) / max(float((trained**2).mean()), TINY)


def _residuals(model: Model, constraint: Constraint, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    """Those (N,) at the points of a constraint, some thousand at a time."""
    constants = model.constants(constraint.layout)
    arrays = constraint_arrays(model, constraint)
    parts = [
        residuals(
            model, constraint, parameters, {k: v[i : i + CHUNK] for k, v in arrays.items()} | constants, numpy_ops
        )
        for i in range(0, len(constraint.points), CHUNK)
    ]
    return np.concatenate(parts)


def _equations(backend: Backend) -> dict[str, list[tuple[int, Equation]]]:
    """The equations of each term of the problem, each with its place among all."""
    found: dict[str, list[tuple[int, Equation]]] = {}
    for place, equation in enumerate(backend.terms[-1].constraints[0].equation.problem.equations):
        found.setdefault(equation.term, []).append((place, equation))
    return found


def _mean_square(backend: Backend, theta: np.ndarray, place: int, equation: Equation, count: int) -> float:
    residual = backend.residuals_at(theta, equation, _points(equation, place, count)).astype(float)
    return float((residual**2).mean())


def _points(equation: Equation, place: int, count: int) -> np.ndarray:
    """``count`` fresh points (N, d) of the residual, or a sixteenth as many on a face."""
    sampler = Sobol(max(1, count // FACE) if equation.where else count)
    return PointSource(equation, sampler, generator("fresh points", place, equation.term)).points()
