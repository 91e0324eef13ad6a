"""How far a sweep is: states on disk, the time left, and what the command shows."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from solvers import cli
from solvers.configuration.spec import RunSpec
from solvers.runs.files import folder_beside
from solvers.runs.place import run_folder
from solvers.runs.provenance import identity_of
from solvers.runs.run import run
from solvers.runs.status import (
    MOST_SILENT_SECONDS,
    as_data,
    in_a_line,
    read_progress,
    read_state,
    seconds_left,
    show,
    states,
    time_left,
)
from solvers.runs.upgrade import text_hash
from tests.conftest import ROOT, smoke_spec
from workflow.sweep import Sweep

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def spec_of(method: str = "mmpinn", backend: str = "jax", seed: int = 0, experiment: str = "heat-0.3") -> RunSpec:
    return smoke_spec((experiment, method), backend, seed=seed)


def finished(spec: RunSpec, root: Path, seconds: float, status: str = "finished", **changes) -> None:
    """What is looked at of a ``run.json``."""
    made = identity_of(spec) | changes
    folder = run_folder(spec, root)
    folder.mkdir(parents=True)
    data = {"status": status, "seconds": {"training": seconds - 1, "setup": 1.0}, "provenance": made}
    data["spec"] = spec.model_dump(mode="json")
    (folder / "run.json").write_text(json.dumps(data))


def in_progress(spec: RunSpec, root: Path, **changes) -> Path:
    data = {"iteration": 250, "planned_iterations": 1000, "updated": datetime.now(UTC).isoformat()}
    data |= {"pid": os.getpid(), "host": socket.gethostname(), "seconds": 30.0} | changes
    folder = run_folder(spec, root)
    folder_beside(folder).mkdir(parents=True)
    folder.mkdir()
    (folder_beside(folder) / "progress.json").write_text(json.dumps(data))
    return folder


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("silent", "pid", "host", "alive"),
    [
        (1, "mine", socket.gethostname(), True),
        (1, None, socket.gethostname(), False),
        (1, None, "another", True),
        (MOST_SILENT_SECONDS + 1, "mine", socket.gethostname(), False),
        (MOST_SILENT_SECONDS + 1, None, "another", False),
    ],
)
def test_a_run_is_alive_if_its_process_is_and_it_wrote_lately(tmp_path, silent, pid, host, alive):
    updated = (NOW - timedelta(seconds=silent)).isoformat()
    pid = os.getpid() if pid else dead_pid()
    folder = in_progress(spec_of(), tmp_path, updated=updated, pid=pid, host=host)
    progress = read_progress(folder, NOW)
    assert (progress.iteration, progress.planned, progress.seconds, progress.alive) == (250, 1000, 30.0, alive)


def test_a_time_without_a_zone_is_universal_time(tmp_path):
    folder = in_progress(spec_of(), tmp_path, updated=NOW.replace(tzinfo=None).isoformat())
    assert read_progress(folder, NOW).alive


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"iteration": 3}', '{"updated": 3}', "\xff", "null"])
def test_progress_that_cannot_be_read_is_none(tmp_path, text):
    if text is not None:
        folder_beside(tmp_path / "run").mkdir()
        (folder_beside(tmp_path / "run") / "progress.json").write_text(text, encoding="latin-1")
    assert read_progress(tmp_path / "run") is None


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (lambda spec, root: None, "left"),
        (lambda spec, root: finished(spec, root, 10), "finished"),
        (lambda spec, root: finished(spec, root, 10, status="diverged"), "diverged"),
        (lambda spec, root: finished(spec, root, 10, spec_hash="0"), "outdated"),
        (lambda spec, root: finished(spec, root, 10, fingerprint="0"), "outdated"),
        (lambda spec, root: in_progress(spec, root), "running"),
        (lambda spec, root: in_progress(spec, root, pid=dead_pid()), "interrupted"),
        (lambda spec, root: (in_progress(spec, root) / "run.json").write_text("{}"), "running"),
        (lambda spec, root: (in_progress(spec, root, pid=dead_pid()) / "run.json").write_text("{"), "damaged"),
    ],
)
def test_the_state_of_a_run_is_read_from_its_folder(tmp_path, make, state):
    spec = spec_of()
    make(spec, tmp_path)
    found = read_state(spec, run_folder(spec, tmp_path))
    assert found.state == state
    assert found.done == (state in ("finished", "diverged"))


def test_a_run_of_an_older_schema_is_outdated(tmp_path):
    """Its hash is of the complete specification, which no hash of today equals."""
    spec = spec_of()
    old = text_hash(spec.model_dump(mode="json"))
    finished(spec, tmp_path, 10, spec_hash=old)
    assert read_state(spec, run_folder(spec, tmp_path)).state == "outdated"


def test_overrides_in_another_order_are_the_same_run(tmp_path):
    both = ["network.width=7", "network.depth=2"]
    one, other = (smoke_spec(("heat-0.3", "pinn"), "jax", overrides=given) for given in (both, both[::-1]))
    finished(one, tmp_path, 10)
    assert read_state(other, run_folder(other, tmp_path)).state == "finished"


def test_a_real_run_is_done(tmp_path):
    spec = spec_of()
    run(spec, run_folder(spec, tmp_path))
    state = read_state(spec, run_folder(spec, tmp_path))
    assert state.state == "finished" and state.seconds > 0


def test_time_is_that_of_finished_runs_of_the_closest_kind(tmp_path):
    specs = [spec_of(seed=seed) for seed in range(3)]
    others = [spec_of("mmpinn", "torch"), spec_of("pinn", "torch"), spec_of(experiment="heat-0.15")]
    finished(specs[0], tmp_path, 10)
    finished(specs[1], tmp_path, 20, status="diverged")
    runs = states([*specs, *others], tmp_path)
    left = seconds_left(runs)
    assert [left(run) for run in runs] == [0, 0, 15, 15, 15, None]
    finished(spec_of("pinn", "torch", seed=1), tmp_path, 60)
    runs = states([*specs, *others, spec_of("pinn", "torch", seed=1)], tmp_path)
    left = seconds_left(runs)
    assert [left(run) for run in runs] == [0, 0, 15, 15, 60, None, 0]
    assert time_left(runs, left, workers=2) == (60, 1)
    assert time_left(runs, left, workers=1) == (90, 1)


def test_a_run_in_progress_has_the_rest_of_its_time(tmp_path):
    specs = [spec_of(seed=seed) for seed in range(2)]
    in_progress(specs[0], tmp_path)
    runs = states(specs, tmp_path)
    assert [seconds_left(runs)(run) for run in runs] == [90, None]
    finished(specs[1], tmp_path, 50)
    runs = states(specs, tmp_path)
    assert [seconds_left(runs)(run) for run in runs] == [20, 0]


def test_what_no_run_of_the_sweep_tells_is_as_expected(tmp_path):
    specs = [spec_of(seed=seed) for seed in range(2)] + [spec_of(experiment="heat-0.15")]
    finished(specs[0], tmp_path, 100)
    runs = states(specs, tmp_path)
    left = seconds_left(runs, lambda spec: 30.0)
    assert [left(run) for run in runs] == [0, 100, 30]
    assert "time left: about 2:10, 1 at a time" in in_a_line(runs, 1, expected=lambda spec: 30.0)
    assert "without 1 of unknown length" in in_a_line(runs, 1)


def shown(runs, tmp_path: Path) -> str:
    with (tmp_path / "shown").open("w+") as stream:
        show("smoke", runs, Console(file=stream, width=160))
        stream.seek(0)
        return " ".join(stream.read().split())


def test_one_glance_says_it_all(tmp_path):
    specs = [spec_of(seed=seed) for seed in range(6)] + [spec_of(experiment="heat-0.15")]
    assert "0 of 7 runs done, 7 left" in shown(states(specs, tmp_path), tmp_path)
    assert "time left: unknown" in shown(states(specs, tmp_path), tmp_path)
    finished(specs[0], tmp_path, 100)
    finished(specs[1], tmp_path, 100, status="diverged")
    in_progress(specs[2], tmp_path)
    in_progress(specs[3], tmp_path, pid=dead_pid())
    text = shown(states(specs, tmp_path), tmp_path)
    assert "2 of 7 runs done (1 finished, 1 diverged), 1 running, 1 interrupted, 3 left" in text
    assert "time left: more than 5:40, 1 at a time, without 1 of unknown length" in text
    assert "heat-0.3 6 1 1 diverged 1 3 5:40" in text and "heat-0.15 1 0 0 0 1 unknown" in text
    assert "heat-0.3 mmpinn jax strict seed 2 250 1000 0:30 about 1:10" in text


def test_nothing_is_left_of_a_finished_sweep(tmp_path):
    finished(spec_of(), tmp_path, 100)
    assert "1 of 1 runs done (1 finished) " in (text := shown(states([spec_of()], tmp_path), tmp_path))
    assert "nothing is left to do" in text


def test_the_command_takes_what_snakemake_takes(tmp_path, capsys):
    given = ["experiments=heat-0.3", "seeds=2", "backends=jax", "methods=mmpinn"]
    sweep = Sweep.from_config({"scale": "smoke"} | dict(text.split("=") for text in given) | {"seeds": 2})
    finished(sweep.specs[1], tmp_path, 7)
    command = ["status", "--scale", "smoke", "--config", *given, "--results", str(tmp_path)]
    assert cli.main(command) == 0
    assert "paper, smoke: 1 of 2 runs done (1 finished), 1 left" in capsys.readouterr().out
    assert cli.main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("study", "runs", "done", "states", "seconds_left", "unknown")} == {
        "study": "paper, smoke",
        "runs": 2,
        "done": 1,
        "states": {"left": 1, "finished": 1},
        "seconds_left": 7,
        "unknown": 0,
    }
    place = "smoke/heat-0.3/mmpinn/jax/paper"
    assert [(run["run"], run["state"], run["seconds_left"]) for run in told["each"]] == [
        (f"{place}/0", "left", 7),
        (f"{place}/1", "finished", 0),
    ]


def test_time_left_that_is_unknown_is_null(tmp_path):
    told = as_data("smoke", states([spec_of()], tmp_path), workers=2)
    assert (told["seconds_left"], told["unknown"], told["at_a_time"]) == (None, 1, 2)
    in_progress(spec_of(), tmp_path)
    (run,) = as_data("smoke", states([spec_of()], tmp_path))["each"]
    assert run["state"] == "running" and run["progress"] == {"iteration": 250, "planned": 1000}


def test_the_state_of_a_sweep_in_a_line(tmp_path):
    specs = [spec_of(seed=seed) for seed in range(3)]
    finished(specs[0], tmp_path, 60)
    said = in_a_line(states(specs, tmp_path), workers=2)
    assert said == "1 of 3 runs done (1 finished), 2 left; time left: about 1:00, 2 at a time"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--scale", "tiny"], ["scale", "tiny", "smoke"]),
        (["--scale", "smoke", "--config", "scale=quick"], ["--config: scale", "twice"]),
        (["--config", "runs=archive", "scale=paper"], ["runs", "archive", "fresh"]),
    ],
)
def test_mistakes_exit_with_2_and_one_line(arguments, parts, capsys):
    assert cli.main(["status", *arguments]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    for part in parts:
        assert part in shown


def test_no_command_needs_the_pipeline():
    code = (
        "import sys, solvers.cli; solvers.cli.main(['status', '--scale', 'smoke']);"
        " assert not any(name.startswith('workflow') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
