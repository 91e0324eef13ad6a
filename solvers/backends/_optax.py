"""optax: the optimizers of JAX's own world, as :mod:`solvers.optimizers` calls them."""

from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from solvers.backends._lbfgs import LbfgsSettings, TracedObjective
from solvers.backends.base import SUMS, Array, Backend, Tree

__all__ = ["Adam", "lbfgs"]


class Adam:
    """``optax.scale_by_adam`` (Kingma and Ba 2015)."""

    def __init__(self, backend: Backend, beta1: float, beta2: float, epsilon: float) -> None:
        self._backend = backend
        self._transformation = optax.scale_by_adam(beta1, beta2, epsilon)

    def init(self, theta: Array) -> Tree:
        """Moments of zero for ``theta`` (P,)."""
        return self._transformation.init(theta)

    def update(self, theta: Array, direction: Array, memory: Tree, rate: Array) -> tuple[Array, Tree]:
        """One step against ``direction`` (P,) at a learning rate."""
        direction, memory = self._transformation.update(direction, memory)
        return theta - rate * direction, memory

    def export(self, memory: Tree) -> dict[str, np.ndarray]:
        """``count``, ``first`` and ``second`` moments in NumPy."""
        return {"count": np.array(memory.count), "first": np.array(memory.mu), "second": np.array(memory.nu)}

    def restore(self, theta: Array, kept: Mapping[str, np.ndarray]) -> Tree:
        """What :meth:`export` gave, as it was."""
        memory = self._transformation.init(theta)
        moments = self._backend.array({"mu": kept["first"], "nu": kept["second"]})
        return memory._replace(count=jnp.asarray(kept["count"], memory.count.dtype), **moments)


Compiled = Callable[[Array], tuple[Array, Array]]


def lbfgs(
    objective: TracedObjective, theta: np.ndarray, settings: LbfgsSettings
) -> Iterator[tuple[np.ndarray, int, int, str | None]]:
    """``optax.lbfgs`` with its zoom line search, a block of iterations compiled into one scan: after each block
    where it is, iterations and evaluations made, and why it stopped, if so.

    optax has no stop rule: SciPy's tests on the gradient and on the decrease are made after each block.
    """
    backend, block = objective.backend, settings.block
    solver = optax.lbfgs(
        memory_size=settings.history,
        linesearch=optax.scale_by_zoom_linesearch(max_linesearch_steps=settings.line_search_steps),
    )

    def steps(points: Tree, theta: Array, memory: Tree, state: Tree) -> Tree:
        def in_precision(theta: Array) -> tuple[Array, Array]:
            loss, gradient = objective.traced(points, theta.astype(backend.dtype), state)
            return loss.astype(backend.dtype), gradient  # optax keeps both in one

        function = _differentiable(in_precision)
        value_and_grad = optax.value_and_grad_from_state(function)

        def step(carry: Tree, _: None) -> tuple[Tree, Tree]:
            theta, memory = carry
            value, gradient = value_and_grad(theta, state=memory)
            direction, memory = solver.update(
                gradient, memory, theta, value=value, grad=gradient, value_fn=function
            )
            trials = optax.tree_utils.tree_get(memory, "info").num_linesearch_steps
            return (theta + direction, memory), (value, jnp.abs(gradient).max(), trials)

        return jax.lax.scan(step, (theta, memory), None, length=block)

    point, state = backend.array(theta), backend.array(objective.state, SUMS)
    memory, before = solver.init(point), np.inf
    program = ("optax lbfgs", objective.key, settings.history, settings.line_search_steps, block)
    while True:
        (point, memory), (values, slopes, trials) = backend.call(program, steps, point, memory, state)
        last = float(values[-1])
        stopped = _stop_reason(before, last, float(slopes[-1]), settings)
        yield np.asarray(point), block, int(trials.sum()), stopped
        if stopped:
            return
        before = last


def _differentiable(evaluate: Compiled) -> Callable[[Array], Array]:
    """The objective as a function that ``jax.grad`` differentiates by the chunked gradient.

    optax's line search steps in float64 wherever that is enabled; the objective stays in the run's precision.
    """

    @jax.custom_vjp
    def function(theta: Array) -> Array:
        return evaluate(theta)[0]

    def forward(theta: Array) -> tuple[Array, Array]:
        objective, gradient = evaluate(theta)
        return objective, gradient.astype(theta.dtype)

    function.defvjp(forward, lambda gradient, cotangent: ((cotangent * gradient).astype(gradient.dtype),))
    return function


def _stop_reason(before: float, value: float, slope: float, settings: LbfgsSettings) -> str | None:
    if not np.isfinite(value):
        return "non-finite"
    if slope <= settings.gtol:
        return "gradient"
    if np.isfinite(before) and before - value <= settings.ftol * max(abs(before), abs(value), 1.0):
        return "no-decrease"
    return None
