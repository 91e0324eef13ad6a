"""Small summaries made by hand, in which the right answer is known."""

from typing import Any

import pandas as pd

from solvers.runs.rows import TARGETS
from workflow.analysis.summary import SUMMARY

DEFAULTS = {
    "experiment": "heat-0.3",
    "method": "pinn",
    "numerics": "paper",
    "backend": "jax",
    "seed": 0,
    "scale": "paper",
    "status": "finished",
    "rel_l2": 1e-3,
    "mean_absolute": 1e-3,
    "maximum": 1e-2,
    "best_rel_l2": 1e-3,
    "fresh_residual_ratio": 1.0,
    "iterations": 100,
    "function_evaluations": 110,
    "gradient_evaluations": 110,
    "stage_optimizers": "adam;lbfgs",
    "stage_levels": "0;0",
    "stage_precisions": "float32;float32",
    "stage_iterations": "50;50",
    "stage_evaluations": "50;60",
    "stage_reasons": "iteration-limit;gradient",
    "cpu_seconds": 10.0,
    "wall_seconds": 10.5,
    "other_seconds": 3.0,
    "peak_memory_mib": 500.0,
    "startup_seconds": 2.0,
    "compile_seconds": 1.0,
    "terms_first": "boundary=1;residual=100",
    "terms_last": "boundary=0.01;residual=1",
    "reason": "",
    "device": "cpu",
    "fingerprint": "0",
    "spec_hash": "0",
    "outdated": "",
    "command": "",
    "source": "fresh",
    "floor_rel_l2": 1e-12,
    "floor_cpu_seconds": 0.5,
    "floor_solver": "finished: collocation, 36 x 121 nodes",
    "floor_folder": "results/floor/heat-0.3",
}
DEFAULTS |= {f"{cost}_to_{target:g}": float("nan") for target in TARGETS for cost in ("evaluations", "seconds")}


def summary_of(*runs: dict[str, Any]) -> pd.DataFrame:
    """A summary of runs that are as :data:`DEFAULTS` but for what is given."""
    rows = [DEFAULTS | run for run in runs]
    for row in rows:
        axes = [str(row[axis]) for axis in ("scale", "experiment", "method", "backend", "numerics", "seed")]
        row.setdefault("folder", "/".join(["results", *axes]))
    return SUMMARY.validate(pd.DataFrame(rows, columns=list(SUMMARY.columns)))


def seeds_of(errors: list[float], **axes: Any) -> list[dict[str, Any]]:
    """A run for each error, of seeds 0, 1, ...; None: the run diverged and left no error."""
    return [
        axes
        | {"seed": seed, "rel_l2": float("nan") if error is None else error}
        | ({"status": "diverged"} if error is None else {})
        for seed, error in enumerate(errors)
    ]
