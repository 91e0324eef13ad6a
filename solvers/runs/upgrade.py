"""Records of older schemas as ones of today: numbers and provenance stay, the specification is laid out anew.

1: without ``restarts`` and checksums, and ``last`` always there. 2: with them. Both have the balancing rule once
for all levels, its exponents by level, and ``groups``; their ``spec_hash`` is of the complete specification,
defaults and names too. 3: the specification as it is today, hashed by :mod:`solvers.configuration.identity`.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["SCHEMA_VERSION", "text_hash", "upgrade"]

SCHEMA_VERSION: Final = 3


def text_hash(data: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of ``data`` as JSON, whatever the order of its keys: the hash of a specification in
    schemas 1 and 2."""
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def upgrade(data: Mapping[str, Any]) -> dict[str, Any]:
    """A record of any schema as one of this, its hash of the specification and its checksum left as they are.

    Raises ``KeyError``, ``TypeError`` or ``AttributeError`` if it is not what a record of its schema is.
    """
    record = dict(data)
    if record["schema_version"] < SCHEMA_VERSION:
        record |= {"spec": _specification(record["spec"]), "schema_version": SCHEMA_VERSION}
    return record


def _specification(old: Mapping[str, Any]) -> dict[str, Any]:
    """That of schema 1 or 2 in today's layout, its keys in today's order."""
    spec = copy.deepcopy(dict(old))
    groups, rule = spec.pop("groups", {}), spec.pop("balancing")
    levels = [_level(level, rule) for level in spec.pop("levels")]
    evaluation = spec.pop("evaluation")
    grouping = {"name": "boxes", "boxes": groups} if groups else None
    laid: dict[str, Any] = {}
    for key, value in spec.items():
        laid[key] = value
        if key == "points":
            laid["grouping"] = grouping
    return laid | {"levels": levels, "evaluation": evaluation}


def _level(level: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    """A level with the balancing rule and its exponents, which only rules that have them stated."""
    exponents = level.get("exponents", {})
    balancing = dict(rule) | ({"exponents": exponents} if exponents else {})
    return {"balancing": balancing, "stages": [stage | _EVERY_STAGE for stage in level["stages"]]}


_EVERY_STAGE = {"objective": "identity", "precision": None}
"""What every stage did before it could say so."""
