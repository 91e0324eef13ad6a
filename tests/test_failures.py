"""What goes wrong is a result, or is named: time, memory, bugs, damaged files."""

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import pytest
import torch

from solvers import backends
from solvers.runs.files import folder_beside
from solvers.runs.record import FAILURES, FILES, RecordError, checksum_of, read_fields, read_history
from solvers.runs.run import Conditions, run
from tests.conftest import smoke_spec
from workflow.analysis.summary import summarise

METHOD = ("heat-0.3", "mmpinn")


def test_a_run_over_its_time_ends_with_what_it_has_and_goes_on_with_more(tmp_path, backend_name):
    spec = smoke_spec(METHOD, backend_name)
    whole = run(spec, tmp_path / "whole")
    cut = run(spec, tmp_path / "cut", Conditions(time_limit=1e-3))
    assert cut.status == "time-limit" and "0.001 s are over at iteration" in cut.reason
    assert 0 < cut.iterations < whole.iterations and cut.last.rel_l2 > 0
    assert cut.stages[-1].reason == "time-limit"
    assert folder_beside(tmp_path / "cut").exists()
    # The limit counts from the start of the process, which has run other tests.
    more = run(spec, tmp_path / "cut", Conditions(time_limit=1e6))
    assert more.status == "finished" and more.last == whole.last and len(more.restarts) == 1
    assert not folder_beside(tmp_path / "cut").exists()


def too_much(backend: str) -> None:
    """Ask the framework for more memory than any machine has."""
    if backend == "torch":
        torch.empty(10**15)
    else:
        jnp.zeros(10**14).block_until_ready()


MOMENTS = {"setting up": "__init__", "Adam": "scan", "L-BFGS": "call"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_want_of_memory_is_a_result(tmp_path, monkeypatch, backend_name, moment):
    backend = backends.load(backend_name)
    monkeypatch.setattr(backend, MOMENTS[moment], lambda *arguments, **options: too_much(backend_name))
    record = run(smoke_spec(METHOD, backend_name), tmp_path)
    assert record.status == "out-of-memory" and record.reason
    assert all((tmp_path / file).exists() for file in FILES)
    assert (record.last is None) == (moment == "setting up")
    table = summarise([tmp_path])
    assert table.status.item() == "out-of-memory" and table.status.item() in FAILURES
    if moment == "setting up":
        assert read_history(tmp_path).empty and read_fields(tmp_path) == {}


@pytest.mark.parametrize("place", ["scan", "call"])
def test_a_bug_is_not_a_result(tmp_path, monkeypatch, backend_name, place):
    def broken(*arguments, **options):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(backends.load(backend_name), place, broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(smoke_spec(METHOD, backend_name), tmp_path)
    assert not (tmp_path / "run.json").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run(smoke_spec(METHOD, "torch"), folder)
    return folder


def cut(content: bytes, part: float) -> bytes:
    return content[: int(part * len(content))]


def flipped(content: bytes, part: float) -> bytes:
    place = int(part * (len(content) - 1))
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {f"cut-{part}": (cut, part) for part in (0.0, 0.1, 0.5, 0.9, 0.999)}
DAMAGES |= {f"flipped-{part}": (flipped, part) for part in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_not_counted(tmp_path, finished, name, damage):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    change, part = DAMAGES[damage]
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(change(content, part))
    with pytest.raises(RecordError) as found:
        summarise([finished, folder])
    first, last = str(found.value).splitlines()[0], str(found.value).splitlines()[-1]
    assert str(folder / name) in first and "damaged runs: 1" in last


@pytest.mark.parametrize(
    "key", ["last", "iterations", "status", "terms", "seconds", "provenance", "spec", "sha256"]
)
def test_an_edited_record_is_named(tmp_path, finished, key):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run/run.json"
    data = json.loads(path.read_text())
    text = json.dumps(data[key])
    digit = next(d for d in "123456789" if d in text) if any(d in text for d in "123456789") else "f"
    data[key] = json.loads(text.replace(digit, "2" if digit != "2" else "3", 1)) if key != "status" else "diverged"
    path.write_text(json.dumps(data))
    with pytest.raises(RecordError, match=r"run\.json: "):
        summarise([tmp_path / "run"])


def test_a_checksum_does_not_depend_on_the_order_of_keys():
    assert checksum_of({"a": 1, "b": [2, 3.5]}) == checksum_of({"b": [2, 3.5], "a": 1, "checksum": "x"})
