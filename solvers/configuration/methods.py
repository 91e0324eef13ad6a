"""Methods that several experiments have: files of ``methods/``, and methods that are based on another one."""

from collections.abc import Mapping
from typing import Any

from solvers.configuration.overrides import merge
from solvers.plugins import KeyProblem

__all__ = ["BASED_ON", "completed", "with_methods"]

BASED_ON = "based_on"
EXPERIMENTS = "experiments"
PLUGINS = ("network", "balancing")


def with_methods(data: Mapping[str, Any], name: str, shared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An experiment's document with the ``shared`` methods that are for it, behind its own, and with its own that
    are ``based_on`` another method, of its own or shared, completed.

    Raises :class:`KeyProblem` for a method based on one that there is not, and for one that has a shared one's
    name.
    """
    own = data.get("methods")
    if not isinstance(own, dict):
        return dict(data)
    for method in own:
        if method in shared:
            raise KeyProblem(f"methods.{method}", None, f"is the name of methods/{method}.yaml as well")
    known = {method: {k: v for k, v in entry.items() if k != EXPERIMENTS} for method, entry in shared.items()}
    methods = {method: completed(entry, known | own, f"methods.{method}.") for method, entry in own.items()}
    methods |= {
        method: known[method] for method, entry in shared.items() if name in (entry[EXPERIMENTS] or [name])
    }
    return dict(data) | {"methods": methods}


def completed(entry: Any, known: Mapping[str, Any], at: str = "") -> Any:
    """A method as it stands at ``at`` in a file, with all that the one of the ``known`` that it is ``based_on``
    says and it does not. As in every layer, a network or balancing that is named replaces the whole.

    Raises :class:`KeyProblem` if there is no such method, or if that is based on another.
    """
    if not isinstance(entry, dict) or BASED_ON not in entry:
        return entry
    name = entry[BASED_ON]
    base = known.get(name) if isinstance(name, str) else None
    if not isinstance(base, dict) or BASED_ON in base:
        allowed = ", ".join(m for m, e in known.items() if isinstance(e, dict) and BASED_ON not in e)
        raise KeyProblem(f"{at}{BASED_ON}", name, f"must be a method that is based on no other: {allowed}")
    over = {key: value for key, value in entry.items() if key != BASED_ON}
    named = {key: over[key] for key in PLUGINS if isinstance(over.get(key), dict) and "name" in over[key]}
    return merge(base, over, at) | named
