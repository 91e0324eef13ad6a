"""Samplers: how the points of a face, or of the domain, are chosen; one file each."""

from solvers.plugins import load_plugin, plugin_names
from solvers.points.samplers.base import Sampler

__all__ = ["Sampler", "load", "names"]


def names() -> list[str]:
    """Names of all samplers."""
    return plugin_names(__name__)


def load(name: str) -> type[Sampler]:
    """The sampler class of that name; ``ValueError`` if there is none."""
    return load_plugin(__name__, Sampler, name)
