"""L-BFGS: SciPy's L-BFGS-B for both backends, or each framework's own.

SciPy's is the authors' algorithm (through TensorFlow's ``ScipyOptimizerInterface``) and the only way to make
iteration counts of two backends comparable. Its tolerances are absolute below an objective of one, so raising a
loss to 1/n changes when it stops, whatever the method does: the reason of every stop is recorded.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from solvers.backends.base import Evaluation, LbfgsOptions
from solvers.monitor import Diverged
from solvers.optimizers.base import Job, Midway, Optimizer, Outcome, StopReason

__all__ = ["Lbfgs"]


@dataclass(frozen=True)
class Lbfgs(Optimizer):
    """Limited-memory BFGS (Liu and Nocedal 1989; Zhu et al. 1997), full batch, no bounds.

    Stops at ``iterations``, at ``evaluations``, when (f_k - f_k+1) / max(|f_k|, |f_k+1|, 1) <= ``ftol``, when
    the largest gradient entry is <= ``gtol``, or when ``line_search_steps`` trials find no decrease.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    iterations: int
    evaluations: int
    history: int = 50
    line_search_steps: int = 50
    ftol: float = 2.220446049250313e-16
    gtol: float = 1e-5
    implementation: Literal["scipy", "native"] = "scipy"

    def __post_init__(self):
        for name in ("iterations", "evaluations", "history", "line_search_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if not (self.ftol >= 0 and self.gtol >= 0):
            raise ValueError(f"ftol {self.ftol} and gtol {self.gtol} must not be negative")

    def minimise(self, job: Job, theta: np.ndarray, midway: Midway | None = None) -> Outcome:
        """Minimise with the chosen implementation. Taken up midway, it starts with an empty memory and what is
        left of its budget: no implementation gives its memory away."""
        if midway:
            left = {"iterations": self.iterations - midway.iterations}
            left["evaluations"] = self.evaluations - midway.evaluations
            for name, count in left.items():
                if count < 1:
                    return Outcome(theta, StopReason(f"{name.removesuffix('s')}-limit"), f"all {name} were made")
            return dataclasses.replace(self, **left).minimise(job, theta)
        return self._scipy(job, theta) if self.implementation == "scipy" else self._native(job, theta)

    def _scipy(self, job: Job, theta: np.ndarray) -> Outcome:
        objective = _ScipyObjective(job)
        result = minimize(
            objective,
            theta.astype(float),
            jac=True,
            method="L-BFGS-B",
            callback=objective.accepted,
            options={
                "maxiter": self.iterations,
                "maxfun": self.evaluations,
                "maxcor": self.history,
                "maxls": self.line_search_steps,
                "ftol": self.ftol,
                "gtol": self.gtol,
            },
        )
        return Outcome(result.x.astype(theta.dtype), self._reason(result), str(result.message))

    def _reason(self, result: OptimizeResult) -> StopReason:
        if result.status == 2:
            return StopReason.LINE_SEARCH
        if result.status == 1:
            return StopReason.ITERATION_LIMIT if result.nit >= self.iterations else StopReason.EVALUATION_LIMIT
        return StopReason.GRADIENT if np.abs(result.jac).max() <= self.gtol else StopReason.NO_DECREASE

    def _native(self, job: Job, theta: np.ndarray) -> Outcome:
        monitor = job.monitor
        options = LbfgsOptions(self.history, self.line_search_steps, self.ftol, self.gtol)
        block = math.gcd(monitor.every, self.iterations)  # rows as often as asked for, and the budget met exactly
        _look(job, theta)
        iterations = evaluations = 0
        for step in job.backend.native_lbfgs(theta, job.coefficients, options, block):
            monitor.count(step.iterations, step.evaluations)
            theta = step.theta
            _look(job, theta)
            if step.stopped == "non-finite":
                raise Diverged(f"objective is not finite at iteration {monitor.total.iterations}")
            if step.stopped:
                return Outcome(
                    theta, StopReason(step.stopped), f"{job.backend.__class__.__name__}: {step.stopped}"
                )
            iterations += step.iterations
            evaluations += step.evaluations
            if iterations >= self.iterations:
                return Outcome(theta, StopReason.ITERATION_LIMIT, f"{iterations} iterations made")
            if evaluations >= self.evaluations:
                break
            job.reached(theta, dict)
        return Outcome(theta, StopReason.EVALUATION_LIMIT, f"{evaluations} evaluations made")


def _look(job: Job, theta: np.ndarray) -> None:
    """Record an iterate of a framework's own L-BFGS, which does not say what it saw."""
    with job.monitor.stopwatch.phase("monitoring"):
        seen = job.backend.evaluate(theta, job.coefficients)
    job.monitor.record_now(theta, seen)
    job.monitor.check(seen)


class _ScipyObjective:
    """Objective and gradient for SciPy in float64, evaluated in the run's precision; keeps what it saw last,
    for the accepted iterate is nearly always the last one evaluated."""

    def __init__(self, job: Job):
        self.job = job
        self.last: tuple[np.ndarray, Evaluation] | None = None

    def _evaluate(self, x: np.ndarray) -> Evaluation:
        seen = self.job.backend.evaluate(x, self.job.coefficients)
        self.last = (x.copy(), seen)
        return seen

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        first = self.last is None
        seen = self._evaluate(x)
        monitor = self.job.monitor
        monitor.count(evaluations=1)
        if first:
            monitor.record_now(x, seen)
        if first or not (np.isfinite(seen.objective) and np.isfinite(seen.gradient_norms).all()):
            monitor.check(seen)
        return seen.objective, seen.gradient.astype(float)

    def accepted(self, intermediate_result: OptimizeResult) -> None:
        """SciPy's callback after each iteration."""
        monitor, x = self.job.monitor, intermediate_result.x
        monitor.count(iterations=1)
        if not np.array_equal(x, self.last[0]):
            with monitor.stopwatch.phase("monitoring"):
                self._evaluate(x)
        seen = self.last[1]
        monitor.check(seen)
        if monitor.total.iterations % monitor.every == 0:
            monitor.record_now(x, seen)
        self.job.reached(x, dict)
