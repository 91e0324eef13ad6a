"""Maps of fields over two coordinates, and slices through more: proportions, colour scales, labels."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from workflow.analysis.figures.style import WIDTH

__all__ = ["Cut", "Scale", "colour_bars", "cuts", "decades", "map_height", "show_map", "value_scale"]

TIME = "t"
SEQUENTIAL, DIVERGING, ERRORS = "viridis", "RdBu_r", "magma"
SIGNED = 0.05  # from this share of the largest absolute value on, the smaller side counts as a sign of its own
MOST_DECADES = 8
SLICES = (0.25, 0.5, 0.75)  # of a third coordinate's range
SLICES_OF_MORE = (0.5,)  # of each coordinate beyond
MOST_ELONGATED = 4.0  # more than this between two coordinates' lengths, and a map is not drawn in proportion
COLOUR_BARS, BESIDE, TITLE = 1.5, 0.4, 0.55  # inches: two bars at the right, labels beside a map, its title
TITLE_WIDTH = 26  # characters


@dataclass(frozen=True)
class Scale:
    """Numbers to colours."""

    norm: Normalize
    map: str


def value_scale(values: np.ndarray) -> Scale:
    """The colours of a field: diverging from zero if it has both signs, else from its least to its largest
    value."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    extent = max(-low, high)
    if -low > SIGNED * extent and high > SIGNED * extent:
        return Scale(Normalize(-extent, extent), DIVERGING)
    return Scale(Normalize(low, high), SEQUENTIAL)


def decades(fields: Sequence[np.ndarray]) -> Scale:
    """One logarithmic scale in whole decades for fields that are not negative: up to the largest value, and down
    to a decade below the median of the smallest field; at most eight."""
    known = [f[np.isfinite(f) & (f > 0)] for f in fields]
    known = [f for f in known if f.size]
    if not known:
        return Scale(LogNorm(0.1, 1.0, clip=True), ERRORS)
    top = int(np.ceil(np.log10(max(f.max() for f in known)) - 1e-9))
    low = int(np.floor(np.log10(min(np.median(f) for f in known)))) - 1
    low = min(max(low, top - MOST_DECADES), top - 1)
    return Scale(LogNorm(10.0**low, 10.0**top, clip=True), ERRORS)


@dataclass(frozen=True)
class Cut:
    """A plane of a field's grid: the two coordinates that are shown, and the nodes of those that are ``fixed``."""

    axes: Mapping[str, np.ndarray]
    fixed: Mapping[str, float] = field(default_factory=dict)
    index: tuple[slice | int, ...] = ()

    @property
    def name(self) -> str:
        """Where it is: ``t = 0.5``; empty if there is but one plane."""
        return ", ".join(f"{name} = {value:.3g}" for name, value in self.fixed.items())

    def of(self, values: np.ndarray) -> np.ndarray:
        """The plane of a field on the whole grid."""
        return values[self.index] if self.index else values


def cuts(axes: Mapping[str, np.ndarray]) -> list[Cut]:
    """The planes in which a field over ``axes`` is shown: all of it up to two coordinates; of three, slices at a
    quarter, half and three quarters of the time, or of the last coordinate if there is no time; of every further
    coordinate the middle."""
    if len(axes) <= 2:
        return [Cut(axes)]
    names = list(axes)
    by_rank = [*([TIME] if TIME in names else []), *(name for name in reversed(names) if name != TIME)]
    fixed = by_rank[: len(names) - 2]
    shares = [SLICES if i == 0 else SLICES_OF_MORE for i in range(len(fixed))]
    nodes = [
        [round(share * (len(axes[name]) - 1)) for share in of] for name, of in zip(fixed, shares, strict=True)
    ]
    found = []
    for chosen in product(*nodes):
        at = dict(zip(fixed, chosen, strict=True))
        found.append(
            Cut(
                {name: values for name, values in axes.items() if name not in at},
                {name: float(axes[name][node]) for name, node in at.items()},
                tuple(at.get(name, slice(None)) for name in names),
            )
        )
    return found


def _directions(cut: Cut) -> tuple[str, str]:
    """The coordinates to the right and upwards: time runs to the right, else the first one does."""
    first, second = cut.axes
    return (second, first) if second == TIME else (first, second)


def _length(values: np.ndarray) -> float:
    return float(values[-1] - values[0])


def _elongation(cut: Cut) -> float:
    across, upwards = _directions(cut)
    return _length(cut.axes[upwards]) / _length(cut.axes[across])


def map_height(cut: Cut, columns: int) -> float:
    """Inches for a row of maps in their true proportions, titles included."""
    ratio = _elongation(cut)
    if not 1 / MOST_ELONGATED <= ratio <= MOST_ELONGATED:
        ratio = 1.0
    return ((WIDTH - COLOUR_BARS) / columns - BESIDE) * ratio + TITLE


def show_map(axis: Axes, cut: Cut, values: np.ndarray, scale: Scale, title: str) -> AxesImage:
    """A field in one plane, each coordinate uniform, in its true proportions unless one is many times longer; the
    title says which plane it is."""
    across, upwards = _directions(cut)
    shown = cut.of(values)
    if next(iter(cut.axes)) == across:
        shown = shown.T
    axis.set_axis_on()
    axis.grid(False)
    x, y = cut.axes[across], cut.axes[upwards]
    half = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    extent = (x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1])
    equal = 1 / MOST_ELONGATED <= _elongation(cut) <= MOST_ELONGATED
    mesh = axis.imshow(
        shown,
        norm=scale.norm,
        cmap=scale.map,
        extent=extent,
        origin="lower",
        aspect="equal" if equal else "auto",
        interpolation="nearest",
    )
    lines = [*textwrap.wrap(title, TITLE_WIDTH), *filter(None, [cut.name])]
    axis.set_title("\n".join(lines), fontsize="x-small")
    axis.set_xlabel(across, labelpad=1)
    axis.set_ylabel(upwards, labelpad=1)
    axis.set_xticks([float(x[0]), float(x[-1])])  # most of the time of drawing goes into ticks
    axis.set_yticks([float(y[0]), float(y[-1])])
    axis.tick_params(labelsize="xx-small", length=2, pad=1)
    return mesh


def colour_bars(figure: Figure, axes: np.ndarray, bars: Sequence[tuple[AxesImage | None, str]]) -> None:
    """Bars at the right of all ``axes``, for those scales that were used."""
    height = figure.get_figheight()
    for mesh, label in bars:
        if mesh is not None:
            shrink = min(1.0, max(3.0 / height, 0.3))
            figure.colorbar(mesh, ax=axes, label=label, extend="both", shrink=shrink, aspect=30, pad=0.01)
