"""Files as plug-ins: a package is a folder of kinds, one file a kind, found by the file's name.

Used for problems, networks, balancing rules, optimizers and backends alike: to add one is to add a file.
"""

import importlib
import inspect
import pkgutil
from functools import cache

__all__ = ["load_plugin", "plugin_module", "plugin_names"]

_SUPPORT = {"base", "derivatives", "plugins"}


def plugin_names(package: str) -> list[str]:
    """Names of the plug-ins in ``package``: its modules but supporting and private ones, with dashes, sorted."""
    return list(_names(package))


@cache
def _names(package: str) -> tuple[str, ...]:
    """Asked thousands of times while a sweep is checked, so that its folder is listed once."""
    path = importlib.import_module(package).__path__
    found = (module.name for module in pkgutil.iter_modules(path))
    return tuple(sorted(name.replace("_", "-") for name in found if name not in _SUPPORT and name[0] != "_"))


def plugin_module(package: str, name: str) -> str:
    """Dotted name of the module that holds plug-in ``name``; ``ValueError`` if there is none."""
    allowed = plugin_names(package)
    if name not in allowed:
        raise ValueError(f"unknown name {name!r:.60}; allowed: {', '.join(allowed)}")
    return f"{package}.{name.replace('-', '_')}"


def load_plugin(package: str, base: type, name: str) -> type:
    """The one subclass of ``base`` that the plug-in's module defines. Imports only that module."""
    module = importlib.import_module(plugin_module(package, name))
    classes = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, base) and member.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise TypeError(f"{module.__name__} must define one subclass of {base.__name__}, not {len(classes)}")
    return classes[0]
