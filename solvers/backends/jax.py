"""JAX backend: one compiled sweep over cache-sized chunks of points, one compiled scan of Adam steps.

Compiled programs are kept on disk and shared by all runs on one kind of processor.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several runs may share one GPU

import jax
import jax.numpy as jnp
import numpy as np
import optax

from solvers.backends._cache import cache_folder
from solvers.backends.base import (
    FEATURES_AT_MOST,
    AdamOptions,
    Backend,
    Batches,
    Evaluation,
    LbfgsOptions,
    LbfgsStep,
    Trace,
)
from solvers.jets import Jet, Ops
from solvers.networks.base import unflatten
from solvers.terms import block_arrays, multiplier_slopes, weighted_squares

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
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
STEPS_AT_ONCE = 128
jax.tree_util.register_dataclass(Jet, data_fields=["value", "parts"], meta_fields=["layout"])
Tree = Any


class JaxBackend(Backend):
    """Terms and gradients with ``jax.value_and_grad`` over jets, chunk by chunk in ``lax.scan``."""

    chunk_size = 500

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._executables: dict[Any, Any] = {}
        self._data = [
            [
                (
                    self._arrays(self.cut(block, block_arrays(self.model, block))),
                    self._constants(block.layout),
                )
                for block in term.blocks
            ]
            for term in self.terms
        ]
        if self.model.frozen:
            self._keep_features()

    @property
    def on_cpu(self) -> bool:
        """Whether points are swept in chunks."""
        return jax.default_backend() == "cpu"

    def _keep_features(self) -> None:
        """Put the features of all points beside them, unless they are too many."""
        layouts = [[block.layout for block in term.blocks] for term in self.terms]

        def features(data: Tree) -> Tree:
            def of_block(layout: Any, chunks: Tree, constants: Tree) -> Tree:
                def of_chunk(points: jax.Array) -> tuple[Jet, ...]:
                    return self.model.features(points, layout, constants, OPS)

                return jax.lax.map(of_chunk, chunks["points"])

            return [[of_block(layout, *own) for layout, own in _pairs(*both)] for both in _pairs(layouts, data)]

        shapes = jax.tree.leaves(jax.eval_shape(features, self._data))
        if sum(each.size * each.dtype.itemsize for each in shapes) <= FEATURES_AT_MOST:
            kept = self._run("features", features, self._data)
            self._data = [
                [(chunks | {"features": jets}, constants) for (chunks, constants), jets in _pairs(*both)]
                for both in _pairs(self._data, kept)
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

    def _term(self, blocks: Any, parameters: Tree, arrays: Tree) -> tuple[Tree, list[jax.Array]]:
        """Sums over the points: the term with its multipliers, its gradient, and the term without them; and by
        block its slopes along the multipliers."""
        zero = jnp.zeros((), self.dtype)
        total, slopes = (zero, jax.tree.map(jnp.zeros_like, parameters), zero), []
        for block, (chunks, constants) in zip(blocks, arrays, strict=True):

            def sweep(total: Tree, chunk: Tree, block: Any = block, constants: Tree = constants) -> Any:
                loss = jax.value_and_grad(weighted_squares, argnums=2, has_aux=True)
                (value, squares), gradient = loss(self.model, block, parameters, chunk | constants, OPS)
                one = value, gradient, (chunk["weight"] * squares).sum()
                slope = multiplier_slopes(chunk, squares) if "multiplier" in chunk else None
                return jax.tree.map(jnp.add, total, one), slope

            total, slope = jax.lax.scan(sweep, total, chunks)
            slopes.append(slope)
        return total, slopes

    def _terms(self, theta: jax.Array, data: Tree) -> tuple[jax.Array, jax.Array, jax.Array, Any]:
        """Term values (k,), gradients (k, P), values without multipliers (k,), slopes by term and block."""
        parameters = unflatten(theta, self.model.shapes)
        results = [
            self._term(term.blocks, parameters, arrays) for term, arrays in zip(self.terms, data, strict=True)
        ]
        totals, slopes = zip(*results, strict=True)
        values, gradients, raw = zip(*totals, strict=True)
        flat = [jnp.concatenate([jnp.ravel(g[name]) for name in self.model.shapes]) for g in gradients]
        return jnp.stack(values), jnp.stack(flat), jnp.stack(raw), slopes

    def _with_multipliers(self, data: Tree, coefficients: jax.Array) -> Tree:
        """``data`` with the multipliers of a pointwise rule cut as the points are."""

        def add(i: int, j: int, chunks: Tree) -> Tree:
            if (i, j) not in self.multipliers:
                return chunks
            own, shape = coefficients[self.multipliers[i, j]], chunks["weight"].shape
            padded = jnp.pad(own, (0, shape[0] * shape[1] - len(own)))
            return chunks | {"multiplier": padded.reshape(shape)}

        return [
            [(add(i, j, chunks), constants) for j, (chunks, constants) in enumerate(term)]
            for i, term in enumerate(data)
        ]

    def _objective(
        self, theta: jax.Array, coefficients: jax.Array, data: Tree
    ) -> tuple[Tree, jax.Array, jax.Array]:
        """What a :class:`Trace` holds, the gradient (P,), and the derivatives by pointwise multipliers."""
        values, gradients, raw, slopes = self._terms(theta, self._with_multipliers(data, coefficients))
        objective, weights = self.balancing.combine(values, coefficients)
        ascent = [
            weights[i] * slopes[i][j].reshape(-1)[: place.stop - place.start]
            for (i, j), place in self.multipliers.items()
        ]
        seen = (objective, *self.weighed(values, raw, weights, _norms(gradients)))
        return seen, weights @ gradients, jnp.concatenate([*ascent, jnp.zeros(0, self.dtype)])

    def _terms_and_gradients(self, theta: jax.Array, data: Tree) -> tuple[jax.Array, jax.Array]:
        return self._terms(theta, data)[:2]

    def terms_and_gradients(
        self, theta: np.ndarray, batch: Batches | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Term values (k,) and their gradients (k, P), without multipliers; of the first of the ``batch``."""
        data = self._data
        if batch is not None:
            first = jax.tree.map(lambda array: array[0], self._chunked_batches(batch))
            data = self._with_constants(first)
        values, gradients = self._run("terms", self._terms_and_gradients, self._cast(theta), data)
        return np.asarray(values), np.asarray(gradients)

    def evaluate(self, theta: np.ndarray, coefficients: np.ndarray) -> Evaluation:
        """Terms, objective and gradient at ``theta``."""
        (objective, values, weights, norms), gradient, _ = self._run(
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

    def start_adam(
        self, trained: np.ndarray, options: AdamOptions, memory: Mapping[str, np.ndarray] | None = None
    ) -> Any:
        """What is trained, optax state and the transformation itself."""
        adam = optax.scale_by_adam(options.beta1, options.beta2, options.epsilon)
        trained = self._cast(trained)
        state = adam.init(trained)
        if memory:
            count = jnp.asarray(memory["count"], state.count.dtype)
            state = state._replace(count=count, mu=self._cast(memory["first"]), nu=self._cast(memory["second"]))
        return trained, state, adam, options

    def adam_memory(self, state: Any) -> dict[str, np.ndarray]:
        """Those of optax."""
        memory = state[1]
        return {
            "count": np.array(memory.count),
            "first": np.array(memory.mu),
            "second": np.array(memory.nu),
        }

    @classmethod
    def out_of_memory(cls, error: Exception) -> bool:
        """XLA's word for it is RESOURCE_EXHAUSTED."""
        exhausted = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
        return exhausted or super().out_of_memory(error)

    def adam_steps(
        self, state: Any, rates: np.ndarray, coefficients: np.ndarray, batches: Batches | None = None
    ) -> tuple[Any, Trace]:
        """One compiled ``lax.scan`` over the steps and, if there are any, their batches.

        Its length is a multiple of ``STEPS_AT_ONCE``, the rest skipped: blocks of any length are one program.
        """
        trained, memory, adam, options = state
        count, missing = len(rates), -len(rates) % STEPS_AT_ONCE

        def filled(array: np.ndarray) -> np.ndarray:
            return np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1), mode="edge")

        def steps(trained: Tree, memory: Tree, rates: Tree, coefficients: Tree, data: Tree, batches: Tree) -> Tree:
            def step(carry: Tree, given: Tree) -> tuple[Tree, Tree]:
                trained, memory = carry
                rate, _, batch = given
                theta, current = self.parted(trained, coefficients)
                points = data if batch is None else self._with_constants(batch, data)
                seen, gradient, ascent = self._objective(theta, current, points)
                direction, memory = adam.update(jnp.concatenate([gradient, -ascent]), memory)
                return (trained - rate * direction, memory), seen

            def step_or_skip(carry: Tree, given: Tree) -> tuple[Tree, Tree]:
                nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(step, carry, given)[1])
                return jax.lax.cond(given[1], step, lambda carry, given: (carry, nothing), carry, given)

            return jax.lax.scan(step_or_skip, (trained, memory), (*rates, batches))

        (trained, memory), seen = self._run(
            f"adam {options}",
            steps,
            trained,
            memory,
            (self._cast(filled(rates)), jnp.arange(count + missing) < count),
            self._cast(coefficients),
            self._data,
            batches
            and self._chunked_batches([[{n: filled(a) for n, a in b.items()} for b in t] for t in batches]),
        )
        return (trained, memory, adam, options), Trace(*(np.asarray(array)[:count] for array in seen))

    def _chunked_batches(self, batches: Batches) -> Tree:
        return [
            [self._arrays(self.cut(block, arrays, axis=1)) for block, arrays in _pairs(term.blocks, own)]
            for term, own in _pairs(self.terms, batches)
        ]

    def _with_constants(self, chunks: Tree, data: Tree | None = None) -> Tree:
        """Chunks by term and block, each with the constants of its block."""
        data = self._data if data is None else data
        return [
            [(own, constants) for own, (_, constants) in zip(term, blocks, strict=True)]
            for term, blocks in zip(chunks, data, strict=True)
        ]

    def adam_trained(self, state: Any) -> np.ndarray:
        """What an Adam state trains."""
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
            (objective, *_), gradient, _ = self._objective(theta.astype(self.dtype), coefficients, data)
            return objective, gradient.astype(theta.dtype)

        function.defvjp(forward, lambda gradient, cotangent: (cotangent * gradient,))
        return function

    @property
    def description(self) -> dict[str, str]:
        """Versions of JAX and optax, the device, and the precision of its matrix products in float32."""
        versions = {"jax": jax.__version__, "optax": optax.__version__}
        device, precision = jax.devices()[0].device_kind, jax.config.jax_default_matmul_precision
        return versions | {"device": device, "matrix_products": precision}


def _pairs(one: Any, other: Any) -> list[tuple[Any, Any]]:
    return list(zip(one, other, strict=True))


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
