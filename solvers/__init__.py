"""Networks over jets, loss terms, balancing, optimizers and runs, on PyTorch and on JAX.

Importing this package, or anything the numbers depend on, needs NumPy, SciPy and SymPy only; a backend
imports its own framework and never the other's. ``load_run`` and ``load_runs`` read what is on disk
(:mod:`solvers.runs.loading`), and are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from solvers.runs.loading import Run, load_run, load_runs

__all__ = ["Run", "load_run", "load_runs"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("solvers.runs.loading"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
