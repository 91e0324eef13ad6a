"""Networks: one file each, their forward rule over jets written once for every array namespace."""

from solvers.model.networks.base import Network
from solvers.plugins import load_plugin, plugin_names

__all__ = ["Network", "load", "names"]


def names() -> list[str]:
    """Names of all networks."""
    return plugin_names(__name__)


def load(name: str) -> type[Network]:
    """The network class of that name; ``ValueError`` if there is none."""
    return load_plugin(__name__, Network, name)
