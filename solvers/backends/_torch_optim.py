"""torch.optim, as :mod:`solvers.optimizers` calls it."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.optim.adam import adam

from solvers.backends._lbfgs import LbfgsSettings, TracedObjective
from solvers.backends.base import SUMS, Array, Backend, Tree

__all__ = ["Adam", "lbfgs"]

LINE_SEARCH_STEPS = 25
"""The limit of torch's own line search."""


class Adam:
    """Adam (Kingma and Ba 2015) by torch's own function. Its memory changes in place: the ``count`` of steps, the
    ``first`` and ``second`` moments (P,), and the ``parameters`` after the last of them.

    ``torch.optim.Adam`` calls the same function, but the optimizers' base class first imports ``torch._dynamo``,
    which takes as long as a quarter of a short run.
    """

    def __init__(self, backend: Backend, beta1: float, beta2: float, epsilon: float) -> None:
        self._backend = backend
        settings: dict[str, Any] = {"beta1": beta1, "beta2": beta2, "eps": epsilon}
        self._settings = settings | {"amsgrad": False, "weight_decay": 0.0, "maximize": False}

    def init(self, theta: Array) -> Tree:
        """The memory of a first step from ``theta`` (P,)."""
        first, second = torch.zeros_like(theta), torch.zeros_like(theta)
        return {"count": torch.tensor(0.0), "first": first, "second": second, "parameters": theta.detach().clone()}

    def update(self, theta: Array, direction: Array, memory: Tree, rate: float) -> tuple[Array, Tree]:
        """One step against ``direction`` (P,) at a learning rate; the result changes with the next step."""
        names = ("parameters", "first", "second", "count")
        parameters, first, second, count = ([memory[name]] for name in names)
        adam(parameters, [direction], first, second, [], count, lr=rate, **self._settings)
        return memory["parameters"], memory

    def export(self, memory: Tree) -> dict[str, np.ndarray]:
        """``count``, ``first`` and ``second`` moments in NumPy."""
        count = {"count": np.array(float(memory["count"]))}
        return count | self._backend.numpy({name: memory[name] for name in ("first", "second")})

    def restore(self, theta: Array, kept: Mapping[str, np.ndarray]) -> Tree:
        """What :meth:`export` gave, as it was."""
        moments = self._backend.array({name: kept[name] for name in ("first", "second")})
        return self.init(theta) | moments | {"count": torch.tensor(float(kept["count"]))}


def lbfgs(
    objective: TracedObjective, theta: np.ndarray, settings: LbfgsSettings
) -> Iterator[tuple[np.ndarray, int, int, str | None]]:
    """``torch.optim.LBFGS`` with strong-Wolfe line search, a block of iterations at a time: after each block where
    it is, iterations and evaluations made, and why it stopped, if so.

    torch's line search has a limit of its own (25 steps) and its test on the change of the objective is absolute,
    so ``line_search_steps`` has no effect here and ``ftol`` is taken as that absolute change.
    """
    backend, block = objective.backend, settings.block
    parameter, state = torch.nn.Parameter(backend.array(theta)), backend.array(objective.state, SUMS)
    solver = torch.optim.LBFGS(
        [parameter],
        lr=1.0,
        max_iter=block,
        max_eval=block * LINE_SEARCH_STEPS,
        history_size=settings.history,
        tolerance_grad=settings.gtol,
        tolerance_change=settings.ftol,
        line_search_fn="strong_wolfe",
    )
    counts = solver.state[parameter]

    def closure() -> Array:
        key = "torch lbfgs", objective.key
        value, gradient = backend.call(key, objective.traced, parameter.detach(), state)
        parameter.grad = gradient.to(parameter.dtype)
        return value

    iterations = evaluations = 0
    while True:
        value = solver.step(closure)
        made, spent = counts["n_iter"] - iterations, counts["func_evals"] - evaluations
        iterations, evaluations = counts["n_iter"], counts["func_evals"]
        stopped = _stop_reason(value, parameter, made < block, settings.gtol)
        yield backend.numpy(parameter), made, spent, stopped
        if stopped:
            return


def _stop_reason(value: Any, parameter: torch.nn.Parameter, short: bool, gtol: float) -> str | None:
    if not np.isfinite(float(value)):
        return "non-finite"
    if not short:
        return None
    small = parameter.grad is not None and float(parameter.grad.abs().max()) <= gtol
    return "gradient" if small else "no-decrease"
