"""Runs on one machine find cores and cards of their own."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from solvers.threads import bind_one_card
from tests.conftest import ROOT

CLAIM = "import sys; from pathlib import Path; from solvers.threads import bind_one_card\n"


def claims(devices: Path, runs: int, scratch: Path) -> list[str]:
    """The cards of so many runs that are there at once, in their order."""
    code = f"{CLAIM}print(bind_one_card(Path({str(devices)!r})), flush=True); sys.stdin.read()"
    environment = {"TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        cards = []
        for _ in range(runs):
            run = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            stack.enter_context(run)  # at the end its input is closed, so that it ends
            cards.append(run.stdout.readline().strip())
        return cards


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
