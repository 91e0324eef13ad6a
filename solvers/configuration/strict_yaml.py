"""Reading YAML and JSON so that nothing is misread: what PyYAML accepts in silence is an error here.

Refused: a key given twice (PyYAML keeps the last), keys that are no text, ``yes`` and ``off`` (read as booleans),
``1:30``, ``010`` and ``0x10`` (read as numbers of base 60, 8 and 16), ``1_0`` (read as 10), dates, numbers that
are not finite, other tags than those of plain data, and anchors that expand to more than a configuration can need.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ConfigurationError", "check_plain", "key_path", "one_line", "read_value", "read_yaml"]

MOST_VALUES = 100_000
DEEPEST = 40
LONGEST_SHOWN = 120
LONGEST_PROBLEM = 2000
_TAG = "tag:yaml.org,2002:"
_COLLECTIONS = {"map", "seq"}
_SCALARS = {"str", "int", "float", "bool", "null", "merge"}


class ConfigurationError(Exception):
    """A mistake in a configuration: one line that names file, key, value and what would be right."""

    def __init__(self, source: str, key: str, value: Any, problem: str) -> None:
        self.key, self.problem = key, problem
        shown = "" if value is None else f" (value {_shown(value)})"
        key, problem = _cut(key), _cut(problem, LONGEST_PROBLEM)
        super().__init__(one_line(f"{source}: {key}{shown}: {problem}" if key else f"{source}: {problem}"))


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, or a list that holds itself
        text = f"of type {type(value).__name__}"
    return _cut(text)


def _cut(text: str, most: int = LONGEST_SHOWN) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def one_line(text: str) -> str:
    """``text`` with line breaks and all that a terminal would not print written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def key_path(parts: Iterable[Any]) -> str:
    """``("levels", 0, "stages")`` as ``levels.0.stages``."""
    return ".".join(map(str, parts))


def read_yaml(path: Path, source: str) -> Any:
    """The plain data of a YAML file; :class:`ConfigurationError` names ``source``, the place and what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(source, "", None, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(source, "", None, f"is not UTF-8 text: {error}") from None
    return _from_yaml(text, source, ())


def read_value(text: str, source: str, key: str) -> Any:
    """A value given on a command line, read as JSON, else as YAML; errors name ``source`` and ``key``."""
    path = tuple(key.split("."))
    try:
        data = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, source, key))
    except ValueError:
        return _from_yaml(text, source, path)
    except RecursionError:
        raise ConfigurationError(source, key, text, "is nested too deeply") from None
    check_plain(data, source, path)
    return data


def _unique(pairs: list[tuple[str, Any]], source: str, key: str) -> dict[str, Any]:
    for i, (name, _) in enumerate(pairs):
        if any(name == earlier for earlier, _ in pairs[:i]):
            raise ConfigurationError(source, f"{key}.{name}", None, "is given twice")
    return dict(pairs)


def _from_yaml(text: str, source: str, path: tuple[Any, ...]) -> Any:
    try:
        loader, node = _parsed(text)
        if node is None:
            return None
        _Nodes(source).check(node, path)
        data = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ConfigurationError(source, key_path(path), None, f"is not valid YAML: {_place(error)}") from None
    except RecursionError:
        raise ConfigurationError(source, key_path(path), None, "is nested too deeply") from None
    except (ValueError, LookupError) as error:  # a number of thousands of digits, or a tag on an empty text
        raise ConfigurationError(source, key_path(path), None, f"is not valid YAML: {error}") from None
    check_plain(data, source, path)
    return data


def _parsed(text: str) -> tuple[Any, yaml.Node | None]:
    """A loader with the node of the document that it has read: libyaml's where PyYAML has it, in a quarter of the
    time. What that refuses is left to PyYAML's own, which says more of what is wrong, and so is what is nested too
    deeply: libyaml's loader would overflow the stack."""
    fast = getattr(yaml, "CSafeLoader", None)
    try:
        if fast is not None and not _deep(yaml.parse(text, Loader=fast)):
            loader = fast(text)
            return loader, loader.get_single_node()
    except (yaml.YAMLError, UnicodeEncodeError):
        pass
    loader = yaml.SafeLoader(text)
    return loader, loader.get_single_node()


def _deep(events: Iterable[yaml.Event]) -> bool:
    """Whether collections are nested more than :data:`DEEPEST` deep."""
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return True
    return False


def _place(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    hint = "; indent with spaces, not tabs" if "'\\t'" in problem else ""
    return f"{where}{context + ', ' if context else ''}{problem}{hint}"


class _Nodes:
    """Walks the nodes of a document, through anchors, as often as they are used."""

    def __init__(self, source: str) -> None:
        self.source, self.seen = source, 0

    def check(self, node: yaml.Node, path: tuple[Any, ...]) -> None:
        self.seen += 1
        if self.seen > MOST_VALUES:
            self._refuse(path, None, f"expands to more than {MOST_VALUES} values")
        if len(path) > DEEPEST:
            self._refuse(path[:3], None, f"is nested more than {DEEPEST} deep")
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for i, item in enumerate(node.value):
                self.check(item, (*path, i))
        kinds = _SCALARS if isinstance(node, yaml.ScalarNode) else _COLLECTIONS
        if node.tag.removeprefix(_TAG) not in kinds:
            self._tag(node, path)
        if isinstance(node, yaml.ScalarNode) and (problem := _misread(node.tag.removeprefix(_TAG), node.value)):
            self._refuse(path, node.value, problem)

    def _mapping(self, node: yaml.MappingNode, path: tuple[Any, ...]) -> None:
        names = set()
        for key, value in node.value:
            scalar = isinstance(key, yaml.ScalarNode)
            if not scalar or key.tag not in (f"{_TAG}str", f"{_TAG}merge"):
                shown = key.value if scalar else "a list or mapping"
                self._refuse((*path, shown), None, "a key must be text; put it into quotes")
            if key.value in names:
                self._refuse((*path, key.value), None, f"is given twice, again in line {key.start_mark.line + 1}")
            names.add(key.value)
            self.check(value, (*path, key.value))

    def _tag(self, node: yaml.Node, path: tuple[Any, ...]) -> None:
        if node.tag == f"{_TAG}timestamp":
            self._refuse(path, node.value, "YAML reads it as a date: put it into quotes")
        self._refuse(path, None, f"the tag {node.tag} is not one of plain data")

    def _refuse(self, path: Iterable[Any], value: Any, problem: str) -> None:
        raise ConfigurationError(self.source, key_path(path), value, problem)


def _misread(kind: str, text: str) -> str | None:
    """What is wrong with a scalar that YAML 1.1 reads otherwise than it looks."""
    if kind == "bool" and text.lower() not in ("true", "false"):
        return "YAML reads it as true or false: write one of these, or put it into quotes"
    if kind in ("int", "float") and ":" in text:
        return "YAML reads it as a number of base 60: put it into quotes, or write the number meant"
    if kind in ("int", "float") and "_" in text:
        return "YAML reads it as a number, and leaves the underscore out: leave it out, or put it into quotes"
    digits = text.lstrip("+-").lower()
    if kind == "int" and digits.startswith(("0x", "0b")):
        base = 16 if digits.startswith("0x") else 2
        return f"YAML reads it as a number of base {base}: write the number meant, or put it into quotes"
    if kind == "int" and len(digits) > 1 and digits.startswith("0") and digits.isdecimal():
        return "YAML reads it as a number of base 8: write it without the leading zero"
    return None


def check_plain(data: Any, source: str, path: tuple[Any, ...] = ()) -> None:
    """Refuse what JSON cannot hold or a computation cannot use: keys that are no text, dates, numbers that are not
    finite or take more than 64 bits, broken text."""
    if len(path) > DEEPEST:
        raise ConfigurationError(source, key_path(path[:3]), None, f"is nested more than {DEEPEST} deep")
    if isinstance(data, dict):
        for key, value in data.items():
            if not isinstance(key, str):
                raise ConfigurationError(source, key_path((*path, key)), None, "a key must be text")
            check_plain(value, source, (*path, key))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            check_plain(value, source, (*path, i))
    elif problem := _unusable(data):
        raise ConfigurationError(source, key_path(path), str(data), problem)


def _unusable(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else "must be a finite number"
    if isinstance(value, int):
        return None if abs(value) < 2**63 else "must be a number of at most 64 bits"
    if not isinstance(value, str):
        return "must be a number, a text, a list or a mapping"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not a text in Unicode"
    return None
