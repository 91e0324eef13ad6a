"""Groupings (GRS): which points of the residual belong to which loss term; one file each."""

from solvers.plugins import load_plugin, plugin_names
from solvers.points.groupings.base import Grouping

__all__ = ["Grouping", "load", "names"]


def names() -> list[str]:
    """Names of all groupings."""
    return plugin_names(__name__)


def load(name: str) -> type[Grouping]:
    """The grouping class of that name; ``ValueError`` if there is none."""
    return load_plugin(__name__, Grouping, name)
