"""Files of the configuration as the models of what stands in them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from solvers.configuration.strict_yaml import ConfigurationError, read_yaml
from solvers.configuration.validation import StrictModel, first_problem
from solvers.paths import ROOT

__all__ = ["checked", "mapping_of", "read_model", "source_of"]

T = TypeVar("T", bound=StrictModel)


def read_model(model: type[T], path: Path) -> T:
    """The YAML file ``path`` as ``model``; :class:`ConfigurationError` for whatever is wrong with it."""
    return checked(model, mapping_of(path), source_of(path))


def mapping_of(path: Path) -> dict[str, Any]:
    """The YAML file ``path``, which must be a mapping; :class:`ConfigurationError` if it is none."""
    source = source_of(path)
    data = read_yaml(path, source)
    if not isinstance(data, dict):
        raise ConfigurationError(source, "", None, "must be a mapping of keys to values")
    return data


def checked(
    model: type[T],
    data: Mapping[str, Any],
    source: str,
    place: Callable[[str], str] = lambda key: key,
    context: str | None = None,
) -> T:
    """``data`` as ``model``, types taken strictly; the first problem as a :class:`ConfigurationError`, at the
    ``place`` in the source that its key comes from."""
    try:
        return model.model_validate_json(json.dumps(data, default=str), strict=True, context=context)
    except ValidationError as error:
        key, value, problem = first_problem(error, data)
        raise ConfigurationError(source, place(key), value, problem) from None


def source_of(path: Path) -> str:
    """How messages name a file: from the root of the project if it is inside."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
