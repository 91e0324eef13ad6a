"""JAX backend: one compiled sweep over cache-sized chunks of points, one compiled scan of Adam steps."""

import os
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several runs may share one GPU

import jax
import jax.numpy as jnp
import numpy as np
import optax

from solvers.backends.base import AdamOptions, Backend, Evaluation, LbfgsOptions, LbfgsStep, Trace
from solvers.jets import Ops
from solvers.networks.base import unflatten
from solvers.terms import block_arrays, chunked, weighted_squares

jax.config.update("jax_enable_x64", True)  # float64 on request; every array here states its own precision
jax.config.update("jax_default_matmul_precision", "highest")  # no silent TF32 on GPUs

__all__ = ["JaxBackend"]

OPS = Ops(
    tanh=jnp.tanh,
    sin=jnp.sin,
    cos=jnp.cos,
    affine=lambda x, w, b: x @ w + b,
    join=lambda arrays: jnp.concatenate(arrays, axis=-1),
    widen=lambda array, rows: jnp.broadcast_to(array, (rows, array.shape[1])),
)
PREDICTED_AT_ONCE = 8192
Tree = Any


class JaxBackend(Backend):
    """Terms and gradients with ``jax.value_and_grad`` over jets, chunk by chunk in ``lax.scan``."""

    chunk_size = 500

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._executables: dict[Any, Any] = {}
        size = self.chunk_size if jax.default_backend() == "cpu" else None
        self._data = [
            [
                (self._arrays(chunked(block_arrays(self.model, block), size)), self._constants(block.layout))
                for block in term.blocks
            ]
            for term in self.terms
        ]

    def _arrays(self, arrays: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        return {name: jnp.asarray(array, self.dtype) for name, array in arrays.items()}

    def _constants(self, layout: Any) -> dict[str, jax.Array]:
        return self._arrays(self.model.constants(layout))

    def _run(self, name: str, function: Callable, *arguments: Tree) -> Tree:
        """Call ``function`` compiled ahead of time for these shapes; compiling counts as phase ``compile``."""
        key = (name, tuple((leaf.shape, leaf.dtype.name) for leaf in jax.tree.leaves(arguments)))
        if key not in self._executables:
            with self.stopwatch.phase("compile"):
                self._executables[key] = jax.jit(function).lower(*arguments).compile()
        return jax.block_until_ready(self._executables[key](*arguments))

    def _cast(self, array: np.ndarray) -> jax.Array:
        return jnp.asarray(array, self.dtype)

    def _terms_and_gradients(self, theta: jax.Array, data: Tree) -> tuple[jax.Array, jax.Array]:
        parameters = unflatten(theta, self.model.shapes)
        results = [
            self._term(term.blocks, parameters, arrays) for term, arrays in zip(self.terms, data, strict=True)
        ]
        values, gradients = zip(*results, strict=True)
        flat = [jnp.concatenate([jnp.ravel(g[name]) for name in self.model.shapes]) for g in gradients]
        return jnp.stack(values), jnp.stack(flat)

    def _term(self, blocks: Any, parameters: Tree, arrays: Tree) -> tuple[jax.Array, Tree]:
        total = jnp.zeros((), self.dtype), jax.tree.map(jnp.zeros_like, parameters)
        for block, (chunks, constants) in zip(blocks, arrays, strict=True):

            def sweep(total: Tree, chunk: Tree, block: Any = block, constants: Tree = constants) -> Any:
                loss = jax.value_and_grad(weighted_squares, argnums=2)
                one = loss(self.model, block, parameters, chunk | constants, OPS)
                return jax.tree.map(jnp.add, total, one), None

            total, _ = jax.lax.scan(sweep, total, chunks)
        return total

    def _objective(self, theta: jax.Array, coefficients: jax.Array, data: Tree) -> tuple[Trace, jax.Array]:
        values, gradients = self._terms_and_gradients(theta, data)
        objective, weights = self.balancing.combine(values, coefficients)
        norms = _norms(gradients)
        return (objective, values, weights, norms), weights @ gradients

    def terms_and_gradients(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Term values (k,) and their gradients (k, P)."""
        values, gradients = self._run("terms", self._terms_and_gradients, self._cast(theta), self._data)
        return np.asarray(values), np.asarray(gradients)

    def evaluate(self, theta: np.ndarray, coefficients: np.ndarray) -> Evaluation:
        """Terms, objective and gradient at ``theta``."""
        (objective, values, weights, norms), gradient = self._run(
            "objective", self._objective, self._cast(theta), self._cast(coefficients), self._data
        )
        return Evaluation(
            np.asarray(values), float(objective), np.asarray(weights), np.asarray(gradient), np.asarray(norms)
        )

    def _predict(self, theta: jax.Array, points: jax.Array, constants: Tree) -> jax.Array:
        return self.model.output(points, (), unflatten(theta, self.model.shapes), constants, OPS).value[:, 0]

    def predict(self, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
        """u at ``points`` (N, d): (N,)."""
        parameters, constants = self._cast(theta), self._constants(())
        length = min(PREDICTED_AT_ONCE, len(points))
        predicted = []
        for start in range(0, len(points), length):
            part = points[start : start + length]
            padded = np.pad(part, ((0, length - len(part)), (0, 0)), mode="edge")
            values = self._run("predict", self._predict, parameters, self._cast(padded), constants)
            predicted.append(np.asarray(values)[: len(part)])
        return self.model.solution(np.concatenate(predicted), points)

    def start_adam(self, theta: np.ndarray, options: AdamOptions) -> Any:
        """Parameters, optax state and the transformation itself."""
        adam = optax.scale_by_adam(options.beta1, options.beta2, options.epsilon)
        parameters = self._cast(theta)
        return parameters, adam.init(parameters), adam, options

    def adam_steps(self, state: Any, rates: np.ndarray, coefficients: np.ndarray) -> tuple[Any, Trace]:
        """One compiled ``lax.scan`` over the steps."""
        theta, memory, adam, options = state

        def steps(theta: Tree, memory: Tree, rates: Tree, coefficients: Tree, data: Tree) -> Tree:
            def step(carry: Tree, rate: jax.Array) -> tuple[Tree, Tree]:
                theta, memory = carry
                seen, gradient = self._objective(theta, coefficients, data)
                direction, memory = adam.update(gradient, memory)
                return (theta - rate * direction, memory), seen

            return jax.lax.scan(step, (theta, memory), rates)

        (theta, memory), seen = self._run(
            f"adam {options}",
            steps,
            theta,
            memory,
            self._cast(rates),
            self._cast(coefficients),
            self._data,
        )
        return (theta, memory, adam, options), Trace(*(np.asarray(array) for array in seen))

    def adam_theta(self, state: Any) -> np.ndarray:
        """The parameters (P,) of an Adam state."""
        return np.asarray(state[0])

    def native_lbfgs(
        self, theta: np.ndarray, coefficients: np.ndarray, options: LbfgsOptions, block: int
    ) -> Iterator[LbfgsStep]:
        """``optax.lbfgs`` with its zoom line search, ``block`` iterations compiled into one scan.

        optax has no stop rule: SciPy's tests on the gradient and on the decrease are made after each block.
        """
        solver = optax.lbfgs(
            memory_size=options.history,
            linesearch=optax.scale_by_zoom_linesearch(max_linesearch_steps=options.line_search_steps),
        )

        def steps(theta: Tree, memory: Tree, coefficients: Tree, data: Tree) -> Tree:
            function = self._differentiable(coefficients, data)
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

        point, coefficients = self._cast(theta), self._cast(coefficients)
        memory, before = solver.init(point), np.inf
        while True:
            (point, memory), (values, slopes, trials) = self._run(
                f"lbfgs {options} {block}", steps, point, memory, coefficients, self._data
            )
            last = float(values[-1])
            stopped = _stop_reason(before, last, float(slopes[-1]), options)
            yield LbfgsStep(np.asarray(point), block, int(trials.sum()), stopped)
            if stopped:
                return
            before = last

    def _differentiable(self, coefficients: jax.Array, data: Tree) -> Callable[[jax.Array], jax.Array]:
        """The objective as a function that ``jax.grad`` differentiates by the chunked gradient.

        optax's line search steps in float64 wherever that is enabled; the objective stays in the run's precision.
        """

        @jax.custom_vjp
        def function(theta: jax.Array) -> jax.Array:
            return self._objective(theta.astype(self.dtype), coefficients, data)[0][0]

        def forward(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
            (objective, *_), gradient = self._objective(theta.astype(self.dtype), coefficients, data)
            return objective, gradient.astype(theta.dtype)

        function.defvjp(forward, lambda gradient, cotangent: (cotangent * gradient,))
        return function

    @property
    def description(self) -> dict[str, str]:
        """Versions of JAX and optax, and the device."""
        device = jax.devices()[0]
        return {"jax": jax.__version__, "optax": optax.__version__, "device": device.device_kind}


def _norms(gradients: jax.Array) -> jax.Array:
    """Euclidean norms of the rows; scaled first, for squares of 1e20 leave float32."""
    largest = jnp.abs(gradients).max(axis=1)
    scaled = gradients / jnp.where(largest > 0, largest, 1)[:, None]
    return largest * jnp.sqrt((scaled**2).sum(axis=1))


def _stop_reason(before: float, value: float, slope: float, options: LbfgsOptions) -> str | None:
    if not np.isfinite(value):
        return "non-finite"
    if slope <= options.gtol:
        return "gradient"
    if np.isfinite(before) and before - value <= options.ftol * max(abs(before), abs(value), 1.0):
        return "no-decrease"
    return None
