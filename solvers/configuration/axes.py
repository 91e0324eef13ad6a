"""Axes of a study: a key of the specification with values for it, or variants that change several keys each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solvers.configuration.documents import AxisEntry
from solvers.configuration.overrides import Override, parse_key
from solvers.configuration.strict_yaml import ConfigurationError

__all__ = ["Axis", "axes_of"]

MOST_POINTS = 10_000
Point = tuple[Override, ...]


@dataclass(frozen=True)
class Axis:
    """An axis: its name in tables; what each of its values changes, keys as for ``--set``; the numbers or texts
    that stand in tables for the values; and by its places in the study's file the changes stated there."""

    name: str
    values: tuple[Point, ...]
    shown: tuple[Any, ...]
    stated: Mapping[str, Override]

    def value_of(self, overrides: Iterable[str]) -> Any:
        """The number or text that stands in tables for the value that a run's overrides give this axis, the one
        that changes most if several do; ``None`` if they give it none of the axis's values."""
        given = set(overrides)
        found = [
            (len(point), shown)
            for point, shown in zip(self.values, self.shown, strict=True)
            if given.issuperset(map(str, point))
        ]
        return max(found, key=lambda one: one[0])[1] if found else None


def axes_of(entries: Sequence[AxisEntry], source: str) -> tuple[Axis, ...]:
    """The axes of the study ``source``; :class:`ConfigurationError` for what cannot be one."""
    axes = tuple(_axis(axis, source, f"axes.{i}") for i, axis in enumerate(entries))
    for i, axis in enumerate(axes):
        if axis.name in [other.name for other in axes[:i]]:
            raise ConfigurationError(source, f"axes.{i}.name", axis.name, "another axis has this name")
    points = 1
    for axis in axes:
        points *= len(axis.values)
    if points > MOST_POINTS:
        raise ConfigurationError(source, "axes", None, f"span {points} points; at most {MOST_POINTS} are allowed")
    return axes


def _axis(entry: AxisEntry, source: str, at: str) -> Axis:
    if entry.variants is not None:
        return _variants(entry, entry.variants, source, at)
    if entry.path is None or entry.values is None:
        missing = "path" if entry.path is None else "values"
        problem = "is missing: an axis has a path and values, or a name and variants"
        raise ConfigurationError(source, f"{at}.{missing}", None, problem)
    keys = parse_key(entry.path, source, f"{at}.path")
    overrides = [Override(keys, value) for value in entry.values]
    texts = [str(override) for override in overrides]
    for i, text in enumerate(texts):
        if text in texts[:i]:
            raise ConfigurationError(source, f"{at}.values.{i}", entry.values[i], "stands there twice")
    if entry.labels is not None and len(set(entry.labels)) != len(entry.values):
        problem = f"must be {len(entry.values)} different texts, one for each value"
        raise ConfigurationError(source, f"{at}.labels", entry.labels, problem)
    plain = all(isinstance(value, int | float | str) for value in entry.values)
    shown = entry.labels or (entry.values if plain else [text.partition("=")[2] for text in texts])
    points = tuple((override,) for override in overrides)
    return Axis(entry.name or entry.path, points, tuple(shown), {"path": overrides[0]})


def _variants(entry: AxisEntry, variants: Mapping[str, Mapping[str, Any]], source: str, at: str) -> Axis:
    if entry.name is None:
        raise ConfigurationError(source, f"{at}.name", None, "is missing: an axis of variants needs one")
    for key in ("path", "values", "labels"):
        if getattr(entry, key) is not None:
            problem = "an axis has a path and values, or a name and variants"
            raise ConfigurationError(source, f"{at}.{key}", getattr(entry, key), problem)
    points = {
        name: tuple(
            Override(parse_key(key, source, f"{at}.variants.{name}.{key}"), value)
            for key, value in changes.items()
        )
        for name, changes in variants.items()
    }
    seen: dict[frozenset[str], str] = {}
    for name, point in points.items():
        other = seen.setdefault(frozenset(map(str, point)), name)
        if other != name:
            raise ConfigurationError(source, f"{at}.variants.{name}", None, f"changes the same as {other}")
    stated = {f"variants.{name}.{one.key}": one for name, point in points.items() for one in point}
    return Axis(entry.name, tuple(points.values()), tuple(points), stated)
