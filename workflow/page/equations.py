"""A problem in mathematical notation, as MathML, which browsers set without any script or font of ours."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import sympy
from markupsafe import Markup
from sympy.printing.mathml import MathMLPresentationPrinter

from problems.base import Equation, ExactProblem, Problem
from problems.derivatives import Derivatives

__all__ = ["Formula", "formulas"]

LONGEST = 400  # operations of an expression from which on it is left out: nobody would read it


@dataclass(frozen=True)
class Formula:
    """A line of mathematics: what it is, in words, and MathML."""

    name: str
    mathml: Markup


def formulas(problem: Problem) -> list[Formula]:
    """Equation, domain, conditions, solution if it is stated, and parameters of ``problem``.

    Parameters stand as letters, with their values in a line of their own; an expression that cannot be written
    with letters, as it decides by their values, has these.
    """
    found = [
        Formula("Equation", _math(f"{_operator(problem, problem.residual)}<mo>=</mo>{_right_hand_side(problem)}")),
        Formula("Domain", _domain(problem)),
        Formula("Conditions", Markup("; ").join(_conditions(problem))),
    ]
    if isinstance(problem, ExactProblem) and (exact := _with_letters(problem)).count_ops() <= LONGEST:
        found.append(Formula("Solution", _math(f"<mi>u</mi><mo>=</mo>{_presented(exact)}")))
    if problem.values:
        found.append(Formula("Parameters", _parameters(problem.values)))
    return found


def _letters(problem: Problem) -> SimpleNamespace:
    return SimpleNamespace(**{name: sympy.Symbol(name, positive=True) for name in problem.values})


def _with_letters(problem: ExactProblem) -> sympy.Expr:
    """The exact solution with its parameters as letters, or with their values if it decides by these."""
    try:
        return sympy.sympify(problem.exact(_letters(problem), *problem.symbols))
    except (TypeError, ValueError):
        return problem.exact_expression


def _right_hand_side(problem: Problem) -> str:
    """f, where it follows from the solution, or what is stated."""
    if isinstance(problem, ExactProblem):
        return "<mi>f</mi>"
    return _short(problem.residual.target_expression, "<mi>f</mi>")


def _operator(problem: Problem, equation: Equation) -> str:
    """The left-hand side in u and its derivatives, which are written as indices."""
    u = Derivatives(problem.coordinates, lambda name: sympy.Symbol(f"u_{name}" if name else "u"))
    try:
        expression = sympy.sympify(equation.operator(_letters(problem), u, *problem.symbols))
    except (TypeError, ValueError):
        expression = equation.symbolic(u)
    return _presented(expression)


def _conditions(problem: Problem) -> list[Markup]:
    """What is given on which faces: those with the same left-hand side and data together; what is the same on a
    pair of them."""
    faces: dict[tuple[str, str], list[str]] = {}
    given = " given on " if isinstance(problem, ExactProblem) else " on "
    for equation in problem.equations[:-1]:
        left, own = _operator(problem, equation), [_face(equation.where)]
        words = given if equation.opposite is None else " the same on "
        if equation.opposite is not None:
            own.append(_face(equation.where | equation.opposite))
        elif not isinstance(problem, ExactProblem):
            left += f"<mo>=</mo>{_short(equation.target_expression, '<mtext>given</mtext>')}"
        faces.setdefault((left, words), []).extend(own)
    return [
        _math(left) + Markup(words) + Markup(", ").join(map(_math, where))
        for (left, words), where in faces.items()
    ]


def _face(where: Mapping[str, float]) -> str:
    sides = (f"<mi>{name}</mi><mo>=</mo>{_number(value)}" for name, value in where.items())
    return "<mo>,</mo>".join(sides)


def _short(expression: sympy.Expr, otherwise: str) -> str:
    return _presented(expression) if expression.count_ops() <= LONGEST else otherwise


def _number(value: float) -> str:
    return _presented(sympy.nsimplify(value, [sympy.pi]))


def _domain(problem: Problem) -> Markup:
    sides = [
        f"<mi>{name}</mi><mo>∈</mo><mrow><mo>[</mo>{_number(low)}<mo>,</mo>{_number(high)}<mo>]</mo></mrow>"
        for name, (low, high) in problem.domain.items()
    ]
    return _math("<mo>,</mo><mspace width='0.5em'/>".join(sides))


def _parameters(values: Mapping[str, float]) -> Markup:
    given = [f"{_presented(sympy.Symbol(name))}<mo>=</mo><mn>{value:.6g}</mn>" for name, value in values.items()]
    return _math("<mo>,</mo><mspace width='0.5em'/>".join(given))


def _presented(expression: sympy.Expr) -> str:
    """Presentation MathML with true minus signs and a plain e."""
    text = MathMLPresentationPrinter()._print(expression).toxml().replace("&amp;", "&")
    text = text.replace(">-", ">\u2212").replace("&ExponentialE;", "e")
    return re.sub(r"&(?!amp;|lt;|gt;)\w+;", lambda entity: html.unescape(entity[0]), text)


def _math(inside: str) -> Markup:
    """A formula that stands in a line; nothing in it is of a user but SymPy's symbols, which SymPy escapes."""
    return Markup(f'<math display="inline"><mrow>{inside}</mrow></math>')
