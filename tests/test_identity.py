"""The hash of a specification: what it covers, what it leaves out, and that no default changes unnoticed.

``python -m tests.test_identity`` records the defaults as they are now.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import create_model

from solvers import optimizers
from solvers.configuration import identity
from solvers.configuration.identity import IDENTITY_VERSION, canonical, every_default, is_current, spec_hash
from solvers.configuration.spec import RunSpec
from tests.conftest import smoke_spec

RECORDED = Path(__file__).with_name("defaults.json")
RECORD = "record them with `python -m tests.test_identity`"
GRS = smoke_spec(("pulse", "mmpinn-grs"), "torch")


def edited(spec: RunSpec, *keys: str | int, value: object) -> RunSpec:
    """The specification with one value changed."""
    data = spec.model_dump(mode="json")
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return RunSpec.model_validate_json(json.dumps(data))


def test_a_hash_tells_its_version():
    version, _, digits = spec_hash(GRS).partition("-")
    assert version == str(IDENTITY_VERSION) and len(digits) == 16 and int(digits, 16) >= 0
    assert is_current(spec_hash(GRS)) and not is_current("0-" + digits) and not is_current(digits)


def test_a_raised_version_makes_every_hash_another(monkeypatch):
    before = spec_hash(GRS)
    monkeypatch.setattr(identity, "IDENTITY_VERSION", IDENTITY_VERSION + 1)
    after = spec_hash(GRS)
    assert before.partition("-")[2] != after.partition("-")[2] and not is_current(before)


@pytest.mark.parametrize("label", ["method", "numerics", "scale", "overrides"])
def test_labels_do_not_count(label):
    other = ["network.width=10"] if label == "overrides" else "other"
    assert spec_hash(GRS.model_copy(update={label: other})) == spec_hash(GRS)


CHANGES = [
    (("experiment",), "other"),
    (("backend",), "jax"),
    (("seed",), 1),
    (("problem", "h"), 0.03),
    (("points", "residual", "count"), 51),
    (("points", "residual", "strategy"), "uniform"),
    (("grouping", "boxes", "ridge", "t"), [0.2, 0.7]),
    (("inputs",), "raw"),
    (("network", "width"), 11),
    (("network", "weights"), "xavier"),
    (("precision",), "float32"),
    (("chunk_size",), 7),
    (("levels", 1, "balancing", "exponents", "residual.ridge"), 5.0),
    (("levels", 0, "stages", 0, "learning_rate"), 0.002),
    (("levels", 0, "stages", 0, "objective"), "log"),
    (("levels", 0, "stages", 0, "precision"), "float32"),
    (("levels", 3, "stages", 0, "iterations"), 16),
    (("evaluation", "every"), 6),
]


@pytest.mark.parametrize(
    ("keys", "value"), CHANGES, ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else ""
)
def test_a_changed_value_counts(keys, value):
    assert spec_hash(edited(GRS, *keys, value=value)) != spec_hash(GRS)


def test_a_hard_constraint_leaves_out_the_points_of_conditions():
    free = smoke_spec(("heat-0.15", "pinn"), "torch")
    hard = smoke_spec(("heat-0.15", "hard-constraint"), "torch")
    term = next(name for name in hard.points if name != "residual")
    count = hard.points[term]["count"] + 1
    assert spec_hash(edited(hard, "points", term, "count", value=count)) == spec_hash(hard)
    assert spec_hash(edited(free, "points", term, "count", value=count)) != spec_hash(free)
    assert spec_hash(edited(hard, "trial", value="identity")) != spec_hash(hard)


def test_what_equals_its_default_is_left_out():
    found = canonical(GRS)
    assert found["problem"] == {"name": "pulse"}
    assert not {"inputs", "trial", "chunk_size"} & set(found)
    assert found["levels"][0]["stages"][0] == {"optimizer": "adam", "iterations": 20}
    assert found["grouping"]["name"] == "boxes" and "boxes" in found["grouping"]


def with_field(cls: type, name: str, default: object) -> type:
    """The plug-in with one more setting."""
    made = dataclass(frozen=True)(
        type(cls.__name__, (cls,), {"__annotations__": {name: type(default)}, name: default})
    )
    assert name in {field.name for field in dataclasses.fields(made)}
    return made


def test_a_new_setting_with_a_default_leaves_the_hash(monkeypatch):
    before = spec_hash(GRS)
    data = GRS.model_dump(mode="json")
    new = {name: with_field(optimizers.load(name), "novel", 0.5) for name in optimizers.names()}
    monkeypatch.setattr(optimizers, "load", new.__getitem__)

    def with_novel(value: float) -> RunSpec:
        for level in data["levels"]:
            for stage in level["stages"]:
                stage["novel"] = value
        levels = [type(GRS.levels[0]).model_construct(**level) for level in data["levels"]]
        return GRS.model_copy(update={"levels": levels})

    assert spec_hash(with_novel(0.5)) == before
    assert spec_hash(with_novel(0.6)) != before


def test_a_new_field_of_a_run_with_a_default_leaves_the_hash(monkeypatch):
    wider = create_model("RunSpec", __base__=RunSpec, novel=(int, 3))
    monkeypatch.setattr(identity, "RunSpec", wider)
    data = GRS.model_dump(mode="json")
    assert spec_hash(wider.model_validate_json(json.dumps(data))) == spec_hash(GRS)
    assert spec_hash(wider.model_validate_json(json.dumps(data | {"novel": 4}))) != spec_hash(GRS)


def changed_defaults(recorded: dict, now: dict) -> list[str]:
    """Settings whose default is another now, or which have none any more, that were recorded."""
    return [
        f"{section}.{key}"
        for section, defaults in recorded.items()
        for key, value in defaults.items()
        if section in now and (key not in now[section] or now[section][key] != value)
    ]


def test_no_default_changes_without_a_new_version():
    """A hash leaves out defaults: a run with the old one would pass for a run with the new one."""
    recorded = json.loads(RECORDED.read_text())
    changed = changed_defaults(recorded["defaults"], every_default())
    if recorded["version"] == IDENTITY_VERSION:
        assert not changed, f"defaults have changed: {changed}; raise IDENTITY_VERSION, then {RECORD}"
    assert recorded["version"] == IDENTITY_VERSION, f"the defaults recorded are of another version; {RECORD}"


def test_every_default_is_recorded():
    """New ones need no new version, but are watched only once they are recorded."""
    assert json.loads(RECORDED.read_text())["defaults"] == every_default(), f"there are new defaults; {RECORD}"


def test_a_changed_default_is_found():
    now = every_default()
    other = json.loads(json.dumps(now))
    other["optimizer adam"]["beta1"] = 0.8
    del other["optimizer lbfgs"]["history"]
    other["network dense"]["novel"] = 1
    del other["sampler sobol"]
    assert changed_defaults(now, other) == ["optimizer adam.beta1", "optimizer lbfgs.history"]


if __name__ == "__main__":
    old = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"version": 0, "defaults": {}}
    if old["version"] == IDENTITY_VERSION and (changed := changed_defaults(old["defaults"], every_default())):
        raise SystemExit(f"defaults have changed: {changed}; raise IDENTITY_VERSION first")
    recorded = {"version": IDENTITY_VERSION, "defaults": every_default()}
    RECORDED.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
