"""The physics, one file per PDE: operator, conditions and the exact or a reference solution, written once.

A problem is a file of this folder that defines one subclass of :class:`problems.base.Problem`; its name is
the file's name with dashes (``klein_gordon.py`` is ``klein-gordon``). Nothing here imports torch or JAX.
"""

from collections.abc import Mapping

from problems.base import Condition, Equation, ExactProblem, Parameter, Problem, ReferenceProblem
from solvers.plugins import load_plugin, plugin_names

__all__ = [
    "Condition",
    "Equation",
    "ExactProblem",
    "Parameter",
    "Problem",
    "ReferenceProblem",
    "load",
    "names",
    "parameters",
]


def names() -> list[str]:
    """Names of all problems, sorted."""
    return plugin_names(__name__)


def parameters(name: str) -> Mapping[str, Parameter]:
    """The parameters of the problem called ``name``, by name; ``ValueError`` for an unknown problem."""
    return _kind(name).parameters


def load(name: str, **parameters: float) -> Problem:
    """The problem called ``name`` with the given parameters, the others at their defaults.

    Raises ``ValueError`` for an unknown name or parameter or a value out of range.
    """
    return _kind(name)(**parameters)


def _kind(name: str) -> type[Problem]:
    return load_plugin(__name__, Problem, name)
