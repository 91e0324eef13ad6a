"""PyTorch backend: reverse mode over jets, chunk by chunk, on one flat parameter vector."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from solvers.backends._bilinear import bilinear
from solvers.backends._memory import keep_freed_memory
from solvers.backends._tanh_layer import tanh_layer
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
from solvers.jets import Jet, Layout, Ops
from solvers.networks.base import unflatten
from solvers.terms import Block, block_arrays, multiplier_slopes, weighted_squares

torch.backends.cuda.matmul.allow_tf32 = False  # no silent TF32 on GPUs

__all__ = ["TorchBackend"]

OPS = Ops(
    tanh=torch.tanh,
    sin=torch.sin,
    cos=torch.cos,
    affine=lambda x, w, b: torch.addmm(b, x, w),
    join=lambda arrays: torch.cat(arrays, dim=-1),
    widen=lambda array, rows: array.expand(rows, -1),
    tanh_layer=tanh_layer,
    bilinear=bilinear,
)
PREDICTED_AT_ONCE = 8192
Tensor = torch.Tensor
Data = list[list[list[dict[str, Any]]]]
"""By term, block and chunk: the arrays of a chunk and, if kept, the jets of its features."""


class TorchBackend(Backend):
    """Terms and gradients with ``torch.autograd.grad`` over jets, chunk by chunk."""

    chunk_size = 2000

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        torch.set_num_threads(1)  # one run, one thread
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self.on_cpu:
            keep_freed_memory()
        self._by_layout: dict[Layout, dict[str, Tensor]] = {}
        self._data = self._with_features(
            [
                [self._chunks(block, self._moved(block, block_arrays(self.model, block))) for block in term.blocks]
                for term in self.terms
            ]
        )

    @property
    def on_cpu(self) -> bool:
        """Whether points are swept in chunks."""
        return self.device.type == "cpu"

    def _moved(self, block: Block, arrays: dict[str, np.ndarray], axis: int = 0) -> dict[str, Tensor]:
        """Arrays cut into chunks and moved to the device; ``axis`` is that of the points."""
        return {name: self._cast(array) for name, array in self.cut(block, arrays, axis).items()}

    def _chunks(self, block: Block, arrays: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        constants = self._constants(block.layout)
        count = len(arrays["weight"])
        return [{name: array[c] for name, array in arrays.items()} | constants for c in range(count)]

    def _with_features(self, data: Data) -> Data:
        """``data`` with the features of all points, unless they are too many."""

        def features(block: Block, chunk: dict[str, Any]) -> tuple[Jet, ...]:
            return self.model.features(chunk["points"], block.layout, chunk, OPS)

        def size(block: Block, chunks: list[dict[str, Any]]) -> int:
            jets = features(block, chunks[0])
            return len(chunks) * sum(array.nbytes for jet in jets for array in (jet.value, *jet.parts))

        blocks = [
            each for term, own in zip(self.terms, data, strict=True) for each in zip(term.blocks, own, strict=True)
        ]
        if self.model.frozen and sum(size(*each) for each in blocks) <= FEATURES_AT_MOST:
            for block, chunks in blocks:
                for chunk in chunks:
                    chunk["features"] = features(block, chunk)
        return data

    def _constants(self, layout: Layout) -> dict[str, Tensor]:
        if layout not in self._by_layout:
            constants = self.model.constants(layout)
            self._by_layout[layout] = {name: self._cast(array) for name, array in constants.items()}
        return self._by_layout[layout]

    def _cast(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(array, dtype=self.dtype, order="C")).to(self.device)

    def _terms(self, theta: Tensor, data: Data) -> tuple[Tensor, Tensor, Tensor, list[list[Tensor]]]:
        """Term values (k,), gradients (k, P), values without multipliers (k,), slopes by term and block."""
        parameters = {
            name: view.detach().requires_grad_()
            for name, view in unflatten(theta.detach(), self.model.shapes).items()
        }
        results = [
            self._term(term.blocks, parameters, chunks) for term, chunks in zip(self.terms, data, strict=True)
        ]
        values, gradients, raw, slopes = zip(*results, strict=True)
        return torch.stack(values), torch.stack(gradients), torch.stack(raw), list(slopes)

    def _term(
        self, blocks: Sequence[Block], parameters: dict[str, Tensor], data: list[list[dict[str, Tensor]]]
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Sums over the points: the term with its multipliers, its gradient, and the term without them; and by
        block its slopes along the multipliers."""
        leaves = list(parameters.values())
        value, raw, total, slopes = 0, 0, None, []
        for block, chunks in zip(blocks, data, strict=True):
            found = []
            for chunk in chunks:
                loss, squares = weighted_squares(self.model, block, parameters, chunk, OPS)
                gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
                loss, squares = loss.detach(), squares.detach()
                if total is None:
                    total = list(gradients)
                else:
                    torch._foreach_add_(total, list(gradients))
                value = value + loss
                raw = raw + ((chunk["weight"] * squares).sum() if "multiplier" in chunk else loss)
                if "multiplier" in chunk:
                    found.append(multiplier_slopes(chunk, squares))
            slopes.append(torch.cat(found) if found else None)
        return value, torch.cat([gradient.reshape(-1) for gradient in total]), raw, slopes

    def _with_multipliers(self, data: Data, coefficients: Tensor) -> Data:
        """``data`` with the multipliers of a pointwise rule cut as the points are."""
        if not self.multipliers:
            return data

        def add(i: int, j: int, chunks: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
            if (i, j) not in self.multipliers:
                return chunks
            own, length = coefficients[self.multipliers[i, j]], len(chunks[0]["weight"])
            padded = torch.nn.functional.pad(own, (0, length * len(chunks) - len(own)))
            return [c | {"multiplier": m} for c, m in zip(chunks, padded.split(length), strict=True)]

        return [[add(i, j, chunks) for j, chunks in enumerate(term)] for i, term in enumerate(data)]

    def _objective(
        self, theta: Tensor, coefficients: Tensor, data: Data | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor, list[Tensor]]:
        """What a :class:`Trace` holds, the gradient (P,), and the derivatives by pointwise multipliers."""
        data = self._with_multipliers(self._data if data is None else data, coefficients)
        values, gradients, raw, slopes = self._terms(theta, data)
        objective, weights = self.balancing.combine(values, coefficients)
        ascent = [
            weights[i] * slopes[i][j][: place.stop - place.start] for (i, j), place in self.multipliers.items()
        ]
        seen = (objective, *self.weighed(values, raw, weights, _norms(gradients)))
        return seen, weights @ gradients, ascent

    def terms_and_gradients(
        self, theta: np.ndarray, batch: Batches | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Term values (k,) and their gradients (k, P), without multipliers; of the first of the ``batch``."""
        data = self._data if batch is None else self._step(self._moved_batches(batch), 0)
        values, gradients, _, _ = self._terms(self._cast(theta), data)
        return values.cpu().numpy(), gradients.cpu().numpy()

    def evaluate(self, theta: np.ndarray, coefficients: np.ndarray) -> Evaluation:
        """Terms, objective and gradient at ``theta``."""
        seen, gradient, _ = self._objective(self._cast(theta), self._cast(coefficients))
        objective, values, weights, norms = (array.cpu().numpy() for array in seen)
        return Evaluation(values, float(objective), weights, gradient.cpu().numpy(), norms)

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

    def start_adam(
        self, trained: np.ndarray, options: AdamOptions, memory: Mapping[str, np.ndarray] | None = None
    ) -> Any:
        """The parameter and ``torch.optim.Adam`` on it; its first use imports torch's compiler, unasked."""
        parameter = torch.nn.Parameter(self._cast(trained))
        betas = (options.beta1, options.beta2)
        with self.stopwatch.phase("compile"):
            adam = torch.optim.Adam([parameter], lr=1.0, betas=betas, eps=options.epsilon)
        if memory:
            count = torch.tensor(float(memory["count"]))
            moments = {"exp_avg": self._cast(memory["first"]), "exp_avg_sq": self._cast(memory["second"])}
            adam.state[parameter] = {"step": count, **moments}
        return parameter, adam

    def adam_memory(self, state: Any) -> dict[str, np.ndarray]:
        """Those of ``torch.optim.Adam``, which has them after its first step."""
        parameter, adam = state
        own = adam.state[parameter]
        moments = (own[name].cpu().numpy().copy() for name in ("exp_avg", "exp_avg_sq"))
        return dict(zip(("first", "second"), moments, strict=True)) | {"count": np.array(float(own["step"]))}

    @classmethod
    def out_of_memory(cls, error: Exception) -> bool:
        """On a GPU an error of its own; on a CPU one among others."""
        cpu = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
        return cpu or isinstance(error, torch.OutOfMemoryError) or super().out_of_memory(error)

    def adam_steps(
        self, state: Any, rates: np.ndarray, coefficients: np.ndarray, batches: Batches | None = None
    ) -> tuple[Any, Trace]:
        """The steps one by one; what they saw stays on the device until the end."""
        parameter, adam = state
        coefficients = self._cast(coefficients)
        moved = None if batches is None else self._moved_batches(batches)
        seen = []
        for i, rate in enumerate(rates):
            theta, current = self.parted(parameter.detach(), coefficients)
            data = None if moved is None else self._step(moved, i)
            one, gradient, ascent = self._objective(theta, current, data)
            parameter.grad = torch.cat([gradient, *(-each for each in ascent)])
            adam.param_groups[0]["lr"] = float(rate)
            adam.step()
            seen.append(one)
        columns = zip(*seen, strict=True)
        return state, Trace(*(torch.stack(column).cpu().numpy() for column in columns))

    def _moved_batches(self, batches: Batches) -> list[list[dict[str, Tensor]]]:
        return [
            [self._moved(block, arrays, axis=1) for block, arrays in zip(term.blocks, own, strict=True)]
            for term, own in zip(self.terms, batches, strict=True)
        ]

    def _step(self, moved: list[list[dict[str, Tensor]]], step: int) -> Data:
        """The chunks of one step of batches."""
        return [
            [
                self._chunks(block, {name: array[step] for name, array in arrays.items()})
                for block, arrays in zip(term.blocks, own, strict=True)
            ]
            for term, own in zip(self.terms, moved, strict=True)
        ]

    def adam_trained(self, state: Any) -> np.ndarray:
        """What an Adam state trains."""
        return state[0].detach().cpu().numpy().copy()

    def native_lbfgs(
        self, theta: np.ndarray, coefficients: np.ndarray, options: LbfgsOptions, block: int
    ) -> Iterator[LbfgsStep]:
        """``torch.optim.LBFGS`` with strong-Wolfe line search.

        Its line search has a limit of its own (25 steps) and its test on the change of the objective is
        absolute, so ``line_search_steps`` has no effect here and ``ftol`` is taken as that absolute change.
        """
        parameter = torch.nn.Parameter(self._cast(theta))
        coefficients = self._cast(coefficients)
        solver = torch.optim.LBFGS(
            [parameter],
            lr=1.0,
            max_iter=block,
            max_eval=block * 25,
            history_size=options.history,
            tolerance_grad=options.gtol,
            tolerance_change=options.ftol,
            line_search_fn="strong_wolfe",
        )
        counts = solver.state[parameter]

        def closure() -> Tensor:
            (objective, *_), parameter.grad, _ = self._objective(parameter, coefficients)
            return objective

        iterations = evaluations = 0
        while True:
            objective = solver.step(closure)
            made = counts["n_iter"] - iterations
            spent = counts["func_evals"] - evaluations
            iterations, evaluations = counts["n_iter"], counts["func_evals"]
            stopped = self._stop_reason(objective, parameter, made < block, options)
            yield LbfgsStep(parameter.detach().cpu().numpy().copy(), made, spent, stopped)
            if stopped:
                return

    @staticmethod
    def _stop_reason(objective: Any, parameter: Tensor, short: bool, options: LbfgsOptions) -> str | None:
        if not np.isfinite(float(objective)):
            return "non-finite"
        if not short:
            return None
        return "gradient" if float(parameter.grad.abs().max()) <= options.gtol else "no-decrease"

    @property
    def description(self) -> dict[str, str]:
        """Version of torch, the device, and the precision of its matrix products in float32."""
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        precision = torch.get_float32_matmul_precision()
        return {"torch": torch.__version__, "device": name, "matrix_products": precision}


def _norms(gradients: Tensor) -> Tensor:
    """Euclidean norms of the rows; scaled first, for squares of 1e20 leave float32."""
    largest = gradients.abs().amax(dim=1)
    scaled = gradients / torch.where(largest > 0, largest, torch.ones_like(largest))[:, None]
    return largest * torch.linalg.vector_norm(scaled, dim=1)
