"""Optimizer stages, one file each."""

from problems.plugins import load_plugin, plugin_names
from solvers.optimizers.base import Job, Midway, Optimizer, Outcome, StopReason

__all__ = ["Job", "Midway", "Optimizer", "Outcome", "StopReason", "load", "names"]


def names() -> list[str]:
    """Names of all optimizers."""
    return plugin_names(__name__)


def load(name: str) -> type[Optimizer]:
    """The optimizer class of that name; ``ValueError`` if there is none."""
    return load_plugin(__name__, Optimizer, name)
