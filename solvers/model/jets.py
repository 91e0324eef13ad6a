"""Jets: u and just the derivatives an operator needs, carried forward through the network.

A channel is a linear differential functional of order one or two,

    D = sum_i b_i d_i + sum_ij a_ij d_i d_j,

so u_t, u_xx and the whole operator u_t - u_xx are each one channel. Through an activation s(z) a channel obeys

    D s(z) = s'(z) D z + s''(z) sum_ij a_ij (d_i z)(d_j z),

whatever b and a are: one rule serves first derivatives (a = 0), second derivatives, and fused operators. The
first derivatives in the quadratic form travel as channels of their own. Orders above two are refused.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, reduce
from operator import add
from typing import Any

import numpy as np

__all__ = [
    "Channel",
    "Jet",
    "Ops",
    "Products",
    "bilinear",
    "channel_rows",
    "coordinate_jet",
    "join",
    "layout_for",
    "numpy_ops",
]

FUSED = "operator"


@dataclass(frozen=True)
class Ops:
    """The few array operations that networks need, of one array namespace.

    ``affine(x, w, b)`` is x @ w + b, ``join(arrays)`` puts them side by side along the last axis, and
    ``widen(array, rows)`` repeats an array (1, h) to (rows, h) and leaves one of (rows, h). The others are
    elementwise. ``total(array)`` is the sum of all entries, taken in float64. ``tanh_layer(value, parts, layout,
    weight, bias)`` and ``bilinear(products, one, other, plus)`` are the namespace's own forms of
    :meth:`Jet.tanh_layer` and :func:`bilinear`, if it has them."""

    tanh: Any
    sin: Any
    cos: Any
    affine: Any
    join: Any
    widen: Any
    total: Any
    tanh_layer: Any = None
    bilinear: Any = None

    @property
    def plain(self) -> "Ops":
        """Without the namespace's own forms, which may have no second derivative in reverse mode."""
        return replace(self, tanh_layer=None, bilinear=None)


numpy_ops = Ops(
    tanh=np.tanh,
    sin=np.sin,
    cos=np.cos,
    affine=lambda x, w, b: x @ w + b,
    join=lambda arrays: np.concatenate(arrays, axis=-1),
    widen=lambda array, rows: np.broadcast_to(array, (rows, array.shape[1])),
    total=lambda array: array.sum(dtype=np.float64),
)


@dataclass(frozen=True)
class Channel:
    """One functional D: ``first`` holds (coordinate, b_i), ``quadratic`` holds (channel i, channel j, a_ij)."""

    name: str
    first: tuple[tuple[int, float], ...] = ()
    quadratic: tuple[tuple[int, int, float], ...] = ()


Layout = tuple[Channel, ...]


def _first_channels(letters: Iterable[str], coordinates: Sequence[str]) -> list[Channel]:
    wanted = sorted(set(letters), key=coordinates.index)
    return [Channel(letter, first=((coordinates.index(letter), 1.0),)) for letter in wanted]


def layout_for(
    coordinates: Sequence[str], derivatives: Iterable[str], linear: Mapping[str, float] | None = None
) -> Layout:
    """Channels for the named derivatives; with ``linear`` coefficients, the whole operator as one channel.

    The value itself always travels and has no channel. Raises ``ValueError`` above second order.
    """
    names = [name for name in derivatives if name]
    if any(len(name) > 2 for name in names):
        raise ValueError(f"derivatives {names}: jets reach second order only")
    second = [name for name in names if len(name) == 2]
    inner = {letter for name in second for letter in name}
    outer = set() if linear is not None else {name for name in names if len(name) == 1}
    channels = _first_channels(inner | outer, coordinates)
    position = {channel.name: i for i, channel in enumerate(channels)}

    def quadratic(name: str, coefficient: float) -> tuple[int, int, float]:
        return position[name[0]], position[name[1]], coefficient

    if linear is None:
        return (*channels, *(Channel(name, quadratic=(quadratic(name, 1.0),)) for name in second))
    if not names:
        return ()
    first = tuple((coordinates.index(name), linear[name]) for name in names if len(name) == 1)
    return (*channels, Channel(FUSED, first, tuple(quadratic(name, linear[name]) for name in second)))


@dataclass(frozen=True)
class Jet:
    """A truncated Taylor value: ``value`` (N, h) and one array (N, h) or (1, h) for each channel."""

    value: Any
    parts: tuple[Any, ...]
    layout: Layout

    def affine(self, weight: Any, bias: Any, ops: Ops) -> "Jet":
        """The jet of z @ weight + bias."""
        parts = tuple(part @ weight for part in self.parts)
        return Jet(ops.affine(self.value, weight, bias), parts, self.layout)

    def compose(self, value: Any, first: Any, second: Any) -> "Jet":
        """The jet of s(z), from s(z), s'(z) and s''(z)."""
        return Jet(value, tuple(self._through(k, first, second) for k in range(len(self.parts))), self.layout)

    def _through(self, k: int, first: Any, second: Any) -> Any:
        moved = first * self.parts[k]
        form = self.layout[k].quadratic
        if not form:
            return moved
        total = None
        for i, j, coefficient in form:
            product = self.parts[i] * self.parts[j]
            product = product if coefficient == 1.0 else coefficient * product
            total = product if total is None else total + product
        return moved + second * total

    def linear(self, weight: Any) -> "Jet":
        """The jet of z @ weight."""
        return Jet(self.value @ weight, tuple(part @ weight for part in self.parts), self.layout)

    def coordinates(self, axes: Sequence[int]) -> "Jet":
        """The jet of some of the coordinates, from that of all; channels that vanish on functions of these alone
        are left out."""
        layout, kept = _restricted(self.layout, axes)
        columns = np.asarray(axes)
        return Jet(self.value[:, columns], tuple(self.parts[k][:, columns] for k in kept), layout)

    def within(self, layout: Layout) -> "Jet":
        """The same jet with all channels of ``layout``; those that were left out are zero."""
        if self.layout == layout:
            return self
        own, zero = self._by_name(), 0 * self.value
        return Jet(self.value, tuple(own.get(channel.name, zero) for channel in layout), layout)

    def _by_name(self) -> dict[str, Any]:
        return {channel.name: part for channel, part in zip(self.layout, self.parts, strict=True)}

    def __sub__(self, other: "Jet") -> "Jet":
        parts = tuple(a - b for a, b in zip(self.parts, other.parts, strict=True))
        return Jet(self.value - other.value, parts, self.layout)

    def times(self, other: "Jet", layout: Layout, ops: Ops, plus: "Jet | None" = None) -> "Jet":
        """The jet of the element-wise product with all channels of ``layout``, which either factor may lack, and
        of ``plus``, which has them all, added to it: D(fg) = f Dg + g Df + sum_ij a_ij (f_i g_j + f_j g_i)."""
        products = _products(layout, self.layout, other.layout)
        added = None if plus is None else (plus.value, *plus.parts)
        form = ops.bilinear or bilinear
        value, *parts = form(products, (self.value, *self.parts), (other.value, *other.parts), added)
        return Jet(value, tuple(parts), layout)

    def sines(self, ops: Ops) -> "Jet":
        """The jet of [sin z, cos z], twice as wide."""
        sine, cosine = ops.sin(self.value), ops.cos(self.value)
        halves = self.compose(sine, cosine, -sine), self.compose(cosine, -sine, -cosine)
        return join(halves, ops)

    def tanh_layer(self, weight: Any, bias: Any, ops: Ops) -> "Jet":
        """The jet of tanh(z @ weight + bias)."""
        if ops.tanh_layer:
            value, parts = ops.tanh_layer(self.value, self.parts, self.layout, weight, bias)
            return Jet(value, parts, self.layout)
        return self.affine(weight, bias, ops).tanh(ops)

    def tanh(self, ops: Ops) -> "Jet":
        """The jet of tanh(z)."""
        value = ops.tanh(self.value)
        first = 1 - value * value
        return self.compose(value, first, -2 * value * first)

    def named(self) -> dict[str, Any]:
        """``{channel name: (N,)}`` of a jet of width one, the value under ``""``."""
        return {"": self.value[:, 0]} | {c.name: p[:, 0] for c, p in zip(self.layout, self.parts, strict=True)}


def _restricted(layout: Layout, axes: Sequence[int]) -> tuple[Layout, tuple[int, ...]]:
    """The channels of functions of the coordinates ``axes`` alone that do not vanish, and their old positions."""
    position: dict[int, int] = {}
    for k, channel in enumerate(layout):
        if any(i in axes for i, _ in channel.first) or any(
            i in position and j in position for i, j, _ in channel.quadratic
        ):
            position[k] = len(position)

    def restricted(channel: Channel) -> Channel:
        first = tuple((i, b) for i, b in channel.first if i in axes)
        form = channel.quadratic
        kept = tuple((position[i], position[j], a) for i, j, a in form if i in position and j in position)
        return Channel(channel.name, first, kept)

    return tuple(restricted(layout[k]) for k in position), tuple(position)


Products = tuple[tuple[tuple[int, int, float], ...], ...]


@cache
def _products(layout: Layout, one: Layout, other: Layout) -> Products:
    """What the value and the channels of a product are made of: for each the (i, j, a) of sum a f_i g_j, where 0
    is the value of a factor and k + 1 its channel k."""
    mine, theirs = ({"": 0} | {c.name: k + 1 for k, c in enumerate(factor)} for factor in (one, other))
    found: list[dict[tuple[str, str], float]] = [{("", ""): 1.0}]
    for channel in layout:
        pairs = defaultdict(float, {("", channel.name): 1.0, (channel.name, ""): 1.0})
        for i, j, coefficient in channel.quadratic:
            a, b = layout[i].name, layout[j].name
            pairs[a, b] += coefficient
            pairs[b, a] += coefficient
        found.append(pairs)
    return tuple(
        tuple((mine[a], theirs[b], c) for (a, b), c in pairs.items() if a in mine and b in theirs)
        for pairs in found
    )


def bilinear(
    products: Products, one: Sequence[Any], other: Sequence[Any], plus: Sequence[Any] | None
) -> list[Any]:
    """For each of the ``products`` sum a f_i g_j, from arrays of one shape, plus an array of ``plus`` if given."""

    def total(k: int) -> Any:
        addends = [] if plus is None else [plus[k]]
        for i, j, coefficient in products[k]:
            product = one[i] * other[j]
            addends.append(product if coefficient == 1.0 else coefficient * product)
        return reduce(add, addends) if addends else 0 * one[0]

    return [total(k) for k in range(len(products))]


def join(jets: Sequence[Jet], ops: Ops) -> Jet:
    """The jet of several z side by side, all with the same channels."""
    rows = len(jets[0].value)
    parts = zip(*(jet.parts for jet in jets), strict=True)
    joined = tuple(ops.join([ops.widen(part, rows) for part in same]) for same in parts)
    return Jet(ops.join([jet.value for jet in jets]), joined, jets[0].layout)


def coordinate_jet(points: Any, shift: Any, scale: Any, layout: Layout, rows: Any) -> Jet:
    """The jet of the scaled coordinates xi = scale (X - shift).

    ``points`` (N, d); ``rows`` (C, d) are the channels of xi, the same at every point (:func:`channel_rows`).
    """
    return Jet(scale * (points - shift), tuple(rows[k : k + 1] for k in range(len(layout))), layout)


def channel_rows(layout: Layout, scale: np.ndarray) -> np.ndarray:
    """Channels of the scaled coordinates (C, d): b_i scale_i, for every second derivative of xi is zero."""
    rows = np.zeros((len(layout), len(scale)))
    for row, channel in zip(rows, layout, strict=True):
        for coordinate, coefficient in channel.first:
            row[coordinate] = coefficient * scale[coordinate]
    return rows
