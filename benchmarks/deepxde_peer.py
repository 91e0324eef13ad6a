"""Loss and gradient by DeepXDE (1.15) of the same problem, network, points and parameters.

DeepXDE's backend is fixed when it is imported: ``DDE_BACKEND`` must be set to ``pytorch`` or ``jax``.
DeepXDE evaluates the residual's derivatives at the points of the conditions too, and drops them. In torch it has
the benefit of our allocator's settings, which are of the whole process: alone it takes about a quarter longer.
"""

import contextlib
import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.shapes import Shape

__all__ = ["deepxde_model", "loss_and_gradient"]

Result = tuple[float, np.ndarray]


def loss_and_gradient(shape: Shape, dtype: str) -> Callable[[], Result]:
    """The loss is the plain sum of the terms, the gradient that by the flat parameter vector."""
    model, net = deepxde_model(shape, dtype, shape.theta(dtype))
    x, y, aux = model.data.train_next_batch()
    if os.environ["DDE_BACKEND"] == "pytorch":
        return _torch_call(model, net, x, y, aux)
    return _jax_call(shape, dtype, model, x, y)


def deepxde_model(shape: Shape, dtype: str, theta: np.ndarray) -> tuple[Any, Any]:
    """DeepXDE's model, compiled with Adam at 1e-3, and its network, which starts at ``theta`` in torch."""
    backend = os.environ["DDE_BACKEND"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import deepxde as dde

        dde.config.set_default_float(dtype)
    *conditions, residual = shape.collocation
    first = sum(len(group.points) for group in conditions)
    target = residual.equation.target(residual.points)
    forcing = np.concatenate([np.zeros(first), target])[:, None].astype(dtype)
    net = _torch_net(shape, theta) if backend == "pytorch" else _jax_net(shape)
    if backend == "pytorch":
        import torch

        forcing = torch.tensor(forcing)
    names = shape.problem.coordinates

    def pde(x: Any, y: Any) -> Any:
        def find(name: str) -> Any:
            if not name:
                return y[0] if backend == "jax" else y
            places = [names.index(letter) for letter in name]
            if len(places) == 1:
                found = dde.grad.jacobian(y, x, i=0, j=places[0])
            else:
                found = dde.grad.hessian(y, x, i=places[0], j=places[1])
            return found[0] if backend == "jax" else found

        derivatives = {name: find(name) for name in residual.equation.derivatives}
        return residual.equation.apply(derivatives, [x[:, i : i + 1] for i in range(len(names))]) - forcing

    values = [p.equation.target(p.points)[:, None].astype(dtype) for p in conditions]
    sets = [dde.icbc.PointSetBC(p.points.astype(dtype), v) for p, v in zip(conditions, values, strict=True)]
    wide = dde.geometry.Rectangle(shape.problem.lower - 1e-3, shape.problem.upper + 1e-3)
    data = dde.data.PDE(wide, pde, sets, num_domain=0, num_boundary=0, anchors=residual.points.astype(dtype))
    with contextlib.redirect_stdout(io.StringIO()):
        model = dde.Model(data, net)
        model.compile("adam", lr=1e-3)
    return model, net


def _torch_net(shape: Shape, theta: np.ndarray) -> Any:
    import deepxde as dde
    import torch

    from solvers.backends.torch import OPS
    from solvers.model.networks.base import unflatten

    ops = OPS.plain
    start = torch.tensor(theta)
    given = {n: torch.tensor(a, dtype=start.dtype) for n, a in shape.model.constants(()).items()}

    class Net(dde.nn.NN):
        def __init__(self) -> None:
            super().__init__()
            arrays = unflatten(start, shape.model.shapes)
            self.names = list(arrays)
            self.own = torch.nn.ParameterList([torch.nn.Parameter(array.clone()) for array in arrays.values()])

        def forward(self, x: Any) -> Any:
            parameters = dict(zip(self.names, self.own, strict=True))
            return shape.model.output(x, (), parameters, given, ops).value

    return Net()


def _torch_call(model: Any, net: Any, x: Any, y: Any, aux: Any) -> Callable[[], Result]:
    import torch

    def call() -> Result:
        loss = model.outputs_losses_train(x, y, aux)[1].sum()
        gradients = torch.autograd.grad(loss, list(net.own))
        return loss.item(), torch.cat([g.reshape(-1) for g in gradients]).numpy()

    return call


def _jax_net(shape: Shape) -> Any:
    import deepxde as dde
    import flax.linen
    import jax.numpy as jnp

    from solvers.backends.jax import OPS

    class Net(dde.nn.NN):
        regularizer: Any = None

        @flax.linen.compact
        def __call__(self, x: Any, training: bool = False) -> Any:
            real = x.dtype
            parameters = {
                name: self.param(name.replace(".", "_"), lambda key, s=size: jnp.zeros(s, real))
                for name, size in shape.model.shapes.items()
            }
            given = {name: jnp.asarray(array, real) for name, array in shape.model.constants(()).items()}
            found = shape.model.output(jnp.atleast_2d(x), (), parameters, given, OPS).value
            return found[0] if x.ndim == 1 else found

    return Net()


def _jax_call(shape: Shape, dtype: str, model: Any, x: Any, y: Any) -> Callable[[], Result]:
    import jax
    import jax.numpy as jnp

    from solvers.model.networks.base import unflatten

    arrays = unflatten(jnp.asarray(shape.theta(dtype)), shape.model.shapes)
    parameters = {"params": {name.replace(".", "_"): array for name, array in arrays.items()}}
    x = jnp.asarray(x)
    compiled = jax.jit(
        jax.value_and_grad(lambda p, x: jnp.sum(jnp.stack(model.outputs_losses_train([p, []], x, y)[1])))
    )

    def call() -> Result:
        loss, gradient = compiled(parameters, x)
        flat = [np.ravel(gradient["params"][name.replace(".", "_")]) for name in shape.model.shapes]
        return float(loss), np.concatenate(flat)

    return call
