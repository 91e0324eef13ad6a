"""The place of a run: formatted and parsed in one module, safe as a folder's name, one for equal runs."""

import re
from pathlib import Path

import pytest

from solvers.runs.place import DEPTH, PATTERN, Place, run_folder, variant_of
from tests.conftest import smoke_spec

SPEC = smoke_spec(("heat-0.3", "pinn"), "torch", "paper", seed=3)
HASH = re.compile(r"[0-9a-f]{16}")


def overridden(*texts: str) -> Place:
    return Place.of(SPEC.model_copy(update={"overrides": list(texts)}))


def test_a_run_has_one_folder():
    place = Place.of(SPEC)
    assert place == Place("smoke", "heat-0.3", "", "pinn", "torch", "paper", 3)
    assert run_folder(SPEC, Path("x")) == place.folder(Path("x")) == Path("x/smoke/heat-0.3/pinn/torch/paper/3")
    assert run_folder(SPEC).parts[0] == "results"


@pytest.mark.parametrize(
    "texts", [[], ["problem.epsilon=0.2"], ["network.width=7", "network.depth=2"], ["points.residual.count={}"]]
)
def test_what_is_formatted_is_parsed(texts):
    place = overridden(*texts)
    assert Place.parse(place.path) == Place.parse(str(place.path)) == place
    assert PATTERN.format(**place.wildcards) == str(place.path)
    assert len(place.path.parts) == DEPTH


@pytest.mark.parametrize(
    "path",
    [
        "smoke/heat-0.3/pinn/torch/paper",
        "results/smoke/heat-0.3/pinn/torch/paper/3",
        "smoke/heat-0.3@/pinn/torch/paper/3",
        "smoke/heat-0.3@a=1@b=2/pinn/torch/paper/3",
        "smoke/@a=1/pinn/torch/paper/3",
        "smoke/heat 0.3/pinn/torch/paper/3",
        "../heat-0.3/pinn/torch/paper/3",
        "smoke/heat-0.3/pinn/torch/paper/03",
        "smoke/heat-0.3/pinn/torch/paper/-1",
        "smoke/heat-0.3/pinn/torch/paper/.merging-x",
    ],
)
def test_what_is_no_place_is_refused(path):
    with pytest.raises(ValueError, match=re.escape(path)):
        Place.parse(path)


def test_overrides_are_read_in_the_name_whatever_their_order():
    assert variant_of(["network.width=7", "network.depth=2"]) == "network.depth=2~network.width=7"
    assert overridden("network.width=7", "network.depth=2") == overridden("network.depth=2", "network.width=7")
    assert overridden("problem.epsilon=0.2").path.parts[1] == "heat-0.3@problem.epsilon=0.2"


@pytest.mark.parametrize(
    "text",
    [
        'levels=[{"stages": []}]',
        "network.name='dense'",
        "a=../../x",
        "a=b c",
        "a={}",
        "a=x@y",
        "a=b\\c",
        "a=1,b=2",
        "a=",
        "",
        "..",
        "a\nb=1",
        "a=é",
        "a=" + "1" * 119,
    ],
)
def test_what_would_make_no_good_name_is_hashed(text):
    folder = overridden(text).path.parts[1]
    assert re.fullmatch(r"[A-Za-z0-9._=+~@-]{1,140}", folder)
    assert (HASH.fullmatch(folder.partition("@")[2]) is not None) == (text != "a=")


def test_different_overrides_have_different_names():
    given = [["a=1,b=2"], ["a=1", "b=2"], ["a=1"], ["a={}"], ["a={ }"], ["a='1'", "b=2"], ["a=1 b=2"], [], [""]]
    assert len({variant_of(texts) for texts in given}) == len(given)


def test_runs_are_found_where_they_stand(tmp_path):
    made = [Place("smoke", "heat-0.3", variant, "pinn", "jax", "paper", 0) for variant in ("", "a=1")]
    made.append(Place("quick", "heat-0.3", "", "pinn", "jax", "paper", 0))
    hidden = Path("smoke/heat-0.3/pinn/jax/paper/.merging-x")
    for path in (*(place.path for place in made), hidden, Path("archive") / made[0].path):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "run.json").touch()
    (tmp_path / "smoke/heat-0.3/pinn/jax/paper/7").mkdir()

    def found(**known: str) -> set[Place]:
        return {Place.parse(folder.relative_to(tmp_path)) for folder in Place.glob(tmp_path, **known)}

    assert found() == set(made)
    assert found(scale="smoke") == set(made[:2])
    assert found(scale="smoke", experiment="heat-0.3@a=1") == {made[1]}
    assert found(experiment="*") == set()
    with pytest.raises(TypeError, match="cale: no part of a place"):
        list(Place.glob(tmp_path, cale="smoke"))
