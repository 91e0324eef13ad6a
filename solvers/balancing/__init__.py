"""Balancing: how the term values become one objective, one file a rule."""

from solvers.balancing.base import Balancing
from solvers.plugins import load_plugin, plugin_names

__all__ = ["Balancing", "load", "names"]


def names() -> list[str]:
    """Names of all balancing rules."""
    return plugin_names(__name__)


def load(name: str) -> type[Balancing]:
    """The balancing class of that name; ``ValueError`` if there is none."""
    return load_plugin(__name__, Balancing, name)
