"""The identity of a run: a hash of what its numbers depend on, and of no more.

A value that equals its default is left out, so that a new setting with a default leaves every old hash as it is.
In return a default must not change unnoticed: whoever changes one raises :data:`IDENTITY_VERSION`, which makes
every hash another (``tests/test_identity.py`` holds the defaults).
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

import problems
from solvers import balancing, optimizers
from solvers.configuration.spec import EvaluationSpec, EveryStage, LevelSpec, RunSpec
from solvers.model import networks
from solvers.points import groupings, samplers

__all__ = ["IDENTITY_VERSION", "canonical", "every_default", "is_current", "spec_hash"]

IDENTITY_VERSION = 1
"""To be raised when a default changes, or what :func:`canonical` leaves out."""
LABELS = ("method", "numerics", "scale", "overrides")
"""Names that say where a specification came from. Chance depends on experiment and seed: these two count."""

Section = Mapping[str, Any]
Defaults = Callable[[str], dict[str, Any]]


def spec_hash(spec: RunSpec) -> str:
    """The version of this module, a dash, and 16 hexadecimal digits of the canonical form."""
    text = json.dumps(canonical(spec), sort_keys=True)
    return f"{IDENTITY_VERSION}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def is_current(made: str) -> bool:
    """Whether the hash ``made`` is of this version, so that it can be compared with one made now."""
    return made.startswith(f"{IDENTITY_VERSION}-")


def canonical(spec: RunSpec) -> dict[str, Any]:
    """The specification as JSON data without labels, without defaults, and without points of terms that a hard
    constraint leaves out."""
    data = spec.model_dump(mode="json", exclude=set(LABELS))
    data["problem"] = _without(_problem_defaults, "name", data["problem"])
    data["network"] = _without(_class_defaults(networks.load), "name", data["network"])
    points = {term: data["points"][term] for term in spec.used_terms}
    data["points"] = {t: _without(_class_defaults(samplers.load), "strategy", own) for t, own in points.items()}
    if data["grouping"] is not None:
        data["grouping"] = _without(_class_defaults(groupings.load), "name", data["grouping"])
    data["levels"] = [_level(level) for level in data["levels"]]
    data["evaluation"] = _differing(data["evaluation"], _model_defaults(EvaluationSpec))
    return _differing(data, _model_defaults(RunSpec)) | {"version": IDENTITY_VERSION}


def _level(level: Section) -> dict[str, Any]:
    own = dict(level)
    own["balancing"] = _without(_class_defaults(balancing.load), "name", own["balancing"])
    own["stages"] = [_without(_stage_defaults, "optimizer", stage) for stage in own["stages"]]
    return _differing(own, _model_defaults(LevelSpec))


def _without(defaults: Defaults, selector: str, section: Section) -> dict[str, Any]:
    """A plug-in's section with what differs from the plug-in's defaults; its name stays."""
    name = section[selector]
    rest = {key: value for key, value in section.items() if key != selector}
    return {selector: name} | _differing(rest, defaults(name))


def _differing(section: Section, defaults: Section) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in defaults or defaults[key] != value}


def _class_defaults(load: Callable[[str], type]) -> Defaults:
    """A function that gives the defaults of the plug-in of that name: those of its dataclass."""

    def defaults(name: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field in dataclasses.fields(load(name)):
            if field.default is not dataclasses.MISSING:
                found[field.name] = field.default
            elif field.default_factory is not dataclasses.MISSING:
                found[field.name] = field.default_factory()
        return to_jsonable_python(found)

    return defaults


def _model_defaults(model: type[BaseModel]) -> dict[str, Any]:
    fields = {name: f.get_default(call_default_factory=True) for name, f in model.model_fields.items()}
    return to_jsonable_python({name: value for name, value in fields.items() if value is not PydanticUndefined})


def _stage_defaults(name: str) -> dict[str, Any]:
    """Those of the optimizer and of every stage."""
    return _model_defaults(EveryStage) | _class_defaults(optimizers.load)(name)


def _problem_defaults(name: str) -> dict[str, Any]:
    return {key: parameter.default for key, parameter in problems.parameters(name).items()}


def every_default() -> dict[str, dict[str, Any]]:
    """All defaults that a hash may leave out, by the section that has them, such as ``optimizer adam``."""
    kinds: dict[str, tuple[list[str], Defaults]] = {
        "problem": (problems.names(), _problem_defaults),
        "network": (networks.names(), _class_defaults(networks.load)),
        "sampler": (samplers.names(), _class_defaults(samplers.load)),
        "grouping": (groupings.names(), _class_defaults(groupings.load)),
        "balancing": (balancing.names(), _class_defaults(balancing.load)),
        "optimizer": (optimizers.names(), _class_defaults(optimizers.load)),
    }
    models: dict[str, type[BaseModel]] = {
        "run": RunSpec,
        "level": LevelSpec,
        "stage": EveryStage,
        "evaluation": EvaluationSpec,
    }
    return {kind: _model_defaults(model) for kind, model in models.items()} | {
        f"{kind} {name}": defaults(name) for kind, (names, defaults) in kinds.items() for name in names
    }
