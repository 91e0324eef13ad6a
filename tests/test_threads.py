"""Runs on one machine find cores and cards of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from solvers.threads import bind_one_card
from tests.conftest import ROOT

THREADS = """
from solvers.threads import bind_one_thread
core = bind_one_thread()
import jax
from pathlib import Path
assert jax.numpy.ones(9).sum() == 9
names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
print(core, names.count("tf_XLAEigen"))
"""


@contextmanager
def claiming(function: str, scratch: Path) -> Iterator[str]:
    """What a process that claims something finds, and holds until the context ends."""
    code = f"import sys; from pathlib import Path; from solvers.threads import *; print({function}, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
    ) as run:  # at the end its input is closed, so that it ends
        yield run.stdout.readline().strip()


def claims(devices: Path, runs: int, scratch: Path) -> list[str]:
    """The cards of so many runs that are there at once, in their order."""
    with ExitStack() as stack:
        claim = f"bind_one_card(Path({str(devices)!r}))"
        return [stack.enter_context(claiming(claim, scratch)) for _ in range(runs)]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are not claimed on this system")
def test_without_a_free_core_jax_has_one_thread_all_the_same(tmp_path: Path):
    """With more, XLA has been seen to wait forever."""
    cores = os.sched_getaffinity(0)
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    with ExitStack() as stack:
        held = [stack.enter_context(claiming("bind_one_thread()", tmp_path)) for _ in cores]
        found = subprocess.check_output([sys.executable, "-c", THREADS], env=environment, text=True)
    assert sorted(map(int, held)) == sorted(cores)
    assert found.split() == ["None", "1"]


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("nvidiactl", "nvidia-uvm", "null"):
        (folder / name).touch()
    return folder


def test_runs_at_once_are_spread_over_the_cards(devices: Path, tmp_path: Path):
    """A card's number is its place among those that are there, whatever the name of its file."""
    for name in ("nvidia4", "nvidia7"):
        (devices / name).touch()
    assert claims(devices, 5, tmp_path) == ["0", "1", "0", "1", "0"]
    assert claims(devices, 1, tmp_path) == ["0"]  # those of before have ended


@pytest.mark.parametrize("given", [None, "", "3", "GPU-8f6e"])
def test_a_card_chosen_by_a_scheduler_stays(devices: Path, given: str | None, monkeypatch: pytest.MonkeyPatch):
    (devices / "nvidia3").touch()
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        (devices / "nvidia4").touch()
    assert bind_one_card(devices) is None
