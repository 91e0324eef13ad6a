"""A checkpoint that is damaged, or not one, is named once and not used: training starts anew."""

import copy
from pathlib import Path

import numpy as np
import pytest

from solvers.runs import checkpoint
from solvers.runs.checkpoint import Checkpoints
from solvers.runs.record import read_run
from solvers.runs.run import Conditions, give_up, run
from solvers.training.records import Snapshot
from tests.conftest import smoke_spec
from tests.faults.checkpoints import CHANGES, signed, snapshot_of

SPEC = smoke_spec(("heat-0.3", "pinn"), "torch", "paper")


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> bytes:
    """The checkpoint of a run that was cut short."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    assert run(SPEC, folder, Conditions(time_limit=1e-3)).status == "time-limit"
    return Checkpoints(folder, {}).path.read_bytes()


@pytest.fixture
def folder(begun: bytes, tmp_path: Path) -> Path:
    path = Checkpoints(tmp_path / "run", {}).path
    path.parent.mkdir()
    path.write_bytes(begun)
    return tmp_path / "run"


def test_a_whole_one_is_gone_on_from(folder):
    assert len(run(SPEC, folder).restarts) == 1


@pytest.mark.parametrize("part", np.linspace(0, 1, 25))
def test_no_flipped_bit_is_taken(folder, begun, caplog, part):
    place = int(part * (len(begun) - 1))
    path = Checkpoints(folder, {}).path
    path.write_bytes(begun[:place] + bytes([begun[place] ^ 4]) + begun[place + 1 :])
    assert Checkpoints(folder, {}).load() is None and caplog.text.count("not used") == 1


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_state_of_training_starts_anew_with_one_word(folder, caplog, change):
    """The checksum is right: written by a program, not by chance."""
    state, arrays = snapshot_of(folder)
    CHANGES[change](state, arrays)
    Checkpoints(folder, {}).path.write_bytes(signed(state, arrays))
    record = run(SPEC, folder, Conditions(time_limit=1e-3))
    assert record.status == "time-limit" and not record.restarts
    said = [record for record in caplog.records if "checkpoint" in record.getMessage()]
    assert len(said) == 1 and "\n" not in said[0].getMessage(), caplog.text


@pytest.mark.parametrize("change", ["results", "no-theta", "data-list", "broken_row"])
def test_what_is_no_state_of_training_is_given_up_too(folder, change):
    state, arrays = snapshot_of(folder)
    CHANGES[change](state, arrays)
    Checkpoints(folder, {}).path.write_bytes(signed(state, arrays))
    assert give_up(SPEC, folder, "killed") == read_run(folder)
    assert read_run(folder).iterations == 0


def test_the_checksum_is_of_names_types_shapes_and_numbers():
    arrays = {"theta": np.arange(4.0), "memory.step": np.array(3)}
    same = checkpoint._checksum("{}", copy.deepcopy(arrays))
    others = [
        ("{ }", arrays),
        ("{}", arrays | {"theta": np.arange(4.0).reshape(2, 2)}),
        ("{}", arrays | {"theta": np.arange(4)}),
        ("{}", {"other": arrays["theta"], "memory.step": arrays["memory.step"]}),
        ("{}", {"theta": arrays["theta"]}),
    ]
    assert checkpoint._checksum("{}", arrays) == same
    assert all(checkpoint._checksum(*other) != same for other in others)


def test_saved_and_loaded_are_the_same(tmp_path):
    arrays = {"theta": np.arange(3.0), "empty": np.zeros((0, 2)), "number": np.array(7)}
    kept = Checkpoints(tmp_path / "run", {"code": "a"})
    kept.save(Snapshot({"step": [1, None, 0.1]}, arrays))
    found = kept.load()
    assert found.data == {"step": [1, None, 0.1]} and found.arrays.keys() == arrays.keys()
    assert all(np.array_equal(found.arrays[name], array) for name, array in arrays.items())
