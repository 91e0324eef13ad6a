"""PyTorch backend: reverse mode over jets, chunk by chunk, on one flat parameter vector."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from solvers.backends.base import AdamOptions, Backend, Evaluation, LbfgsOptions, LbfgsStep, Trace
from solvers.jets import Ops
from solvers.networks.base import unflatten
from solvers.terms import block_arrays, chunked, weighted_squares

torch.backends.cuda.matmul.allow_tf32 = False  # no silent TF32 on GPUs

__all__ = ["TorchBackend"]

OPS = Ops(
    tanh=torch.tanh,
    sin=torch.sin,
    cos=torch.cos,
    affine=lambda x, w, b: torch.addmm(b, x, w),
    join=lambda arrays: torch.cat(arrays, dim=-1),
    widen=lambda array, rows: array.expand(rows, -1),
)
PREDICTED_AT_ONCE = 8192
Tensor = torch.Tensor


class TorchBackend(Backend):
    """Terms and gradients with ``torch.autograd.grad`` over jets, chunk by chunk."""

    chunk_size = 2000

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        torch.set_num_threads(1)  # one run, one thread
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        size = self.chunk_size if self.device.type == "cpu" else None
        self._chunks = [
            [(block, chunk) for block in term.blocks for chunk in self._split(block, size)] for term in self.terms
        ]

    def _split(self, block: Any, size: int | None) -> list[dict[str, Tensor]]:
        arrays = {
            name: self._cast(array) for name, array in chunked(block_arrays(self.model, block), size).items()
        }
        constants = self._constants(block.layout)
        count = len(arrays["points"])
        return [{name: array[i] for name, array in arrays.items()} | constants for i in range(count)]

    def _constants(self, layout: Any) -> dict[str, Tensor]:
        return {name: self._cast(array) for name, array in self.model.constants(layout).items()}

    def _cast(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(array, dtype=self.dtype, order="C")).to(self.device)

    def _terms_and_gradients(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        parameters = {
            name: view.detach().requires_grad_()
            for name, view in unflatten(theta.detach(), self.model.shapes).items()
        }
        results = [self._term(chunks, parameters) for chunks in self._chunks]
        values, gradients = zip(*results, strict=True)
        return torch.stack(values), torch.stack(gradients)

    def _term(self, chunks: Any, parameters: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        leaves = list(parameters.values())
        value, total = None, None
        for block, chunk in chunks:
            loss = weighted_squares(self.model, block, parameters, chunk, OPS)
            gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
            if total is None:
                value, total = loss.detach(), list(gradients)
            else:
                value = value + loss.detach()
                torch._foreach_add_(total, list(gradients))
        return value, torch.cat([gradient.reshape(-1) for gradient in total])

    def _objective(self, theta: Tensor, coefficients: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        values, gradients = self._terms_and_gradients(theta)
        objective, weights = self.balancing.combine(values, coefficients)
        norms = _norms(gradients)
        return (objective, values, weights, norms), weights @ gradients

    def terms_and_gradients(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Term values (k,) and their gradients (k, P)."""
        values, gradients = self._terms_and_gradients(self._cast(theta))
        return values.cpu().numpy(), gradients.cpu().numpy()

    def evaluate(self, theta: np.ndarray, coefficients: np.ndarray) -> Evaluation:
        """Terms, objective and gradient at ``theta``."""
        seen, gradient = self._objective(self._cast(theta), self._cast(coefficients))
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

    def start_adam(self, theta: np.ndarray, options: AdamOptions) -> Any:
        """The parameter and ``torch.optim.Adam`` on it; its first use imports torch's compiler, unasked."""
        parameter = torch.nn.Parameter(self._cast(theta))
        betas = (options.beta1, options.beta2)
        with self.stopwatch.phase("compile"):
            return parameter, torch.optim.Adam([parameter], lr=1.0, betas=betas, eps=options.epsilon)

    def adam_steps(self, state: Any, rates: np.ndarray, coefficients: np.ndarray) -> tuple[Any, Trace]:
        """The steps one by one; what they saw stays on the device until the end."""
        parameter, adam = state
        coefficients = self._cast(coefficients)
        seen = []
        for rate in rates:
            one, parameter.grad = self._objective(parameter, coefficients)
            adam.param_groups[0]["lr"] = float(rate)
            adam.step()
            seen.append(one)
        columns = zip(*seen, strict=True)
        return state, Trace(*(torch.stack(column).cpu().numpy() for column in columns))

    def adam_theta(self, state: Any) -> np.ndarray:
        """The parameters (P,) of an Adam state."""
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
            (objective, *_), parameter.grad = self._objective(parameter, coefficients)
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
        """Version of torch and the device."""
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        return {"torch": torch.__version__, "device": name}


def _norms(gradients: Tensor) -> Tensor:
    """Euclidean norms of the rows; scaled first, for squares of 1e20 leave float32."""
    largest = gradients.abs().amax(dim=1)
    scaled = gradients / torch.where(largest > 0, largest, torch.ones_like(largest))[:, None]
    return largest * torch.linalg.vector_norm(scaled, dim=1)
