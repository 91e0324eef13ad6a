"""L-BFGS: SciPy's L-BFGS-B for both backends, or each framework's own.

SciPy's is the authors' algorithm (through TensorFlow's ``ScipyOptimizerInterface``) and the only way to make
iteration counts of two backends comparable. Its tolerances are absolute below an objective of one, so raising a
loss to 1/n changes when it stops, whatever the method does: the reason of every stop is recorded.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from solvers.backends._lbfgs import LbfgsSettings
from solvers.optimizers.base import Budget, Foreign, Objective, Outcome, Report, StopReason

__all__ = ["Lbfgs"]


@dataclass(frozen=True)
class Lbfgs(Foreign):
    """Limited-memory BFGS (Liu and Nocedal 1989; Zhu et al. 1997), full batch, no bounds.

    Stops at ``iterations``, at ``evaluations``, when (f_k - f_k+1) / max(|f_k|, |f_k+1|, 1) <= ``ftol``, when
    the largest gradient entry is <= ``gtol``, or when ``line_search_steps`` trials find no decrease.
    """

    iterations: int
    evaluations: int
    history: int = 50
    line_search_steps: int = 50
    ftol: float = 2.220446049250313e-16
    gtol: float = 1e-5
    implementation: Literal["scipy", "native"] = "scipy"

    def __post_init__(self) -> None:
        for name in ("iterations", "evaluations", "history", "line_search_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if not (self.ftol >= 0 and self.gtol >= 0):
            raise ValueError(f"ftol {self.ftol} and gtol {self.gtol} must not be negative")

    def minimise(
        self, objective: Objective, theta: np.ndarray, report: Report, every: int, spent: Budget
    ) -> Outcome:
        """Minimise with the chosen implementation and what is left of the budget."""
        left = Budget(self.iterations - spent.iterations, self.evaluations - spent.evaluations)
        if left.iterations < 1:
            return Outcome(theta, StopReason.ITERATION_LIMIT, "all iterations were made")
        if left.evaluations < 1:
            return Outcome(theta, StopReason.EVALUATION_LIMIT, "all evaluations were made")
        if self.implementation == "scipy":
            return self._scipy(objective, theta, report, left)
        return self._native(objective, theta, report, left, math.gcd(every, self.iterations))

    def _scipy(self, objective: Objective, theta: np.ndarray, report: Report, left: Budget) -> Outcome:
        result = minimize(
            objective,
            theta.astype(float),
            jac=True,
            method="L-BFGS-B",
            callback=lambda intermediate_result: report(intermediate_result.x, 1),
            options={
                "maxiter": left.iterations,
                "maxfun": left.evaluations,
                "maxcor": self.history,
                "maxls": self.line_search_steps,
                "ftol": self.ftol,
                "gtol": self.gtol,
            },
        )
        return Outcome(result.x.astype(theta.dtype), self._reason(result, left.iterations), str(result.message))

    def _reason(self, result: OptimizeResult, iterations: int) -> StopReason:
        if result.status == 2:
            return StopReason.LINE_SEARCH
        if result.status == 1:
            return StopReason.ITERATION_LIMIT if result.nit >= iterations else StopReason.EVALUATION_LIMIT
        return StopReason.GRADIENT if np.abs(result.jac).max() <= self.gtol else StopReason.NO_DECREASE

    def _native(
        self, objective: Objective, theta: np.ndarray, report: Report, left: Budget, block: int
    ) -> Outcome:
        """The framework's own, in blocks: rows as often as asked for, and the budget met exactly."""
        backend, iterations, evaluations = objective.backend, 0, 0
        report(theta, 0)
        settings = LbfgsSettings(self.history, self.line_search_steps, self.ftol, self.gtol, block)
        blocks = backend.library.lbfgs(objective, theta, settings)
        for theta, count, spent, stopped in blocks:
            objective.count(spent)
            report(theta, count)
            iterations, evaluations = iterations + count, evaluations + spent
            if stopped:
                return Outcome(theta, StopReason(stopped), f"{type(backend).__name__}: {stopped}")
            if iterations >= left.iterations:
                return Outcome(theta, StopReason.ITERATION_LIMIT, f"{iterations} iterations made")
            if evaluations >= left.evaluations:
                break
        return Outcome(theta, StopReason.EVALUATION_LIMIT, "all evaluations allowed were made")
