"""Balancing rules that ask where their points lie, for which a state of counts and values is not enough."""

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from problems.base import Problem
from solvers.balancing.base import Balancing
from solvers.model.terms import Term

__all__ = ["Located", "located"]


class Located(Balancing):
    """A rule whose state depends on the coordinates of its points. Before training it is told them
    (:func:`located`); its settings and its compiled functions are those of the rule that is not."""

    @abstractmethod
    def check(self, problem: Problem) -> None:
        """Raises :class:`solvers.plugins.KeyProblem` if a setting does not fit the problem."""

    @property
    def terms_by_name(self) -> Mapping[str, Term] | None:
        """The run's terms with their points; ``None``: it was not told them, as when settings are checked."""
        return vars(self).get("_terms")

    def told(self, terms: Sequence[Term]) -> Self:
        """The same rule that knows these terms."""
        made = copy.copy(self)
        vars(made)["_terms"] = {term.name: term for term in terms}
        return made

    def coordinate_of(self, term: str, name: str) -> np.ndarray | None:
        """The coordinate called ``name`` (n,) of a term's points; ``None`` where it was not told."""
        if self.terms_by_name is None:
            return None
        constraints = self.terms_by_name[term].constraints
        place = constraints[0].equation.problem.coordinates.index(name)
        return np.concatenate([constraint.points[:, place] for constraint in constraints])


def located(rule: Balancing, terms: Sequence[Term]) -> Balancing:
    """The rule, told where the points of the ``terms`` lie if it asks for it."""
    return rule.told(terms) if isinstance(rule, Located) else rule
