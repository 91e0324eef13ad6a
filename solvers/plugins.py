"""Files as plug-ins: a package is a folder of kinds, one file a kind, found by the file's name.

Used for problems, networks, balancing rules, optimizers, samplers, groupings and backends alike: to add one is
to add a file. Imports nothing of the suite.
"""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

__all__ = ["KeyProblem", "PluginError", "load_plugin", "plugin_module", "plugin_names", "unknown"]

_SUPPORT = {"base", "derivatives"}
LONGEST_NAME = 100


class KeyProblem(ValueError):
    """What is wrong with one setting, seen from inside: ``key`` is relative to where validation stood."""

    def __init__(self, key: str, value: Any, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key, self.value, self.problem = key, value, problem


def unknown(what: str, name: Any, allowed: Iterable[str]) -> str:
    """``unknown name; did you mean pinn? allowed: pinn, mmpinn``, for a ``name`` that is not ``allowed``."""
    names = list(allowed)
    near = get_close_matches(str(name)[:LONGEST_NAME].lower(), names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown {what}; {hint}allowed: {', '.join(names) or 'none'}"


class PluginError(ValueError):
    """A plug-in that cannot be used: one line names its file, the line if one is to blame, and what is wrong."""


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
        raise ValueError(unknown(f"name {name!r:.60}", name, allowed))
    return f"{package}.{name.replace('-', '_')}"


T = TypeVar("T")


def load_plugin(package: str, base: type[T], name: str) -> type[T]:
    """The one subclass of ``base`` that the plug-in's module defines. Imports only that module.

    Raises :class:`PluginError` if it cannot be imported or defines none or several, ``ValueError`` for a name that
    there is not.
    """
    dotted = plugin_module(package, name)
    module = sys.modules.get(dotted) or _imported(package, dotted)
    if (module, base) not in _FOUND:
        _FOUND[module, base] = _class_in(module, base)
    return _FOUND[module, base]


_FOUND: dict[tuple[ModuleType, Any], Any] = {}
"""Asked for thousands of times while a sweep is checked, so that a module is searched once."""


def _class_in(module: ModuleType, base: type[T]) -> type[T]:
    classes = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, base) and member.__module__ == module.__name__
    ]
    if len(classes) != 1:
        found = "none" if not classes else ", ".join(cls.__name__ for cls in classes)
        file = _shown(Path(str(module.__file__)))
        raise PluginError(f"{file}: must define one subclass of {base.__name__}; it defines {found}")
    return classes[0]


def _imported(package: str, name: str) -> ModuleType:
    stem = name.rpartition(".")[2]
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        listed = Path(importlib.import_module(package).__path__[0]) / f"{stem.replace('_', '-')}.py"
        raise PluginError(f"{_shown(listed)}: a plug-in's file has underscores for dashes: name it {stem}.py")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        place = _place(error, Path(found.origin))
        problem = error.msg if isinstance(error, SyntaxError) else f"{type(error).__name__}: {error}"
        raise PluginError(f"{place}: cannot be imported: {' '.join(problem.split())}") from error


def _place(error: BaseException, file: Path) -> str:
    """``file``, or another that it imports, and the line that is to blame."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(Path(error.filename))}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return f"{_shown(file)}, line {lines[-1]}" if lines else _shown(file)


def _shown(file: Path) -> str:
    """A file by its place in the project."""
    root = Path(__file__).resolve().parent.parent
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
