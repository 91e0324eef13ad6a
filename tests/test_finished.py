"""A finished run is not lost to a worse one, to a crash, or to a kill or a full disk while it is replaced."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from solvers.runs import files, record
from solvers.runs.checkpoint import Checkpoints
from solvers.runs.contents import check_run
from solvers.runs.files import folder_beside
from solvers.runs.record import FILES, RecordError, mend, read_run
from solvers.runs.run import Conditions, give_up, run
from tests.conftest import ROOT, smoke_spec

SPEC = smoke_spec(("heat-0.3", "pinn"), "torch", "paper")
COMMAND = [sys.executable, "-m", "solvers", "run", "heat-0.3", "pinn", "--backend", "torch", "--scale", "smoke"]
PLACE = Path("smoke/heat-0.3/pinn/torch/paper/0")


class Killed(BaseException):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    run(SPEC, folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / PLACE))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_finished_run_is_taken_as_it_is(folder, caplog):
    before = contents(folder)
    assert run(SPEC, folder, Conditions(time_limit=1e-3)) == read_run(folder)
    assert contents(folder) == before and "is there already, finished; --force trains anew" in caplog.text


def test_force_trains_anew(folder):
    first = read_run(folder)
    again = run(SPEC, folder, Conditions(anew=True))
    assert again.provenance.started > first.provenance.started or again.seconds != first.seconds
    assert again == read_run(folder) and again.last == first.last
    assert not folder_beside(folder).exists()


def test_a_forced_run_that_is_cut_short_leaves_the_finished_one_and_goes_on(folder, caplog):
    before = contents(folder)
    for conditions in (Conditions(anew=True, time_limit=1e-3), Conditions(time_limit=1e-3)):
        assert run(SPEC, folder, conditions).status == "finished"
        assert contents(folder) == before and "the run that is there stays" in caplog.text
    again = run(SPEC, folder)
    assert again.status == "finished" and len(again.restarts) >= 1
    assert contents(folder) != before and not folder_beside(folder).exists()


def test_a_finished_run_is_not_given_up(folder):
    before = contents(folder)
    assert give_up(SPEC, folder, "killed 4 times").status == "finished" and contents(folder) == before


def test_a_run_cut_short_that_has_an_error_is_worth_more_than_a_killed_one(tmp_path):
    cut = run(SPEC, tmp_path / "run", Conditions(time_limit=1e-3))
    assert cut.status == "time-limit"
    assert give_up(SPEC, tmp_path / "run", "killed 4 times") == cut == read_run(tmp_path / "run")
    assert run(SPEC, tmp_path / "run").status == "finished"


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_run_is_made_again(folder, name):
    (folder / name).write_bytes(b"no")
    assert run(SPEC, folder).status == "finished"
    check_run(folder)


def environment(tmp_path: Path, code: str) -> dict[str, str]:
    """One in which every process of Python runs ``code`` first."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(code)
    return os.environ | {"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"}


KILL = "import os, signal\ndef kill(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
SUPERVISED = """
import os, sys
import solvers.runs.supervisor as supervisor
supervisor.RESTARTS = 1
if 'run' in sys.argv and os.environ.get('MMPINN_SUPERVISOR'):
    exec({!r})
"""
"""Two attempts and not four, as in production (test_resume): each starts a process."""
AT_EXIT = SUPERVISED.format(KILL + "import atexit\natexit.register(kill)\n")
WHEN_DONE = SUPERVISED.format(KILL + "import solvers.cli.run as r\nr.summarise = kill\n")


@pytest.mark.parametrize(("code", "crashes"), [(AT_EXIT, 0), (WHEN_DONE, 2)])
def test_a_crash_at_the_end_of_the_process_costs_no_training(tmp_path, code, crashes):
    """What happens when the interpreter is torn down does not count; nor does a crash behind the training."""
    command = [*COMMAND, "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment(tmp_path, code), capture_output=True, text=True)
    found = read_run(tmp_path / PLACE)
    assert found.status == "finished" and not found.restarts
    assert done.stderr.count("killed by SIGKILL") == crashes and (done.returncode == 0) == (crashes == 0)
    assert done.stderr.count("is there already, finished") == max(crashes - 1, 0), done.stderr


def test_a_run_killed_before_its_first_checkpoint_is_recorded(tmp_path):
    """As for want of memory while it is set up: a result, with which the job does not fail."""
    code = KILL + "import solvers.runs.run as r\nr.build_backends = kill\n"
    surroundings = environment(tmp_path, SUPERVISED.format(code))
    command = [*COMMAND, "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    found = read_run(tmp_path / PLACE)
    assert found.status == "killed" and found.iterations == 0 and "killed 2 times" in found.reason
    check_run(tmp_path / PLACE)


def steps() -> list[tuple[object, str]]:
    """What moves files or folders while a run is written."""
    return [(os, "replace"), (Path, "rename"), (files, "_exchange"), (shutil, "rmtree")]


@pytest.mark.parametrize("exchanging", [True, False])
@pytest.mark.parametrize("count", range(1, 10))
def test_a_kill_between_any_two_steps_leaves_the_old_run_or_the_new(folder, monkeypatch, count, exchanging):
    """The process dies before its ``count``-th step; on systems that can exchange folders and on others."""
    before, left = read_run(folder), iter(range(count - 1, -1, -1))
    if not exchanging:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)

    def dying(step):
        def stepped(*arguments, **options):
            if next(left, 1) == 0:
                raise Killed
            return step(*arguments, **options)

        return stepped

    with monkeypatch.context() as patch:
        for module, name in steps():
            patch.setattr(module, name, dying(getattr(module, name)))
        with contextlib.suppress(Killed):
            run(SPEC, folder, Conditions(anew=True))
    if exchanging:
        check_run(folder)  # at every moment, without being mended
    mend(folder)
    found = check_run(folder)
    assert found == before or found.last == before.last


def test_a_full_disk_leaves_the_finished_run(folder, monkeypatch):
    before = contents(folder)

    def full(path, content, durable=True):
        if path.name == "weights.safetensors":
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(record, "replace_file", full)
    with pytest.raises(RecordError, match=r"cannot be written: No space left on device"):
        run(SPEC, folder, Conditions(anew=True))
    assert contents(folder) == before
    assert not (folder_beside(folder) / record.NEW).exists()


def test_a_limit_on_file_sizes_leaves_the_finished_run(folder, tmp_path):
    """A disk that is full in earnest, as a process sees it."""
    before = contents(folder)
    command = " ".join([*COMMAND, "--force", "--quiet", "--results", str(tmp_path)])
    done = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; ulimit -f 8; {command}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0 and contents(folder) == before, done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte, which root may mount."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here; the test with a limit on file sizes does without")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_small_disk_that_is_full_leaves_the_finished_run(made, small_disk):
    shutil.copytree(made, small_disk / PLACE)
    before = contents(small_disk / PLACE)
    with contextlib.suppress(OSError), (small_disk / "rest").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    assert shutil.disk_usage(small_disk).free == 0
    command = [*COMMAND, "--force", "--quiet", "--results", str(small_disk)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "cannot be written: No space left on device" in done.stderr.splitlines()[-1]
    assert contents(small_disk / PLACE) == before


def test_what_else_lies_in_the_folder_stays(folder):
    (folder / "notes.txt").write_text("mine")
    run(SPEC, folder, Conditions(anew=True))
    assert (folder / "notes.txt").read_text() == "mine" and set(contents(folder)) == {*FILES, "notes.txt"}


def test_what_a_forced_run_had_begun_is_no_excuse_for_another_checkpoint(folder):
    """Only the checkpoint of the forced run itself is gone on from."""
    checkpoints = Checkpoints(folder, {})
    checkpoints.start_anew()
    assert checkpoints.anew and checkpoints.load() is None
    checkpoints.clear()
    assert not checkpoints.anew
