"""Backends: one file each, found by name; neither imports the other."""

from solvers.backends.base import Backend
from solvers.plugins import load_plugin, plugin_names

__all__ = ["Backend", "load", "names"]


def names() -> list[str]:
    """Names of all backends."""
    return plugin_names(__name__)


def load(name: str) -> type[Backend]:
    """The backend class of that name, its framework imported; ``ValueError`` if there is none."""
    return load_plugin(__name__, Backend, name)
