"""torch.optim, as :mod:`solvers.optimizers` calls it."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from solvers.backends._lbfgs import LbfgsSettings, TracedObjective
from solvers.backends.base import SUMS, Array, Backend, Tree

__all__ = ["Adam", "lbfgs"]

LINE_SEARCH_STEPS = 25
"""The limit of torch's own line search."""


class Adam:
    """``torch.optim.Adam`` (Kingma and Ba 2015). Its memory is the optimizer, which changes in place."""

    def __init__(self, backend: Backend, beta1: float, beta2: float, epsilon: float) -> None:
        self._backend = backend
        self._options: dict[str, Any] = {"lr": 1.0, "betas": (beta1, beta2), "eps": epsilon}

    def init(self, theta: Array) -> Tree:
        """The optimizer of a parameter that starts at ``theta`` (P,)."""
        parameter = torch.nn.Parameter(theta.detach().clone())
        with self._backend.stopwatch.phase("compile"):
            return [parameter, torch.optim.Adam([parameter], **self._options)]

    def update(self, theta: Array, direction: Array, memory: Tree, rate: float) -> tuple[Array, Tree]:
        """One step against ``direction`` (P,) at a learning rate; the result changes with the next step."""
        parameter, adam = memory
        parameter.grad = direction
        adam.param_groups[0]["lr"] = rate
        adam.step()
        return parameter.detach(), memory

    def export(self, memory: Tree) -> dict[str, np.ndarray]:
        """``count``, ``first`` and ``second`` moments in NumPy; there after the first step."""
        parameter, adam = memory
        own = adam.state[parameter]
        moments = {"first": own["exp_avg"], "second": own["exp_avg_sq"]}
        return {"count": np.array(float(own["step"]))} | self._backend.numpy(moments)

    def restore(self, theta: Array, kept: Mapping[str, np.ndarray]) -> Tree:
        """What :meth:`export` gave, as it was."""
        parameter, adam = self.init(theta)
        moments = self._backend.array({"exp_avg": kept["first"], "exp_avg_sq": kept["second"]})
        adam.state[parameter] = {"step": torch.tensor(float(kept["count"])), **moments}
        return [parameter, adam]


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
