"""A run's sections while they are put together, and how a layer is laid on them.

The sections are those of a specification, but that stages still know the name under which the experiment lists
them: ``{stage: lbfgs, optimizer: lbfgs, ...}``, so that a layer can change all stages of a name.
"""

from collections.abc import Mapping
from typing import Any

from solvers.configuration.documents import Experiment, Layer
from solvers.configuration.overrides import merge, merge_items
from solvers.plugins import KeyProblem, unknown

__all__ = ["SUPERVISED", "base_sections", "lay", "levels_of_run", "section"]

Sections = dict[str, Any]
WHOLE = ("inputs", "trial", "precision", "chunk_size")
NAME = "stage"
LEVEL = ("balancing", "stages")
SUPERVISED, RESIDUAL = "supervised", "residual"


def section(base: Mapping[str, Any], over: Mapping[str, Any], at: str = "", selector: str = "name") -> Sections:
    """A plug-in's section with another laid on; one that names a plug-in replaces the whole."""
    return dict(over) if selector in over else merge(base, over, f"{at}." if at else "")


def base_sections(experiment: Experiment, method: str) -> Sections:
    """The experiment's sections for one method, at the paper's scale. Raises :class:`KeyProblem` for a level that
    names a stage which the experiment does not have."""
    document = experiment.model_dump()
    chosen = document["methods"][method]
    sections = {
        "problem": document["problem"],
        "points": _points(document["points"], chosen["points"]),
        "grouping": chosen["grouping"],
        "inputs": chosen["inputs"] or document["inputs"],
        "network": section(document["network"], chosen["network"], "network"),
        "trial": chosen["trial"],
        "balancing": chosen["balancing"],
        "evaluation": merge(document["evaluation"], chosen["evaluation"], "evaluation."),
        "precision": "float32",
        "stages": document["stages"],
    }
    return sections | {"levels": _levels(sections, chosen["levels"])}


def _points(base: Mapping[str, Any], over: Mapping[str, Any]) -> Sections:
    """Another sampler takes over the count of the one before, which every sampler has, and nothing else. What is
    said of a term wins over what is said of all supervised ones."""
    if SUPERVISED in over:
        shared = {term: over[SUPERVISED] for term in base if term != RESIDUAL}
        own = {term: section for term, section in over.items() if term != SUPERVISED}
        return _points(_points(base, shared), own)
    changed = {term: section(base.get(term, {}), own, f"points.{term}", "strategy") for term, own in over.items()}
    counts = {term: {"count": own["count"]} for term, own in base.items() if term in changed and "count" in own}
    return dict(base) | {term: counts.get(term, {}) | own for term, own in changed.items()}


def lay(sections: Sections, layer: Layer) -> Sections:
    """``sections`` with one layer laid on. Raises :class:`KeyProblem`.

    What is said of one level wins over what is said of all: first the stages by name and by optimizer, and the
    balancing of all levels, then ``levels``.
    """
    laid = sections | {name: getattr(layer, name) for name in WHOLE if name in layer.model_fields_set}
    laid["problem"] = section(sections["problem"], layer.problem, "problem")
    laid["network"] = section(sections["network"], layer.network, "network")
    laid["points"] = _points(sections["points"], layer.points)
    laid["evaluation"] = merge(sections["evaluation"], layer.evaluation, "evaluation.")
    laid["balancing"] = section(sections["balancing"], layer.balancing, "balancing")
    if "grouping" in layer.model_fields_set:
        own = layer.grouping
        laid["grouping"] = own if own is None else section(sections["grouping"] or {}, own, "grouping")
    laid["stages"] = {name: _laid_stage(name, stage, layer) for name, stage in sections["stages"].items()}
    laid["levels"] = [
        {
            "balancing": section(level["balancing"], layer.balancing, "balancing"),
            "stages": [_laid_stage(stage.get(NAME), stage, layer) for stage in level["stages"]],
        }
        for level in sections["levels"]
    ]
    if "levels" in layer.model_fields_set:
        laid["levels"] = _levels(laid, layer.levels)
    return laid


def _laid_stage(name: str | None, stage: Mapping[str, Any], layer: Layer) -> Sections:
    """A stage with what the layer says of its name, then of its optimizer."""
    kept = {NAME: name} if NAME in stage else {}
    laid = kept | section(stage, layer.stages.get(name or "", {}), f"stages.{name}", "optimizer")
    optimizer = laid.get("optimizer")
    shared = layer.optimizers.get(optimizer, {}) if isinstance(optimizer, str) else {}
    return merge(laid, shared, f"optimizers.{optimizer}.")


def _levels(sections: Sections, over: Any) -> list[Sections]:
    """The levels with a list in their place, or with a mapping of indexes laid on."""
    if isinstance(over, list):
        empty = {"balancing": sections["balancing"], "stages": []}
        return [_level(sections, empty, level, f"levels.{i}") for i, level in enumerate(over)]
    if not isinstance(over, Mapping):
        raise KeyProblem("levels", over, "must be a list of levels, or a mapping from indexes to what changes")

    def lay_level(level: Sections, own: Any, at: str) -> Sections:
        return _level(sections, level, own, at)

    return merge_items(sections["levels"], over, "levels", lay_level)


def _mapping(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise KeyProblem(at, value, "must be a mapping of keys to values")
    return value


def _level(sections: Sections, level: Sections, over: Any, at: str) -> Sections:
    for key, value in _mapping(over, at).items():
        if key not in LEVEL:
            raise KeyProblem(f"{at}.{key}", value, unknown("key", key, LEVEL))
    balancing = _mapping(over.get("balancing", {}), f"{at}.balancing")
    return {
        "balancing": section(level["balancing"], balancing, f"{at}.balancing"),
        "stages": _stages(sections, level["stages"], over.get("stages", {}), f"{at}.stages"),
    }


def _stages(sections: Sections, stages: list[Sections], over: Any, at: str) -> list[Sections]:
    """The stages of a level with a list in their place, or with a mapping of indexes laid on."""
    if isinstance(over, list):
        return [_stage(sections, {}, entry, f"{at}.{i}") for i, entry in enumerate(over)]

    def lay_stage(stage: Sections, own: Any, place: str) -> Sections:
        return _stage(sections, stage, own, place)

    return merge_items(stages, _mapping(over, at), at, lay_stage)


def _stage(sections: Sections, stage: Sections, over: Any, at: str) -> Sections:
    """A stage by name, by name with changes, by its optimizer; or the one there is, with changes."""
    own = {NAME: over} if isinstance(over, str) else dict(_mapping(over, at))
    if NAME not in own:
        return section(stage, own, at, "optimizer")
    name = own.pop(NAME)
    if not isinstance(name, str) or name not in sections["stages"]:
        raise KeyProblem(at, name, unknown("name", name, sections["stages"]))
    return {NAME: name} | section(sections["stages"][name], own, at, "optimizer")


def levels_of_run(sections: Sections) -> list[Sections]:
    """The levels as a specification has them, their stages without names."""
    return [
        {
            "balancing": level["balancing"],
            "stages": [{key: value for key, value in stage.items() if key != NAME} for stage in level["stages"]],
        }
        for level in sections["levels"]
    ]
