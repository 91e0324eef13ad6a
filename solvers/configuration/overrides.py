"""``--set KEY=VALUE``: any key of a run's specification, one at a time.

A key is a path whose parts are separated by dots; a list is entered by index (``levels.0.stages.1.iterations``),
and a part that contains dots is quoted (``levels.0.balancing.exponents."residual.ridge"``). Overrides have one
normal form, so that the same point of a study has one name, however it was typed.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solvers.configuration.strict_yaml import ConfigurationError, read_value
from solvers.plugins import KeyProblem

__all__ = ["OVERRIDES", "Override", "merge", "merge_items", "nested", "parse_key", "parse_overrides"]

OVERRIDES = "--set"
DEEPEST_KEY = 12
LARGEST_WHOLE = 10**15
_PART = r'(?:"(?:[^"\\]|\\.)*"|[^".=]+)'
_KEY = re.compile(rf"{_PART}(?:\.{_PART})*")
_PARTS = re.compile(_PART)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Override:
    """The value that one key of a specification gets."""

    keys: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        """The key as it is typed, a part with dots in quotes."""
        return ".".join(
            part if _PARTS.fullmatch(part) and '"' not in part else _quoted(part) for part in self.keys
        )

    def __str__(self) -> str:
        return f"{self.key}={_text(self.value)}"


def _quoted(part: str) -> str:
    return json.dumps(part, ensure_ascii=False)


def _text(value: Any) -> str:
    """The value in its one form: a word as it is, anything else as JSON with sorted keys."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and _is_word(value):
        return value
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _is_word(text: str) -> bool:
    """Whether it is read as the text that it is: not ``null``, ``true`` or ``yes``."""
    try:
        return read_value(text, "", "") == text
    except ConfigurationError:
        return False


def _whole(value: Any) -> Any:
    """Whole numbers without a decimal point, wherever they stand."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_WHOLE:
        return int(value)
    return value


def parse_key(text: str, source: str, at: str = "") -> tuple[str, ...]:
    """``levels.0."a.b"`` as ``("levels", "0", "a.b")``; :class:`ConfigurationError` at ``at`` if it is none."""
    parts = _PARTS.findall(text) if _KEY.fullmatch(text) else []
    try:
        keys = tuple(json.loads(part) if part.startswith('"') else part.strip() for part in parts)
    except ValueError:
        keys = ()
    if not keys or not all(keys) or len(keys) > DEEPEST_KEY:
        raise ConfigurationError(source, at, text[:80], "must be keys separated by dots, such as problem.epsilon")
    return keys


def parse_overrides(assignments: Iterable[str]) -> tuple[Override, ...]:
    """``["problem.epsilon=0.2"]`` in order of their keys; values are read as JSON, else as YAML.

    Raises :class:`ConfigurationError` for what cannot be read, and for keys given twice or inside each other.
    """
    found: list[Override] = []
    for assignment in assignments:
        override = _parsed(assignment)
        for other in found:
            _check_apart(override, other)
        found.append(override)
    return tuple(sorted(found, key=lambda override: override.keys))


def _parsed(assignment: str) -> Override:
    key = _KEY.match(assignment)
    if key is None or assignment[key.end() : key.end() + 1] != "=":
        raise ConfigurationError(OVERRIDES, "", None, f"{assignment[:80]!r} must read KEY.KEY=VALUE")
    keys = parse_key(key[0], OVERRIDES)
    return Override(keys, read_value(assignment[key.end() + 1 :], OVERRIDES, key[0]))


def _check_apart(override: Override, other: Override) -> None:
    """Refuse two overrides of one key. One may enter what the other gives where that says nothing of it."""
    outer, inner = sorted((override, other), key=lambda one: len(one.keys))
    if inner.keys[: len(outer.keys)] != outer.keys:
        return
    if inner.keys == outer.keys:
        raise ConfigurationError(OVERRIDES, override.key, None, "is given twice")
    if _states(outer.value, inner.keys[len(outer.keys) :]):
        problem = f"is in conflict with --set {other.key}=..."
        raise ConfigurationError(OVERRIDES, override.key, None, problem)


def _states(value: Any, keys: Sequence[str]) -> bool:
    """Whether ``value`` says something of what stands at ``keys`` inside it."""
    if not keys:
        return True
    if isinstance(value, dict):
        return keys[0] in value and _states(value[keys[0]], keys[1:])
    if isinstance(value, list):
        return not _is_index(keys[0]) or (int(keys[0]) < len(value) and _states(value[int(keys[0])], keys[1:]))
    return True


def nested(overrides: Iterable[Override]) -> dict[str, Any]:
    """Overrides as one nested mapping. Raises :class:`ConfigurationError` for an index out of range."""
    tree: dict[str, Any] = {}
    for override in sorted(overrides, key=lambda override: override.keys):
        value = override.value
        for key in reversed(override.keys):
            value = {key: value}
        try:
            tree = merge(tree, value)
        except KeyProblem as error:
            raise ConfigurationError(OVERRIDES, error.key, error.value, error.problem) from None
    return tree


def merge(base: Mapping[str, Any], over: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """``base`` with ``over`` laid on: mappings are merged, lists are entered by a mapping of indexes, everything
    else is replaced. Raises :class:`KeyProblem` for an index out of range; ``at`` is where ``base`` stands."""
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merged(merged.get(key), value, f"{at}{key}")
    return merged


def _merged(old: Any, new: Any, at: str) -> Any:
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return merge(old, new, f"{at}.")
    if isinstance(new, Mapping) and isinstance(old, list) and new and all(_is_index(key) for key in new):
        return merge_items(old, new, at, _merged)
    return new


def merge_items(items: Sequence[Any], over: Mapping[str, Any], at: str, lay: Any) -> list[Any]:
    """The list ``items`` with ``lay(item, value, at)`` in place of the items whose indexes are the keys of
    ``over``. Raises :class:`KeyProblem` for an index that there is not."""
    changed = list(items)
    for key, value in over.items():
        if not _is_index(key) or int(key) >= len(items):
            allowed = ", ".join(map(str, range(len(items)))) or "none"
            raise KeyProblem(f"{at}.{key}", None, f"no such index; allowed: {allowed}")
        changed[int(key)] = lay(changed[int(key)], value, f"{at}.{key}")
    return changed


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) < 10
