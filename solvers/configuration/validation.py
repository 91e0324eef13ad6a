"""Validation with messages that a person can act on: which key, which value, what is allowed."""

import copy
import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from solvers.plugins import KeyProblem, unknown

__all__ = ["KeyProblem", "Name", "StrictModel", "adapter", "first_problem", "hint", "one_of", "plugin"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=100)]
"""A name that is also the name of a folder: letters, digits and . _ + - behind the first."""


class StrictModel(BaseModel):
    """Frozen, no type coercion, unknown keys refused with the list of those allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in sorted(set(data) - set(cls.model_fields)):
                raise KeyProblem(key, data[key], unknown("key", key, sorted(cls.model_fields)))
        return data


def one_of(names: Callable[[], Any]) -> AfterValidator:
    """Of a string: that it is one of ``names()``, asked at validation time."""

    def check(value: str) -> str:
        if value not in names():
            raise ValueError(unknown("name", value, names()))
        return value

    return AfterValidator(check)


_WORDS = {
    "missing": "is missing",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "dataclass_type": "must be a mapping of keys to values",
    "list_type": "must be a list",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "string_type": "must be a text",
}
"""What pydantic says in the words of JSON, in those of YAML."""


def first_problem(error: ValidationError, data: Any) -> tuple[str, Any, str]:
    """Key, value and what is wrong, of the first mistake that pydantic found in ``data``.

    The key is a path into ``data``: pydantic's own names for members of a union are left out.
    """
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    where = _path(first["loc"], data, first["type"] == "missing")
    if isinstance(cause, KeyProblem):
        return ".".join(filter(None, [*where, cause.key])), cause.value, cause.problem
    value = None if isinstance(first["input"], dict) else first["input"]
    problem = str(cause) if cause else _WORDS.get(first["type"], first["msg"].replace(" after validation", ""))
    return ".".join(where), value, problem + hint(first["type"], first["input"])


def _path(location: Sequence[int | str], data: Any, missing: bool) -> list[str]:
    kept = []
    for i, part in enumerate(location):
        found = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if found or (missing and i == len(location) - 1):
            kept.append(str(part))
        data = data[part] if found else data
    return kept


def hint(kind: str, value: Any) -> str:
    """How to write what was probably meant: YAML 1.1 reads ``1e-3`` as text and ``2024`` as a number."""
    if kind == "missing":
        return ""
    if value is None or (isinstance(value, dict) and kind.endswith("_type")):
        return f"; {'nothing' if value is None else 'a mapping'} is given"
    if kind.startswith(("int", "float")) and isinstance(value, str | float):
        return _number_hint(value, whole=kind.startswith("int"))
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "; put it into quotes if a text is meant"
    return ""


def _number_hint(value: str | float, whole: bool) -> str:
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number) or (whole and not number.is_integer()):
        return ""
    reading = "YAML reads it as text: " if isinstance(value, str) else ""
    return f"; {reading}write {int(number) if whole else number}"


SMALLEST = float(np.finfo(np.float32).tiny)
"""The smallest number that float32 holds with all its digits."""
Complete = Callable[[dict[str, Any]], dict[str, Any]]


def plugin(load: Callable[[str], type], selector: str, others: Sequence[str] = ()) -> Complete:
    """A validator for ``{selector: plug-in name, its fields}`` that returns it with all defaults filled in;
    ``others`` are keys allowed beside them, for the message."""

    def complete(data: dict[str, Any]) -> dict[str, Any]:
        cls, options = _class_of(load, selector, data)
        allowed = [selector, *(field.name for field in dataclasses.fields(cls)), *others]
        for key in sorted(set(options) - set(allowed[1:])):
            raise KeyProblem(key, options[key], unknown("key", key, allowed))
        for key, value in options.items():
            if isinstance(value, float) and (problem := _unusable(value)):
                raise KeyProblem(key, str(value), problem)
        try:
            built = copy.deepcopy(_with_defaults(cls, json.dumps(options)))
        except ValidationError as error:
            key, value, problem = first_problem(error, options)
            if not key:  # the class itself complains, of one field or of several together
                named = {name: options[name] for name in options if name in problem}
                key = next(iter(named)) if len(named) == 1 else ""
                value = named[key] if key else named or data[selector]
            raise KeyProblem(key, value, problem) from None
        except TypeError as error:  # the plug-in's own: a method is missing, say
            raise KeyProblem(selector, data[selector], f"is no working plug-in: {error}") from None
        return {selector: data[selector]} | built

    return complete


@lru_cache(maxsize=4096)
def _with_defaults(cls: type, options: str) -> dict[str, Any]:
    """All fields of the dataclass from these, in JSON. The layers of a specification and the points of a study ask
    for the same ones again and again."""
    return dataclasses.asdict(adapter(cls).validate_json(options, strict=True))


def _unusable(value: float) -> str | None:
    """What is wrong with a number that no precision of a network can hold."""
    if not np.isfinite(value):
        return "must be a finite number"
    if 0 < abs(value) < SMALLEST:
        return f"is nothing in float32: must be 0, or {SMALLEST:.2g} or more in size"
    return None


@cache
def adapter(cls: type) -> TypeAdapter:
    """Pydantic's validator of a dataclass, made once."""
    return TypeAdapter(cls)


def _class_of(load: Callable[[str], type], selector: str, data: dict[str, Any]) -> tuple[type, dict[str, Any]]:
    if selector not in data:
        raise KeyProblem(selector, None, "is missing")
    try:
        cls = load(data[selector])
    except ValueError as error:
        raise KeyProblem(selector, data[selector], str(error)) from None
    return cls, {key: value for key, value in data.items() if key != selector}
