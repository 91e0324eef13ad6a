"""JAX backend: one compiled sweep over cache-sized chunks of points, one compiled scan of many steps.

Compiled programs are kept on disk and shared by all runs on one kind of processor.
"""

import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, ClassVar

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several runs may share one GPU

import jax
import jax.numpy as jnp
import numpy as np
import optax

from solvers.backends._cache import cache_folder
from solvers.backends.base import (
    FEATURES_AT_MOST,
    ROWS_AT_ONCE,
    SUMS,
    Array,
    Backend,
    Batches,
    Rows,
    TermValues,
    Tree,
    parts_of,
)
from solvers.model.jets import Jet, Layout, Ops
from solvers.model.networks.base import unflatten
from solvers.model.terms import Constraint, constraint_arrays, residuals, weighted_squares

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
    total=lambda array: array.sum(dtype=jnp.float64),
)
PREDICTED_AT_ONCE = 8192
STEPS_AT_ONCE = 128
jax.tree_util.register_dataclass(Jet, data_fields=["value", "parts"], meta_fields=["layout"])


class JaxBackend(Backend):
    """Terms and gradients with ``jax.value_and_grad`` over jets, chunk by chunk in ``lax.scan``."""

    chunk_size = 500
    xp: ClassVar[ModuleType] = jnp

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._executables: dict[Any, Any] = {}
        self.load_points()

    @property
    def on_cpu(self) -> bool:
        """Whether points are swept in chunks."""
        return jax.default_backend() == "cpu"

    @property
    def library(self) -> ModuleType:
        """optax."""
        from solvers.backends import _optax

        return _optax

    def load_points(self) -> None:
        """Chunks, constants and, unless they are too many, the features of all points."""
        self._data = [
            [
                (
                    self.array(self.cut(constraint, constraint_arrays(self.model, constraint))),
                    self.array(self.model.constants(constraint.layout)),
                )
                for constraint in term.constraints
            ]
            for term in self.terms
        ]
        if self.model.frozen:
            self._keep_features()

    def _keep_features(self) -> None:
        layouts = [[constraint.layout for constraint in term.constraints] for term in self.terms]

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

    def array(self, tree: Tree, dtype: np.dtype | None = None) -> Tree:
        """NumPy arrays as JAX's, those of floats in the precision of this backend or in ``dtype``."""

        def cast(array: Any) -> jax.Array:
            kind = np.asarray(array).dtype if not isinstance(array, jax.Array) else array.dtype
            return jnp.asarray(array, (dtype or self.dtype) if np.issubdtype(kind, np.floating) else kind)

        return jax.tree.map(cast, tree)

    def numpy(self, tree: Tree) -> Tree:
        """JAX's arrays as NumPy's."""
        return jax.tree.map(np.asarray, tree)

    def _run(self, key: Hashable, function: Callable, *arguments: Tree) -> Tree:
        """Call ``function`` compiled ahead of time for these shapes; compiling counts as phase ``compile``."""
        leaves, structure = jax.tree.flatten(arguments)
        full = (key, structure, tuple((leaf.shape, leaf.dtype.name) for leaf in leaves))
        if full not in self._executables:
            with self.stopwatch.phase("compile"):
                self._executables[full] = jax.jit(function).lower(*arguments).compile()
        return jax.block_until_ready(self._executables[full](*arguments))

    def call(self, key: Hashable, function: Callable[..., Tree], *arguments: Tree) -> Tree:
        """Compiled ahead of time, once for each key and shapes."""
        return self._run(key, function, self._data, *arguments)

    def scan(
        self,
        key: Hashable,
        step: Callable[[Tree, Tree, Tree], tuple[Tree, Tree]],
        carry: Tree,
        inputs: Tree,
        batches: Batches | None = None,
    ) -> tuple[Tree, Tree]:
        """One compiled ``lax.scan`` over the steps and, if there are any, their batches.

        Its length is a multiple of ``STEPS_AT_ONCE``, the rest skipped: blocks of any length are one program.
        """
        count = len(jax.tree.leaves(inputs)[0])
        missing = -count % STEPS_AT_ONCE

        def filled(array: np.ndarray) -> np.ndarray:
            return np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1), mode="edge")

        def steps(data: Tree, carry: Tree, inputs: Tree, wanted: jax.Array, batches: Tree) -> Tree:
            def one(carry: Tree, given: Tree) -> tuple[Tree, Tree]:
                own, _, batch = given
                points = data if batch is None else self._with_constants(batch, data)
                return step(points, carry, own)

            def one_or_none(carry: Tree, given: Tree) -> tuple[Tree, Tree]:
                nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(one, carry, given)[1])
                return jax.lax.cond(given[1], one, lambda carry, given: (carry, nothing), carry, given)

            return jax.lax.scan(one_or_none, carry, (inputs, wanted, batches))

        carry, seen = self._run(
            key,
            steps,
            self._data,
            carry,
            self.array(jax.tree.map(filled, inputs)),
            jnp.arange(count + missing) < count,
            batches and self._chunked([[{n: filled(a) for n, a in b.items()} for b in t] for t in batches]),
        )
        return carry, jax.tree.map(lambda array: np.asarray(array)[:count], seen)

    def _chunked(self, batches: Batches) -> Tree:
        return [
            [
                self.array(self.cut(constraint, arrays, axis=1))
                for constraint, arrays in _pairs(term.constraints, own)
            ]
            for term, own in _pairs(self.terms, batches)
        ]

    def _with_constants(self, chunks: Tree, data: Tree) -> Tree:
        """Chunks by term and constraint, each with the constants of its constraint."""
        return [
            [(own, constants) for own, (_, constants) in zip(term, constraints, strict=True)]
            for term, constraints in zip(chunks, data, strict=True)
        ]

    def terms_at(
        self, points: Tree, theta: Array, multipliers: Mapping[str, Array], residuals: Sequence[str] = ()
    ) -> TermValues:
        """The terms one after the other, each a scan over its chunks."""
        parameters = unflatten(theta, self.model.shapes)
        data = self._with_multipliers(points, multipliers)
        totals, shares, found = [], {}, {}
        for term, own in _pairs(self.terms, data):
            total, each = self._term(term.constraints, parameters, own, term.name in residuals)
            totals.append(total)
            if term.name in residuals:
                found[term.name] = _unpadded(term.constraints, each)
                shares[term.name] = _unpadded(term.constraints, [chunks["weight"] for chunks, _ in own])
        values, gradients, raw = zip(*totals, strict=True)
        flat = [jnp.concatenate([jnp.ravel(g[name]) for name in self.model.shapes]) for g in gradients]
        return TermValues(jnp.stack(values), jnp.stack(flat), jnp.stack(raw), found, shares)

    def _term(
        self, constraints: Sequence[Constraint], parameters: Tree, arrays: Tree, keep: bool
    ) -> tuple[Tree, list[jax.Array | None]]:
        """Sums over the points: the term with its multipliers, its gradient, and the term without them; and by
        constraint its residuals (chunks, n), if they are to be kept."""
        zero = jnp.zeros((), SUMS)
        total, kept = (zero, jax.tree.map(lambda array: jnp.zeros(array.shape, SUMS), parameters), zero), []
        for constraint, (chunks, constants) in zip(constraints, arrays, strict=True):

            def sweep(
                total: Tree, chunk: Tree, constraint: Constraint = constraint, constants: Tree = constants
            ) -> Any:
                loss = jax.value_and_grad(weighted_squares, argnums=2, has_aux=True)
                (value, found), gradient = loss(self.model, constraint, parameters, chunk | constants, OPS)
                one = value, gradient, OPS.total(chunk["weight"] * (found * found))
                return jax.tree.map(jnp.add, total, one), found if keep else None

            total, found = jax.lax.scan(sweep, total, chunks)
            kept.append(found)
        return total, kept

    def _with_multipliers(self, data: Tree, multipliers: Mapping[str, jax.Array]) -> Tree:
        """``data`` with the multipliers cut as the points are."""

        def add(i: int, j: int, chunks: Tree) -> Tree:
            name, place = self.multiplier_places[i, j]
            if name not in multipliers:
                return chunks
            own, shape = multipliers[name][place].astype(self.dtype), chunks["weight"].shape
            padded = jnp.pad(own, (0, shape[0] * shape[1] - len(own)))
            return chunks | {"multiplier": padded.reshape(shape)}

        if not multipliers:
            return data
        return [
            [(add(i, j, chunks), constants) for j, (chunks, constants) in enumerate(term)]
            for i, term in enumerate(data)
        ]

    def norms(self, gradients: Array) -> Array:
        """Scaled first, for squares of 1e20 leave float32."""
        largest = jnp.abs(gradients).max(axis=1)
        scaled = gradients / jnp.where(largest > 0, largest, 1)[:, None]
        return largest * jnp.sqrt((scaled**2).sum(axis=1))

    def constraint_residuals(self, theta: np.ndarray, constraint: Constraint) -> np.ndarray:
        """Chunk by chunk."""
        chunks = self.array(self.cut(constraint, constraint_arrays(self.model, constraint)))
        constants = self.array(self.model.constants(constraint.layout))

        def sweep(theta: jax.Array, chunks: Tree, constants: Tree) -> jax.Array:
            parameters = unflatten(theta, self.model.shapes)
            return jax.lax.map(lambda c: residuals(self.model, constraint, parameters, c | constants, OPS), chunks)

        key = ("constraint residuals", constraint.equation.term, constraint.layout, constraint.equation.operator)
        found = self._run(key, sweep, self.array(theta), chunks, constants)
        return np.asarray(found).reshape(-1)[: len(constraint.points)]

    def rows(self, theta: np.ndarray, terms: Sequence[str] | None = None) -> Iterator[Rows]:
        """Reverse mode point by point, side by side: each residual depends on its own point alone, so that a row
        takes no pass over the points of others."""
        at, size = self.array(theta), max(1, ROWS_AT_ONCE // self.parameters)
        for term in self.terms:
            for j, constraint in enumerate(term.constraints):
                if terms is not None and term.name not in terms:
                    continue
                constants = self.array(self.model.constants(constraint.layout))

                def all_rows(
                    theta: jax.Array, chunk: Tree, constants: Tree, constraint: Constraint = constraint
                ) -> Tree:
                    def one(theta: jax.Array, point: Tree) -> jax.Array:
                        alone = jax.tree.map(lambda array: array[None], point)
                        parameters = unflatten(theta, self.model.shapes)
                        return residuals(self.model, constraint, parameters, alone | constants, OPS)[0]

                    return jax.vmap(jax.value_and_grad(one), in_axes=(None, 0))(theta, chunk)

                arrays, left = parts_of(constraint_arrays(self.model, constraint), size), len(constraint.points)
                for chunk in arrays:
                    key = "rows", term.name, j
                    found, jacobian = self._run(key, all_rows, at, self.array(chunk), constants)
                    count = min(left, len(found))
                    yield Rows(
                        term.name,
                        np.asarray(found)[:count],
                        chunk["weight"][:count],
                        np.asarray(jacobian)[:count],
                    )
                    left -= count

    def jets(self, theta: np.ndarray, points: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
        """In parts of equal length, the last filled up."""

        def part(theta: jax.Array, given: Tree, constants: Tree) -> Tree:
            parameters = unflatten(theta, self.model.shapes)
            jet = self.model.output(given["points"], layout, parameters, constants, OPS)
            return (self.model.trial.jet(jet, given, OPS) if self.model.trial else jet).named()

        at, constants = self.array(theta), self.array(self.model.constants(layout))
        arrays = {"points": points} | self.model.at_points(points, layout)
        found = [
            self.numpy(self._run(("jets", layout), part, at, self.array(given), constants))
            for given in parts_of(arrays, PREDICTED_AT_ONCE)
        ]
        return {name: np.concatenate([each[name] for each in found])[: len(points)] for name in found[0]}

    def predict(self, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
        """u at ``points`` (N, d): (N,)."""
        parameters, constants = self.array(theta), self.array(self.model.constants(()))

        def network(theta: jax.Array, points: jax.Array, constants: Tree) -> jax.Array:
            return self.model.output(points, (), unflatten(theta, self.model.shapes), constants, OPS).value[:, 0]

        predicted = [
            np.asarray(self._run("predict", network, parameters, self.array(part["points"]), constants))
            for part in parts_of({"points": points}, PREDICTED_AT_ONCE)
        ]
        return self.model.solution(np.concatenate(predicted)[: len(points)], points)

    @classmethod
    def check_device(cls) -> None:
        """``JAX_PLATFORMS`` may ask for a device that is not there."""
        try:
            jax.devices()
        except RuntimeError as error:
            asked = os.environ.get("JAX_PLATFORMS", "")
            raise ValueError(f"JAX_PLATFORMS={asked}: JAX has no such device here: {error}") from None

    @classmethod
    def out_of_memory(cls, error: Exception) -> bool:
        """XLA's word for it is RESOURCE_EXHAUSTED."""
        exhausted = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
        return exhausted or super().out_of_memory(error)

    @property
    def description(self) -> dict[str, str]:
        """Versions of JAX and optax, the device, and the precision of its matrix products in float32."""
        versions = {"jax": jax.__version__, "optax": optax.__version__}
        device = jax.devices()[0].device_kind
        precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
        return versions | {"device": device, "matrix_products": precision}


def _pairs(one: Any, other: Any) -> list[tuple[Any, Any]]:
    return list(zip(one, other, strict=True))


def _unpadded(constraints: Sequence[Constraint], arrays: Sequence[Any]) -> jax.Array:
    """Arrays (chunks, n) of each constraint, one after the other, without the points that fill up the last
    chunk."""
    return jnp.concatenate(
        [a.reshape(-1)[: len(constraint.points)] for constraint, a in zip(constraints, arrays, strict=True)]
    )
