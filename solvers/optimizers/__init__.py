"""Optimizers, one file each."""

from solvers.optimizers.base import FirstOrder, Foreign, Iterative, Optimizer, Outcome, StopReason
from solvers.plugins import load_plugin, plugin_names

__all__ = ["FirstOrder", "Foreign", "Iterative", "Optimizer", "Outcome", "StopReason", "load", "names"]


def names() -> list[str]:
    """Names of all optimizers."""
    return plugin_names(__name__)


def load(name: str) -> type[Optimizer]:
    """The optimizer class of that name; ``ValueError`` if there is none."""
    return load_plugin(__name__, Optimizer, name)
