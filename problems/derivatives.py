"""How an operator asks for derivatives: ``u.t - u.xx`` works on symbols, on a recorder and on arrays.

A derivative is named by its coordinates in the problem's order: ``""`` is u itself, ``"t"`` is u_t, ``"xx"``
is u_xx, and ``u.tx`` and ``u.xt`` are the same derivative.
"""

from collections.abc import Callable, Sequence
from typing import Any

import sympy

__all__ = ["Derivatives", "Recorder", "linear_coefficients", "on_expression"]


class Derivatives:
    """u and its derivatives as attributes: ``u.value``, ``u.t``, ``u.xx``.

    ``get`` maps a canonical derivative name to its value, of whatever kind. An attribute that is not made of
    the coordinates' letters raises ``AttributeError`` with the letters that are.
    """

    def __init__(self, coordinates: Sequence[str], get: Callable[[str], Any]) -> None:
        self._coordinates = tuple(coordinates)
        self._get = get

    def __getattr__(self, name: str) -> Any:
        if name == "value":
            return self._get("")
        if name.startswith("_") or not set(name) <= set(self._coordinates):
            raise AttributeError(f"no derivative {name!r}: use u.value or letters of {self._coordinates}")
        return self._get("".join(sorted(name, key=self._coordinates.index)))


def on_expression(expression: sympy.Expr, coordinates: Sequence[sympy.Symbol]) -> Derivatives:
    """Derivatives of a SymPy expression in the given coordinates."""
    symbols = {str(symbol): symbol for symbol in coordinates}

    def differentiate(name: str) -> sympy.Expr:
        return sympy.diff(expression, *(symbols[letter] for letter in name)) if name else expression

    return Derivatives(tuple(symbols), differentiate)


class Recorder(Derivatives):
    """Notes which derivatives an operator asks for, and hands out a symbol for each (``symbols``)."""

    def __init__(self, coordinates: Sequence[str]) -> None:
        self.symbols: dict[str, sympy.Symbol] = {}
        super().__init__(coordinates, self._record)

    def _record(self, name: str) -> sympy.Symbol:
        return self.symbols.setdefault(name, sympy.Symbol(f"u_{name}" if name else "u"))


def linear_coefficients(expression: sympy.Expr, symbols: dict[str, sympy.Symbol]) -> dict[str, float] | None:
    """Coefficients ``{derivative: number}`` if ``expression`` is linear in the symbols with constant
    coefficients and no constant part, else ``None``."""
    expanded = sympy.expand(expression)
    coefficients = {name: expanded.coeff(symbol, 1) for name, symbol in symbols.items()}
    rest = sympy.expand(expanded - sum(c * symbols[name] for name, c in coefficients.items()))
    if rest != 0 or not all(c.is_number for c in coefficients.values()):
        return None
    return {name: float(c) for name, c in coefficients.items()}
