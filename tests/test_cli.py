"""The command line as a person uses it."""

import os
import subprocess
import sys

import pytest
from rich.console import Console

from solvers.cli import main
from solvers.runs.progress import LiveDisplay
from solvers.runs.record import read_run
from tests.conftest import CATALOGUE, METHODS, ROOT, smoke_spec


def test_list_shows_everything(capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for experiment, method in METHODS:
        assert experiment in shown and method in shown
    for name in (*CATALOGUE.names("scales"), *CATALOGUE.names("numerics"), "dense", "power", "lbfgs", "torch"):
        assert name in shown


def test_run_writes_where_the_pipeline_does(tmp_path):
    command = [
        sys.executable,
        "-m",
        "solvers",
        "run",
        "heat-0.15",
        "mmpinn",
        "--backend",
        "jax",
        "--scale",
        "smoke",
    ]
    done = subprocess.run(
        [*command, "--seed", "3", "--results", str(tmp_path), "--set", "problem.epsilon=0.2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "finished: relative L2 error" in done.stdout and "finished" not in done.stderr
    assert "residual" in done.stderr and "iteration" in done.stderr
    record = read_run(tmp_path / "smoke/heat-0.15@problem.epsilon=0.2/mmpinn/jax/paper/3")
    assert record.spec.problem == {"name": "heat", "epsilon": 0.2}
    assert record.provenance.machine.matrix_products == "highest"
    if hasattr(os, "sched_setaffinity"):
        assert record.provenance.machine.pinned_core in os.sched_getaffinity(0) | {None}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run", "heat-0.3", "pin", "--backend", "jax"], ["pin", "pinn, mmpinn"]),
        (["run", "heat", "pinn", "--backend", "jax"], ["heat", "heat-0.15"]),
        (["run", "heat-0.3", "pinn", "--backend", "tf"], ["tf", "jax, torch"]),
        (["run", "heat-0.3", "pinn", "--backend", "jax", "--set", "network.width=x"], ["--set", "network.width"]),
    ],
)
def test_mistakes_exit_with_2_and_one_line(arguments, parts, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    for part in parts:
        assert part in shown


@pytest.mark.parametrize("command", [["run", "heat-0.3", "pinn", "--backend", "jax"], ["list"], ["status"]])
def test_a_catalogue_that_is_none_is_named(command, tmp_path, capsys):
    assert main(["--catalogue", str(tmp_path), *command]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and str(tmp_path) in shown and "no experiments" in shown


def test_results_that_cannot_be_written_are_named_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    command = ["run", "heat-0.3", "pinn", "--backend", "jax", "--scale", "smoke"]
    assert main([*command, "--results", str(tmp_path / "file")]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "cannot be written: Not a directory" in shown


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_stage_terms_error_and_time_left(terminal, tmp_path):
    spec = smoke_spec(("heat-0.3", "mmpinn"), "jax")
    row = {"level": 0, "stage": 0, "optimizer": "adam", "iteration": 10, "seconds": 5.0, "rel_l2": 0.5}
    row |= {"term.initial": 1e-3, "term.residual": 1e3, "objective": 1.0}
    with (tmp_path / "shown").open("w+") as stream:
        console = Console(file=stream, force_terminal=terminal, width=140)
        with LiveDisplay(spec, console) as display:
            display.show(row | {"iteration": 0, "seconds": 0.0})
            display._last_line = float("-inf")
            display.show(row)
        stream.seek(0)
        shown = stream.read()
    for part in ("adam", "1.000e-03", "1.000e+03", "5.000e-01", "1 of 3", "10", "at most 0:28 left"):
        assert part in shown
