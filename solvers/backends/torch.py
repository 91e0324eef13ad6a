"""PyTorch backend: reverse mode over jets, chunk by chunk, on one flat parameter vector."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils import _pytree as pytree

from solvers.backends._bilinear import bilinear
from solvers.backends._memory import keep_freed_memory
from solvers.backends._tanh_layer import tanh_layer
from solvers.backends.base import (
    FEATURES_AT_MOST,
    ROWS_AT_ONCE,
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

torch.backends.cuda.matmul.allow_tf32 = False  # no silent TF32 on GPUs

__all__ = ["TorchBackend"]

OPS = Ops(
    tanh=torch.tanh,
    sin=torch.sin,
    cos=torch.cos,
    affine=lambda x, w, b: torch.addmm(b, x, w),
    join=lambda arrays: torch.cat(arrays, dim=-1),
    widen=lambda array, rows: array.expand(rows, -1),
    total=lambda array: array.sum(dtype=torch.float64),
    tanh_layer=tanh_layer,
    bilinear=bilinear,
)
PREDICTED_AT_ONCE = 8192
Tensor = torch.Tensor
Data = list[list[list[dict[str, Any]]]]
"""By term, constraint and chunk: the arrays of a chunk and, if kept, the jets of its features."""


class TorchBackend(Backend):
    """Terms and gradients with ``torch.autograd.grad`` over jets, chunk by chunk."""

    chunk_size = 2000
    xp: ClassVar[ModuleType] = torch

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        torch.set_num_threads(1)  # one run, one thread
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self.on_cpu:
            keep_freed_memory()
        self._by_layout: dict[Layout, dict[str, Tensor]] = {}
        self.load_points()

    def load_points(self) -> None:
        """Chunks, constants and, unless they are too many, the features of all points."""
        self._data = self._with_features(
            [
                [
                    self._chunks(constraint, self._moved(constraint, constraint_arrays(self.model, constraint)))
                    for constraint in term.constraints
                ]
                for term in self.terms
            ]
        )

    @property
    def on_cpu(self) -> bool:
        """Whether points are swept in chunks."""
        return self.device.type == "cpu"

    @property
    def library(self) -> ModuleType:
        """torch.optim; its first use imports torch's compiler, unasked."""
        from solvers.backends import _torch_optim

        return _torch_optim

    def _moved(self, constraint: Constraint, arrays: dict[str, np.ndarray], axis: int = 0) -> dict[str, Tensor]:
        """Arrays cut into chunks and moved to the device; ``axis`` is that of the points."""
        return {name: self._cast(array) for name, array in self.cut(constraint, arrays, axis).items()}

    def _chunks(self, constraint: Constraint, arrays: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        constants = self._constants(constraint.layout)
        count = len(arrays["weight"])
        return [{name: array[c] for name, array in arrays.items()} | constants for c in range(count)]

    def _with_features(self, data: Data) -> Data:
        """``data`` with the features of all points, unless they are too many."""

        def features(constraint: Constraint, chunk: dict[str, Any]) -> tuple[Jet, ...]:
            return self.model.features(chunk["points"], constraint.layout, chunk, OPS)

        def size(constraint: Constraint, chunks: list[dict[str, Any]]) -> int:
            jets = features(constraint, chunks[0])
            return len(chunks) * sum(array.nbytes for jet in jets for array in (jet.value, *jet.parts))

        constraints = [
            each
            for term, own in zip(self.terms, data, strict=True)
            for each in zip(term.constraints, own, strict=True)
        ]
        if self.model.frozen and sum(size(*each) for each in constraints) <= FEATURES_AT_MOST:
            for constraint, chunks in constraints:
                for chunk in chunks:
                    chunk["features"] = features(constraint, chunk)
        return data

    def _constants(self, layout: Layout) -> dict[str, Tensor]:
        if layout not in self._by_layout:
            constants = self.model.constants(layout)
            self._by_layout[layout] = {name: self._cast(array) for name, array in constants.items()}
        return self._by_layout[layout]

    def _cast(self, array: np.ndarray, dtype: np.dtype | None = None) -> Tensor:
        return torch.from_numpy(np.array(array, dtype=dtype or self.dtype, order="C")).to(self.device)

    def array(self, tree: Tree, dtype: np.dtype | None = None) -> Tree:
        """NumPy arrays as tensors on the device, those of floats in the precision of this backend or in
        ``dtype``."""

        def cast(array: Any) -> Tensor:
            if isinstance(array, Tensor):
                return array
            floats = np.issubdtype(np.asarray(array).dtype, np.floating)
            return self._cast(array, dtype) if floats else torch.from_numpy(np.array(array)).to(self.device)

        return pytree.tree_map(cast, tree)

    def numpy(self, tree: Tree) -> Tree:
        """Tensors as NumPy arrays, copied."""
        return pytree.tree_map(lambda tensor: tensor.detach().cpu().numpy().copy(), tree)

    def call(self, key: Hashable, function: Callable[..., Tree], *arguments: Tree) -> Tree:
        """Called as it is."""
        return function(self._data, *arguments)

    def scan(
        self,
        key: Hashable,
        step: Callable[[Tree, Tree, Tree], tuple[Tree, Tree]],
        carry: Tree,
        inputs: Tree,
        batches: Batches | None = None,
    ) -> tuple[Tree, Tree]:
        """The steps one by one; what they saw stays on the device until the end. One number a step is a Python
        float: an operation with it launches nothing."""
        leaves, structure = pytree.tree_flatten(inputs)
        leaves = [leaf.tolist() if np.ndim(leaf) == 1 else self.array(leaf) for leaf in leaves]
        moved = None if batches is None else self._moved_batches(batches)
        seen = []
        for i, own in enumerate(zip(*leaves, strict=True)):
            points = self._data if moved is None else self._step(moved, i)
            carry, one = step(points, carry, pytree.tree_unflatten(list(own), structure))
            seen.append(one)
        return carry, pytree.tree_map(lambda *each: torch.stack(each).cpu().numpy(), *seen)

    def terms_at(
        self, points: Tree, theta: Array, multipliers: Mapping[str, Array], residuals: Sequence[str] = ()
    ) -> TermValues:
        """The terms one after the other, chunk by chunk."""
        parameters = {
            name: view.detach().requires_grad_()
            for name, view in unflatten(theta.detach(), self.model.shapes).items()
        }
        data = self._with_multipliers(points, multipliers)
        results, shares, found = [], {}, {}
        for term, own in zip(self.terms, data, strict=True):
            *sums, kept = self._term(term.constraints, parameters, own, term.name in residuals)
            results.append(sums)
            if term.name in residuals:
                weights = [torch.cat([chunk["weight"] for chunk in chunks]) for chunks in own]
                found[term.name], shares[term.name] = (
                    _unpadded(term.constraints, kept),
                    _unpadded(term.constraints, weights),
                )
        values, gradients, raw = zip(*results, strict=True)
        return TermValues(torch.stack(values), torch.stack(gradients), torch.stack(raw), found, shares)

    def _term(
        self,
        constraints: Sequence[Constraint],
        parameters: dict[str, Tensor],
        data: list[list[dict[str, Tensor]]],
        keep: bool,
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Sums over the points: the term with its multipliers, its gradient, and the term without them; and by
        constraint its residuals, if they are to be kept."""
        leaves = list(parameters.values())
        value: Any = 0
        raw: Any = 0
        total: list[Tensor] = []
        kept: list[Tensor] = []
        for constraint, chunks in zip(constraints, data, strict=True):
            own = []
            for chunk in chunks:
                loss, found = weighted_squares(self.model, constraint, parameters, chunk, OPS)
                gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
                loss, found = loss.detach(), found.detach()
                if total:
                    torch._foreach_add_(total, list(gradients))
                else:
                    total = [gradient.to(torch.float64) for gradient in gradients]
                value = value + loss
                raw = raw + (OPS.total(chunk["weight"] * (found * found)) if "multiplier" in chunk else loss)
                own.append(found)
            kept.append(torch.cat(own) if keep else own[0])
        return value, torch.cat([gradient.reshape(-1) for gradient in total]), raw, kept

    def _with_multipliers(self, data: Data, multipliers: Mapping[str, Tensor]) -> Data:
        """``data`` with the multipliers cut as the points are."""
        if not multipliers:
            return data

        def add(i: int, j: int, chunks: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
            name, place = self.multiplier_places[i, j]
            if name not in multipliers:
                return chunks
            own, length = multipliers[name][place].to(chunks[0]["weight"].dtype), len(chunks[0]["weight"])
            padded = torch.nn.functional.pad(own, (0, length * len(chunks) - len(own)))
            return [c | {"multiplier": m} for c, m in zip(chunks, padded.split(length), strict=True)]

        return [[add(i, j, chunks) for j, chunks in enumerate(term)] for i, term in enumerate(data)]

    def norms(self, gradients: Array) -> Array:
        """Scaled first, for squares of 1e20 leave float32."""
        largest = gradients.abs().amax(dim=1)
        scaled = gradients / torch.where(largest > 0, largest, torch.ones_like(largest))[:, None]
        return largest * torch.linalg.vector_norm(scaled, dim=1)

    @torch.no_grad()
    def constraint_residuals(self, theta: np.ndarray, constraint: Constraint) -> np.ndarray:
        """Chunk by chunk."""
        parameters = unflatten(self._cast(theta), self.model.shapes)
        chunks = self._chunks(constraint, self._moved(constraint, constraint_arrays(self.model, constraint)))
        found = [residuals(self.model, constraint, parameters, chunk, OPS.plain) for chunk in chunks]
        return torch.cat(found).cpu().numpy()[: len(constraint.points)]

    def rows(self, theta: np.ndarray, terms: Sequence[str] | None = None) -> Iterator[Rows]:
        """Reverse mode point by point, side by side: each residual depends on its own point alone, so that a row
        takes no pass over the points of others."""
        at, size = self._cast(theta), max(1, ROWS_AT_ONCE // self.parameters)
        for term in self.terms:
            for constraint in term.constraints if terms is None or term.name in terms else ():
                constants, left = self._constants(constraint.layout), len(constraint.points)

                def one(
                    theta: Tensor, point: Tree, constraint: Constraint = constraint, constants: Tree = constants
                ) -> tuple[Tensor, Tensor]:
                    alone = {name: array[None] for name, array in point.items()} | constants
                    parameters = unflatten(theta, self.model.shapes)
                    (found,) = residuals(self.model, constraint, parameters, alone, OPS.plain)
                    return found, found.detach()

                all_rows = torch.func.vmap(torch.func.grad(one, has_aux=True), in_dims=(None, 0))
                for arrays in parts_of(constraint_arrays(self.model, constraint), size):
                    chunk = {name: self._cast(array) for name, array in arrays.items()}
                    jacobian, found = all_rows(at, chunk)
                    count = min(left, len(found))
                    yield Rows(
                        term.name,
                        found.cpu().numpy()[:count],
                        arrays["weight"][:count],
                        jacobian.cpu().numpy()[:count],
                    )
                    left -= count

    @torch.no_grad()
    def jets(self, theta: np.ndarray, points: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
        """In parts."""
        parameters, constants = unflatten(self._cast(theta), self.model.shapes), self._constants(layout)
        arrays, found = {"points": points} | self.model.at_points(points, layout), []
        for part in parts_of(arrays, PREDICTED_AT_ONCE):
            given = {name: self._cast(array) for name, array in part.items()}
            jet = self.model.output(given["points"], layout, parameters, constants, OPS.plain)
            jet = self.model.trial.jet(jet, given, OPS.plain) if self.model.trial else jet
            found.append({name: self.numpy(array) for name, array in jet.named().items()})
        return {name: np.concatenate([each[name] for each in found])[: len(points)] for name in found[0]}

    @torch.no_grad()
    def predict(self, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
        """u at ``points`` (N, d): (N,)."""
        parameters = unflatten(self._cast(theta), self.model.shapes)
        constants = self._constants(())
        predicted = []
        for part in np.array_split(points, -(-len(points) // PREDICTED_AT_ONCE)):
            output = self.model.output(self._cast(part), (), parameters, constants, OPS)
            predicted.append(output.value[:, 0].cpu().numpy())
        return self.model.solution(np.concatenate(predicted), points)

    @classmethod
    def out_of_memory(cls, error: Exception) -> bool:
        """On a GPU an error of its own; on a CPU one among others."""
        cpu = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
        return cpu or isinstance(error, torch.OutOfMemoryError) or super().out_of_memory(error)

    def _moved_batches(self, batches: Batches) -> list[list[dict[str, Tensor]]]:
        return [
            [
                self._moved(constraint, arrays, axis=1)
                for constraint, arrays in zip(term.constraints, own, strict=True)
            ]
            for term, own in zip(self.terms, batches, strict=True)
        ]

    def _step(self, moved: list[list[dict[str, Tensor]]], step: int) -> Data:
        """The chunks of one step of batches."""
        return [
            [
                self._chunks(constraint, {name: array[step] for name, array in arrays.items()})
                for constraint, arrays in zip(term.constraints, own, strict=True)
            ]
            for term, own in zip(self.terms, moved, strict=True)
        ]

    @property
    def description(self) -> dict[str, str]:
        """Version of torch, the device, and the precision of its matrix products in float32."""
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        precision = torch.get_float32_matmul_precision()
        return {"torch": torch.__version__, "device": name, "matrix_products": precision}


def _unpadded(constraints: Sequence[Constraint], arrays: Sequence[Tensor]) -> Tensor:
    """Arrays of each constraint, one after the other without the points that fill up the last chunk."""
    return torch.cat(
        [array[: len(constraint.points)] for constraint, array in zip(constraints, arrays, strict=True)]
    )
