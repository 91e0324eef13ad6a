"""A run that is killed goes on from its checkpoint, and ends as if it had not been."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from solvers import backends, optimizers
from solvers.configuration.spec import RunSpec
from solvers.runs import checkpoint
from solvers.runs.checkpoint import Checkpoints, sole_writer
from solvers.runs.record import RecordError, RunRecord, read_fields, read_history, read_run
from solvers.runs.run import Conditions, give_up, run
from solvers.training.records import Snapshot
from tests.conftest import CATALOGUE, METHODS, ROOT, smoke_spec
from workflow.analysis.summary import summarise

ALWAYS = Conditions(checkpoint_interval=0.0)


def kind(spec: RunSpec) -> tuple:
    """What a checkpoint must hold depends on these."""
    return spec.levels[0].balancing["name"], spec.resampled, len(spec.levels) > 1


KINDS = {kind(smoke_spec(method, "jax", "paper")): method for method in METHODS}


class Killed(BaseException):
    """Stands for a kill right after a checkpoint."""


@pytest.fixture
def kill(monkeypatch):
    """Makes the n-th checkpoint of a run its last deed."""
    save = Checkpoints.save

    def after(count: int) -> None:
        left = iter(range(count - 1, -1, -1))

        def save_and_die(self, snapshot):
            save(self, snapshot)
            if not next(left):
                raise Killed

        monkeypatch.setattr(Checkpoints, "save", save_and_die)

    yield after
    monkeypatch.setattr(Checkpoints, "save", save)


def saves(spec: RunSpec, folder: Path, monkeypatch) -> list[tuple[str, bool]]:
    """An undisturbed run; optimizer of each checkpoint and whether it is inside a stage."""
    seen, save = [], Checkpoints.save

    def note(self, snapshot):
        seen.append((snapshot.data["monitor"]["place"]["optimizer"], snapshot.data["inside"]))
        save(self, snapshot)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", note)
        run(spec, folder, ALWAYS)
    return seen


def same_numbers(ours: Path, other: Path) -> bool:
    """Histories but for the clock, final weights and fields, to the last bit."""
    histories = [read_history(folder).drop(columns="seconds") for folder in (ours, other)]
    weights = [load_file(folder / "weights.safetensors") for folder in (ours, other)]
    same = all(np.array_equal(weights[0][name], weights[1][name], equal_nan=True) for name in weights[0])
    fields = [read_fields(folder)["predicted"] for folder in (ours, other)]
    return histories[0].equals(histories[1]) and same and np.array_equal(*fields)


def counted(record: RunRecord) -> dict:
    """What a record says but for times and places."""
    fields = {"status", "stages", "iterations", "function_evaluations", "terms", "last", "best"}
    return record.model_dump(include=fields, exclude={"stages": {"__all__": {"seconds"}}})


CHANGED = [
    ("optimizers.adam.precision=float64",),
    ("optimizers.lbfgs.precision=float64",),
    ("optimizers.adam.objective=log", "optimizers.lbfgs.objective=log"),
]
"""Settings of stages that a checkpoint must get over, too."""


@pytest.mark.parametrize(
    ("method", "overrides"),
    [*((method, ()) for method in KINDS.values()), *((("heat-0.3", "mmpinn"), each) for each in CHANGED)],
    ids=str,
)
@pytest.mark.parametrize("backend", backends.names())
def test_adam_and_stage_ends_go_on_to_the_last_bit(tmp_path, monkeypatch, kill, method, overrides, backend):
    """Killed in the middle of Adam, and again at the end of the first stage."""
    spec = CATALOGUE.resolve(*method, backend, scale="smoke", overrides=overrides)
    places = saves(spec, tmp_path / "undisturbed", monkeypatch)
    inside_adam = places.index(("adam", True)) + 1 if ("adam", True) in places else None
    stage_end = next(i for i, (_, inside) in enumerate(places) if not inside) + 1
    for count in [inside_adam, stage_end - (inside_adam or 0)]:
        if count:
            kill(count)
            with pytest.raises(Killed):
                run(spec, tmp_path / "killed", ALWAYS)
    kill(10**9)
    record = run(spec, tmp_path / "killed", ALWAYS)
    assert same_numbers(tmp_path / "killed", tmp_path / "undisturbed")
    assert [restart.exact for restart in record.restarts] == [True] * (2 if inside_adam else 1)
    assert counted(record) == counted(read_run(tmp_path / "undisturbed"))
    assert not (tmp_path / ".killed.checkpoint").exists()


OF_THEIR_OWN = {"linear-start", "race"}
"""Optimizers with a test of it in their own files: they want a network that the run here has not."""
ITERATIVE = [name for name in optimizers.names() if issubclass(optimizers.load(name), optimizers.Iterative)]


@pytest.mark.parametrize("name", sorted(set(ITERATIVE) - OF_THEIR_OWN))
@pytest.mark.parametrize("backend", backends.names())
def test_optimizers_that_work_in_numpy_go_on_to_the_last_bit(tmp_path, monkeypatch, kill, backend, name):
    """Killed in the middle of a stage in float64 that follows one in float32."""
    own = f"{{optimizer: {name}, iterations: 6, evaluations: 1000, precision: float64, objective: log}}"
    levels = f"levels=[{{stages: [{{optimizer: adam, iterations: 3}}, {own}]}}]"
    spec = CATALOGUE.resolve("heat-0.3", "mmpinn", backend, scale="smoke", overrides=[levels])
    inside = saves(spec, tmp_path / "undisturbed", monkeypatch)
    assert inside.count((name, True)) == 6
    kill(inside.index((name, True)) + 3)
    with pytest.raises(Killed):
        run(spec, tmp_path / "killed", ALWAYS)
    kill(10**9)
    record = run(spec, tmp_path / "killed", ALWAYS)
    assert same_numbers(tmp_path / "killed", tmp_path / "undisturbed")
    assert [(restart.exact, restart.optimizer) for restart in record.restarts] == [(True, name)]
    assert counted(record) == counted(read_run(tmp_path / "undisturbed"))


@pytest.mark.parametrize("implementation", ["scipy", "native"])
@pytest.mark.parametrize("backend", backends.names())
def test_lbfgs_starts_anew_inside_a_stage_and_says_so(tmp_path, monkeypatch, kill, backend, implementation):
    setting = f"optimizers.lbfgs.implementation={implementation}"
    spec = CATALOGUE.resolve(
        "heat-0.3", "mmpinn", backend, scale="smoke", overrides=[setting, "evaluation.every=1"]
    )
    places = saves(spec, tmp_path / "undisturbed", monkeypatch)
    count = places.index(("lbfgs", True)) + 1
    kill(count)
    with pytest.raises(Killed):
        run(spec, tmp_path / "killed", ALWAYS)
    kill(10**9)
    record = run(spec, tmp_path / "killed", ALWAYS)
    (restart,) = record.restarts
    assert not restart.exact and restart.optimizer == "lbfgs"
    ours, undisturbed = (
        read_history(tmp_path / name).drop(columns="seconds") for name in ("killed", "undisturbed")
    )
    before = int((undisturbed.iteration <= restart.iteration).sum())
    assert ours[:before].equals(undisturbed[:before])
    stage = record.stages[restart.stage]
    assert stage.iterations <= spec.levels[0].stages[1]["iterations"]
    assert record.iterations == sum(stage.iterations for stage in record.stages) == ours.iteration.iloc[-1]


def snapshot() -> Snapshot:
    return Snapshot({"step": 3}, {"theta": np.arange(3.0)})


def test_a_checkpoint_of_other_code_is_not_used(tmp_path, caplog):
    Checkpoints(tmp_path, {"code": "a"}).save(snapshot())
    assert Checkpoints(tmp_path, {"code": "a"}).load().data == {"step": 3}
    assert Checkpoints(tmp_path, {"code": "b"}).load() is None
    assert "checkpoint of another code, not used: a, now b" in caplog.text


FOREIGN = [save({"theta": np.zeros(2)}, metadata=data) for data in ({}, {"state": "[]"}, {"state": "{}"})]


@pytest.mark.parametrize("damage", [b"", b"{}", None, *FOREIGN])
def test_a_damaged_checkpoint_is_not_used(tmp_path, caplog, damage):
    checkpoints = Checkpoints(tmp_path, {"code": "a"})
    checkpoints.save(snapshot())
    content = checkpoints.path.read_bytes()
    checkpoints.path.write_bytes(content[:-8] if damage is None else damage)
    assert checkpoints.load() is None
    assert "not a readable checkpoint" in caplog.text


def test_a_full_disk_loses_the_checkpoint_alone(tmp_path, monkeypatch, caplog):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "replace_file", full)
    record = run(CATALOGUE.resolve("heat-0.3", "pinn", "torch", scale="smoke"), tmp_path, ALWAYS)
    assert record.status == "finished"
    assert "no checkpoint written: No space left on device" in caplog.text


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"file/run: cannot be written: Not a directory"):
        run(CATALOGUE.resolve("heat-0.3", "pinn", "torch", scale="smoke"), tmp_path / "file/run")


SHORT = [
    sys.executable,
    *["-m", "solvers", "run", "heat-0.3", "pinn", "--backend", "torch", "--scale", "smoke", "--quiet"],
]
LONG = ["--set", "optimizers.adam.iterations=2000", "--set", "optimizers.lbfgs.iterations=2", "--scale", "smoke"]


def start(results: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "solvers", "run", "heat-0.3", "mmpinn", "--backend", "torch", "--quiet"]
    command += ["--checkpoint-interval", "0.2", "--results", str(results), *LONG]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def wait_for(results: Path, name: str, seconds: float = 60.0) -> Path:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for found in results.glob(f"smoke/*/mmpinn/torch/paper/{name}"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {name}")


def test_a_run_killed_by_the_system_goes_on_by_itself(tmp_path):
    """SIGKILL of the working process; then of the supervisor, which takes the worker with it; then once more."""
    process = start(tmp_path)
    progress = json.loads(wait_for(tmp_path, ".0.checkpoint/progress.json").read_text())
    assert progress["pid"] != process.pid and 0 < progress["iteration"] < progress["planned_iterations"]
    wait_for(tmp_path, ".0.checkpoint/state.safetensors")
    os.kill(progress["pid"], signal.SIGKILL)
    time.sleep(4)
    process.kill()
    process.communicate()
    again = start(tmp_path)
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    record = read_run(wait_for(tmp_path, "0/run.json").parent)
    assert record.status == "finished"
    assert 1 <= len(record.restarts) <= 2 and all(restart.exact for restart in record.restarts)


def test_a_run_killed_again_and_again_is_recorded_as_killed(tmp_path):
    code = (
        "import os, signal\n"
        "from solvers.runs.checkpoint import Checkpoints\n"
        "save = Checkpoints.save\n"
        "def save_and_die(self, snapshot): save(self, snapshot); os.kill(os.getpid(), signal.SIGKILL)\n"
        "Checkpoints.save = save_and_die\n"
    )
    (tmp_path / "sitecustomize.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [*SHORT, "--checkpoint-interval", "1e-9", "--results", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    record = read_run(tmp_path / "smoke/heat-0.3/pinn/torch/paper/0")
    assert record.status == "killed" and "killed 4 times" in record.reason and record.last is None
    assert len(record.restarts) == 3 and record.iterations > record.restarts[-1].iteration > 0


@pytest.mark.parametrize("method", KINDS.values(), ids="-".join)
def test_a_killed_run_keeps_what_its_checkpoint_holds(tmp_path, monkeypatch, kill, method):
    """Killed inside its first stage, and after one more checkpoint; then given up."""
    spec = CATALOGUE.resolve(*method, "torch", scale="smoke")
    places = saves(spec, tmp_path / "undisturbed", monkeypatch)
    for count in (1, 1):
        kill(count)
        with pytest.raises(Killed):
            run(spec, tmp_path / "killed", ALWAYS)
    record = give_up(spec, tmp_path / "killed", "its process was killed 2 times")
    assert record == read_run(tmp_path / "killed")
    assert (record.status, record.reason, record.last) == ("killed", "its process was killed 2 times", None)
    (restart,) = record.restarts
    assert 0 < restart.iteration < record.iterations <= record.function_evaluations
    assert record.iterations == sum(stage.iterations for stage in record.stages)
    assert record.stages[-1].optimizer == places[1][0]
    assert (record.stages[-1].reason == "killed") == places[1][1]
    ours, undisturbed = (
        read_history(tmp_path / name).drop(columns="seconds") for name in ("killed", "undisturbed")
    )
    assert 0 < len(ours) < len(undisturbed) and ours.equals(undisturbed[: len(ours)])
    assert ours.iteration.iloc[-1] <= record.iterations
    killed, whole = (load_file(tmp_path / name / "weights.safetensors") for name in ("killed", "undisturbed"))
    # Where weights are trained there is a best iterate only behind the stage that trains them.
    expected = {
        n: array.shape for n, array in whole.items() if spec.build_levels()[0].balancing.fixed or n[:5] != "best/"
    }
    assert {name: array.shape for name, array in killed.items()} == expected
    assert record.seconds["training"] >= record.stages[-1].seconds > 0
    assert not (tmp_path / ".killed.checkpoint").exists()
    (row,) = summarise([tmp_path / "killed"]).itertuples()
    assert row.status == "killed" and row.iterations == record.iterations


@pytest.mark.parametrize("content", [None, b"no"])
def test_a_killed_run_without_a_readable_checkpoint_is_recorded_too(tmp_path, content):
    spec = CATALOGUE.resolve("heat-0.3", "pinn", "torch", scale="smoke")
    path = Checkpoints(tmp_path, {}).path
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    record = give_up(spec, tmp_path, "killed")
    assert record.status == "killed" and record.iterations == 0 and not record.stages
    assert read_history(tmp_path).empty and "rel_l2" in read_history(tmp_path)
    assert load_file(tmp_path / "weights.safetensors") == read_fields(tmp_path) == {}


def test_one_process_at_a_time_makes_a_run(tmp_path):
    """A second one waits for the first, and takes its result."""
    spec = CATALOGUE.resolve("heat-0.3", "pinn", "torch", scale="smoke")
    done = run(spec, tmp_path / "run")
    results = tmp_path / "results"
    folder = results / "smoke/heat-0.3/pinn/torch/paper/0"
    with sole_writer(folder):
        heard = [word for word in SHORT if word != "--quiet"]  # a quiet one does not say that it waits
        waiting = subprocess.Popen(
            [*heard, "--results", str(results)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        (tmp_path / "run").rename(tmp_path / "made")
        said = next(line for line in waiting.stderr if "waiting for it" in line)
        time.sleep(1)
        assert "waiting for it" in said and waiting.poll() is None and not (folder / "run.json").exists()
        (tmp_path / "made").rename(folder)
    _, errors = waiting.communicate()
    assert waiting.returncode == 0, errors
    assert read_run(folder).provenance.started == done.provenance.started
