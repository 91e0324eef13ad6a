"""Loss and gradient as it is usually written: nested automatic differentiation of one big batch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.shapes import Shape
from solvers.model.networks.base import unflatten

__all__ = ["jax_loss_and_gradient", "torch_loss_and_gradient"]

Result = tuple[float, np.ndarray]


def torch_loss_and_gradient(shape: Shape, dtype: str) -> Callable[[], Result]:
    """Nested ``torch.autograd.grad``, whole batch."""
    import torch

    from solvers.backends.torch import OPS

    ops, real = OPS.plain, getattr(torch, dtype)
    model, names = shape.model, shape.problem.coordinates
    given = {name: torch.tensor(array, dtype=real) for name, array in model.constants(()).items()}
    theta = torch.tensor(shape.theta(dtype)).requires_grad_()
    data = [
        (p.equation, torch.tensor(p.points, dtype=real), torch.tensor(p.equation.target(p.points), dtype=real))
        for p in shape.collocation
    ]

    def mean_square(equation: Any, points: Any, target: Any, parameters: Any) -> Any:
        columns = [points[:, i].clone().requires_grad_() for i in range(points.shape[1])]
        found = {"": model.output(torch.stack(columns, 1), (), parameters, given, ops).value[:, 0]}
        for name in equation.derivatives:
            for i in range(len(name)):
                inner, along = name[:i], columns[names.index(name[i])]
                if name[: i + 1] not in found:
                    found[name[: i + 1]] = torch.autograd.grad(found[inner].sum(), along, create_graph=True)[0]
        return ((equation.apply(found, columns) - target) ** 2).mean()

    def call() -> Result:
        parameters = unflatten(theta, model.shapes)
        loss = sum(mean_square(*each, parameters) for each in data)
        return loss.item(), torch.autograd.grad(loss, theta)[0].numpy()

    return call


def jax_loss_and_gradient(shape: Shape, dtype: str) -> Callable[[], Result]:
    """``vmap`` of nested ``jax.grad``, whole batch, compiled."""
    import jax
    import jax.numpy as jnp

    from solvers.backends.jax import OPS

    model, names = shape.model, shape.problem.coordinates
    given = {name: jnp.asarray(array, dtype) for name, array in model.constants(()).items()}
    theta = jnp.asarray(shape.theta(dtype))
    arrays = [
        (jnp.asarray(p.points, dtype), jnp.asarray(p.equation.target(p.points), dtype)) for p in shape.collocation
    ]

    def value(parameters: Any, *coordinates: Any) -> Any:
        return model.output(jnp.stack(coordinates)[None], (), parameters, given, OPS).value[0, 0]

    def derivative(name: str) -> Callable:
        function = value
        for letter in name:
            function = jax.grad(function, argnums=1 + names.index(letter))
        return function

    def mean_square(equation: Any, points: Any, target: Any, parameters: Any) -> Any:
        columns = [points[:, i] for i in range(points.shape[1])]
        axes = (None,) + (0,) * len(columns)
        wanted = {"", *equation.derivatives}
        found = {name: jax.vmap(derivative(name), axes)(parameters, *columns) for name in wanted}
        return ((equation.apply(found, columns) - target) ** 2).mean()

    def loss(theta: Any, arrays: Any) -> Any:
        parameters = unflatten(theta, model.shapes)
        terms = [
            mean_square(p.equation, *each, parameters) for p, each in zip(shape.collocation, arrays, strict=True)
        ]
        return sum(terms)

    compiled = jax.jit(jax.value_and_grad(loss))

    def call() -> Result:
        found, gradient = compiled(theta, arrays)
        return float(found), np.asarray(gradient)

    return call
