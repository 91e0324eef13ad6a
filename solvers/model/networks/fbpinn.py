"""Domain decomposition: small networks on overlapping boxes, joined by smooth windows (FBPINN: Moseley, Markham
and Nissen-Meyer, arXiv 2107.07871; with levels Dolean, Heinlein, Mishra and Moseley, arXiv 2306.05486)."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar

import numpy as np

from problems.base import Problem
from solvers.model.jets import Jet, Layout, Ops
from solvers.model.networks.base import Biases, Network, Weights, layer_shapes, xavier
from solvers.model.terms import INPUTS
from solvers.plugins import KeyProblem

__all__ = ["Fbpinn"]


@dataclass(frozen=True)
class Fbpinn(Network):
    """u(z) = sum_j w_j(z) N_j((z - c_j) / s_j): a network N_j of ``depth`` hidden tanh layers of ``width`` units
    and a linear output on each of J boxes with centre c_j and half-widths s_j.

    ``boxes`` is their number along each coordinate, or, as one number, how many there are in all, equally many
    along each. The outermost centres lie on the ends of the domain, the others at equal distances between; a box
    is ``overlap`` times that distance wide, so that at most two of them cover a point along a coordinate. A single
    box is the domain. Of several ``levels`` the last has the ``boxes``, each one before it half as many along
    each coordinate, rounded up; u is then the mean of the levels.

    The window of a box is the product over the coordinates k of cos^4(pi y_k / 2) = ((1 + cos(pi y_k)) / 2)^2,
    y = (z - c_j) / s_j, zero outside the box, divided by the sum of those of all boxes of its level. Beyond the
    domain the outermost boxes go on. Windows are functions of the coordinates alone: they are computed once for
    points that stay, with their exact derivatives. Every network is evaluated at every point, in one batched
    product a layer.

    ``bounds`` are lower and upper ends, by coordinate, in the scaled coordinates; by default those of the domain.
    Other than in the papers' code the networks' outputs are not unnormalised, and conditions are built in by the
    trial function or not at all.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    boxes: int | list[int]
    width: int
    depth: int
    overlap: float = 1.9
    levels: int = 1
    bounds: list[list[float]] | None = None
    weights: Weights = "truncated-xavier"
    biases: Biases = "zero"

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 1:
            raise ValueError(f"width {self.width} and depth {self.depth} must be at least 1")
        given = self.boxes if isinstance(self.boxes, list) else [self.boxes]
        if not given or min(given) < 1:
            raise KeyProblem("boxes", self.boxes, "must be at least 1, in all or along each coordinate")
        if not 1 < self.overlap <= 2:
            raise KeyProblem("overlap", self.overlap, "must be greater than 1, or boxes leave gaps, and at most 2")
        if self.levels < 1:
            raise KeyProblem("levels", self.levels, "must be at least 1")
        if self.bounds is not None and not all(len(pair) == 2 and pair[0] < pair[1] for pair in self.bounds):
            raise KeyProblem("bounds", self.bounds, "must be a pair [lower, upper] for each coordinate")

    def adapted(self, problem: Problem, scale: np.ndarray) -> "Fbpinn":
        """With the domain's bounds in the scaled coordinates, in numbers."""
        self._counts(problem.dimension)
        if self.bounds is not None:
            if len(self.bounds) != problem.dimension:
                needed = f"needs a pair [lower, upper] for each of {list(problem.coordinates)}"
                raise KeyProblem("bounds", self.bounds, needed)
            return self
        ends = _ends(problem, scale)
        if len(ends) != 1:
            needed = f"must be given: the scale {scale.tolist()} of the coordinates does not tell them"
            raise KeyProblem("bounds", None, needed)
        return replace(self, bounds=[list(pair) for pair in ends.pop()])

    def _counts(self, dimension: int) -> list[int]:
        """The boxes of the last level along each coordinate."""
        if isinstance(self.boxes, list):
            if len(self.boxes) != dimension:
                needed = f"needs a number for each of the {dimension} coordinates, or one for all boxes"
                raise KeyProblem("boxes", self.boxes, needed)
            return self.boxes
        count = round(self.boxes ** (1 / dimension))
        if count**dimension != self.boxes:
            needed = f"is not n^{dimension} boxes, n along each of the {dimension} coordinates"
            raise KeyProblem("boxes", self.boxes, f"{needed}; give a list of {dimension} numbers")
        return [count] * dimension

    def _grids(self, dimension: int) -> list[list[int]]:
        """The boxes along each coordinate, level by level."""
        finest = self._counts(dimension)
        return [[-(-count // 2**k) for count in finest] for k in reversed(range(self.levels))]

    def _networks(self, dimension: int) -> int:
        return sum(int(np.prod(grid)) for grid in self._grids(dimension))

    def shapes(self, dimension: int) -> dict[str, tuple[int, ...]]:
        """``layer0.weight`` (J, d, width), ``layer0.bias`` (J, 1, width), ... of all J networks together."""
        shapes = layer_shapes([dimension, *[self.width] * self.depth, 1])
        count = self._networks(dimension)
        return {name: (count, *((1, *shape) if len(shape) == 1 else shape)) for name, shape in shapes.items()}

    def layer_weights(self, dimension: int) -> list[str]:
        """Those of all networks together."""
        return [name for name in self.shapes(dimension) if name.endswith(".weight")]

    def initialise(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Xavier weights, each network's of its own, and the chosen biases."""

        def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
            if name.endswith(".weight"):
                return np.stack([xavier(rng, shape[1], shape[2], self.weights) for _ in range(shape[0])])
            return rng.standard_normal(shape) if self.biases == "normal" else np.zeros(shape)

        return {name: drawn(name, shape) for name, shape in self.shapes(dimension).items()}

    def frozen(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """``centres`` and ``halves`` (J, d): c and s of the boxes. ``first`` and ``last`` (J, d): 1 for the
        outermost boxes of a coordinate, at its lower and its upper end, else 0. ``together`` (J, J): the number of
        levels for two boxes of one level, else 0. None of them is drawn."""
        bounds = np.array(self.bounds if self.bounds is not None else [[-1.0, 1.0]] * dimension)
        rows: list[np.ndarray] = []
        levels: list[int] = []
        for level, grid in enumerate(self._grids(dimension)):
            along = [self._row(lower, upper, count) for (lower, upper), count in zip(bounds, grid, strict=True)]
            own = [np.array(box) for box in itertools.product(*along)]
            rows, levels = rows + own, levels + [level] * len(own)
        together = self.levels * np.equal.outer(levels, levels).astype(float)
        names = ("centres", "halves", "first", "last")
        return {name: np.stack(rows)[:, :, i] for i, name in enumerate(names)} | {"together": together}

    def _row(self, lower: float, upper: float, count: int) -> list[tuple[float, float, float, float]]:
        """Centre, half-width and whether it is the first and the last, of each box along a coordinate."""
        if count == 1:
            return [((lower + upper) / 2, (upper - lower) / 2, 1.0, 1.0)]
        half = self.overlap * (upper - lower) / (count - 1) / 2
        centres = np.linspace(lower, upper, count)
        return [(centre, half, float(i == 0), float(i == count - 1)) for i, centre in enumerate(centres)]

    def features(self, frozen: Mapping[str, Any], inputs: Jet, ops: Ops) -> tuple[Jet, ...]:
        """Coordinates of each box, (J, d, N), and the windows, (J, 1, N): points side by side, which makes the
        products with small matrices faster than points one below the other."""
        centres, halves = frozen["centres"][:, :, None], frozen["halves"][:, :, None]
        parts = tuple(part.T[None] / halves for part in inputs.parts)
        own = Jet((inputs.value.T[None] - centres) / halves, parts, inputs.layout)
        windows = self.windows(frozen, inputs, ops)
        parts = tuple(part.T[:, None] for part in windows.parts)
        return own, Jet(windows.value.T[:, None], parts, windows.layout)

    def windows(self, frozen: Mapping[str, Any], inputs: Jet, ops: Ops) -> Jet:
        """The jet of the windows w_j (N, J), whose sum over j is 1, from that of the scaled coordinates (N, d)."""
        layout = inputs.layout

        def along(k: int) -> Jet:
            row = inputs.coordinates([k])
            centre, half = frozen["centres"][None, :, k], frozen["halves"][None, :, k]
            scaled = Jet((row.value - centre) / half, tuple(part / half for part in row.parts), row.layout)
            return _bump(scaled, frozen["first"][None, :, k], frozen["last"][None, :, k], ops)

        products = reduce(
            lambda jet, factor: jet.times(factor, layout, ops), map(along, range(inputs.value.shape[1]))
        )
        products = products.within(layout)
        sums = products.linear(frozen["together"])
        inverse = 1 / sums.value
        return products.times(sums.compose(inverse, -(inverse**2), 2 * inverse**3), layout, ops)

    def forward(self, parameters: Mapping[str, Any], features: Sequence[Jet], layout: Layout, ops: Ops) -> Jet:
        """Every network in its box's coordinates, times its window, and their sum."""
        jet, windows = features
        for i in range(self.depth):
            jet = _batched(jet, parameters, f"layer{i}").tanh(ops)
        product = _batched(jet, parameters, f"layer{self.depth}").times(windows, layout, ops)
        return Jet(product.value.sum(0).T, tuple(part.sum(0).T for part in product.parts), layout)


def _ends(problem: Problem, scale: np.ndarray) -> set[tuple[tuple[float, float], ...]]:
    """The domain's ends in scaled coordinates, for every scaling of the inputs that has this ``scale`` (d,)."""
    found = set()
    for scaling in INPUTS.values():
        shift, own = scaling(problem.lower, problem.upper)
        if np.array_equal(own, scale):
            ends = own * (np.stack([problem.lower, problem.upper]) - shift)
            found.add(tuple((float(lower), float(upper)) for lower, upper in ends.T))
    return found


def _bump(jet: Jet, first: Any, last: Any, ops: Ops) -> Jet:
    """The jet of cos^4(pi z / 2) for abs(z) < 1, zero elsewhere; one below z = 0 for the ``first`` boxes and above
    it for the ``last``, where no other box reaches; one everywhere for a single box, which is both."""
    z = jet.value
    varies = (1 - first * last) * (1 - first * (z < 0)) * (1 - last * (z > 0))
    angle = np.pi / 2 * z
    cosine, sine = varies * (abs(z) < 1) * ops.cos(angle), ops.sin(angle)
    square = cosine * cosine
    first_derivative = -2 * np.pi * square * cosine * sine
    second_derivative = np.pi**2 * square * (3 * sine * sine - square)
    return jet.compose(square * square + (1 - varies), first_derivative, second_derivative)


def _batched(jet: Jet, parameters: Mapping[str, Any], layer: str) -> Jet:
    """The jet of z @ weight + bias, of each network by its own, with points side by side."""
    weight, bias = (parameters[f"{layer}.{name}"].swapaxes(1, 2) for name in ("weight", "bias"))
    return Jet(weight @ jet.value + bias, tuple(weight @ part for part in jet.parts), jet.layout)
