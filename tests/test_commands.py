"""The commands that say what is known of runs, in this process, on runs of the archive."""

import io
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import argcomplete
import pandas as pd
import pytest

from solvers import balancing
from solvers.balancing.sum import Sum
from solvers.cli import main
from solvers.cli.parser import COMMANDS, PACKAGE, build
from solvers.runs.archive import ARCHIVE
from solvers.runs.checkpoint import INTERVAL
from solvers.runs.files import folder_beside
from solvers.runs.record import RunRecord, read_run
from tests.conftest import CATALOGUE, ROOT
from tests.summaries import seeds_of, summary_of

PLACE = "paper/heat-0.3/mmpinn/jax/paper/0"
RUN = ["run", "heat-0.3", "pinn", "--backend", "torch", "--scale", "smoke"]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def said(capsys, *arguments: str, code: int = 0) -> str:
    """What a command prints as its result, with every gap a blank; nothing is said beside it."""
    assert main(arguments) == code
    shown = capsys.readouterr()
    assert not shown.err
    return " ".join(shown.out.split())


def refused(capsys, *arguments: str) -> str:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert not shown.out and shown.err.count("\n") == 1
    return shown.err


def parsed_to_the_end(capsys, *arguments: str) -> tuple[int, str, str]:
    """The exit code of what the parser itself answers, and what it prints."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    shown = capsys.readouterr()
    return int(stop.value.code), shown.out, shown.err


def test_the_installed_command_is_this_one():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["mmpinn-bench"].partition(":")
    assert list(scripts) == [PACKAGE] and callable(getattr(import_module(module), function))


def test_the_version_is_that_of_the_project(capsys):
    code, out, _ = parsed_to_the_end(capsys, "--version")
    assert code == 0 and f'version = "{out.split()[-1]}"' in (ROOT / "pyproject.toml").read_text()


def test_every_argument_of_every_command_has_a_help(capsys):
    (commands,) = (action for action in build()._actions if action.dest == "command")
    assert tuple(commands.choices) == COMMANDS
    for name, parser in {"": build(), **commands.choices}.items():
        assert name == "" or parser.description, name
        for action in parser._actions:
            assert action.help, f"{name} {action.dest}"
    assert f"(default: {INTERVAL:g})" in " ".join(parsed_to_the_end(capsys, "run", "--help")[1].split())


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["shwo", "x"], "did you mean show?"),
        (["merge", "x", "--keep", "our"], "did you mean ours?"),
        (["run", "heat-0.3", "pinn"], "--backend"),
    ],
)
def test_what_the_parser_refuses_is_one_line(arguments, meant, capsys):
    code, out, err = parsed_to_the_end(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1) and meant in err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["run", "heat-0.33", "pinn", "--backend", "jax"], "heat-0.3"),
        (["run", "heat-0.3", "mpinn", "--backend", "jax"], "mmpinn"),
        (["run", "heat-0.3", "pinn", "--backend", "jx"], "jax"),
        (["run", "heat-0.3", "pinn", "--backend", "jax", "--scale", "papr"], "paper"),
        (["run", "heat-0.3", "pinn", "--backend", "jax", "--set", "netwrk.width=3"], "network"),
        (["run", "heat-0.3", "pinn", "--backend", "jax", "--set", "network.widht=3"], "width"),
        (["run", "heat-0.3", "pinn", "--backend", "jax", "--set", "balancing={name: powr}"], "power"),
        (["status", "--config", "experiment=heat-0.3"], "experiments"),
        (["status", "--config", "methods=mmpin"], "mmpinn"),
        (["list", "puls"], "pulse"),
    ],
)
def test_the_nearest_name_is_asked_for(arguments, meant, capsys):
    assert f"did you mean {meant}?" in refused(capsys, *arguments)


def test_a_name_like_no_other_has_no_nearest(capsys):
    assert "did you mean" not in refused(capsys, "list", "zzz")


def test_an_experiment_is_listed_with_errors_and_levels(capsys):
    text = said(capsys, "list", "heat-0.3")
    error = CATALOGUE.experiment("heat-0.3").methods["mmpinn"].authors.rel_l2
    assert f"mmpinn MMPINN {error:.3e} 1 power; supervised 1, residual 3 adam: 2000, lbfgs: 100000" in text
    assert "2 power; supervised 1, residual 2 lbfgs: 100000" in text
    smaller = said(capsys, "list", "heat-0.3", "--scale", "smoke")
    assert "scale smoke" in smaller and "lbfgs: 100000" not in smaller


@pytest.mark.parametrize("name", [PLACE, f"{ARCHIVE}/{PLACE}"])
def test_a_run_is_shown(name, capsys):
    record = read_run(ARCHIVE / PLACE)
    text = said(capsys, "show", name)
    assert text.startswith(f"{ARCHIVE / PLACE} (archived) Heat conduction, epsilon = 0.3, MMPINN; jax")
    authors = CATALOGUE.experiment("heat-0.3").methods["mmpinn"].authors.rel_l2
    assert f"relative L2 {record.last.rel_l2:.3e} {record.best.rel_l2:.3e} {authors:.3e}" in text
    for stage in record.stages:
        counts = f"{stage.optimizer} {stage.iterations} {stage.function_evaluations} {stage.seconds:.1f}"
        assert f"{stage.level + 1} {counts} {stage.reason}" in text
    assert f"{record.cpu_seconds['training']:.1f} CPU seconds" in text and record.provenance.commit[:12] in text
    command = "python -m solvers run heat-0.3 mmpinn --backend jax --numerics paper --scale paper --seed 0"
    assert text.endswith(f"made again by: {command}")


@pytest.mark.parametrize(
    ("pid", "state"),
    [(os.getpid(), "running"), (2**30, "interrupted: the same command takes it up again")],
    ids=["running", "interrupted"],
)
def test_a_run_that_has_not_ended_is_shown(pid, state, capsys, tmp_path):
    folder = tmp_path / "smoke/heat-0.3/pinn/jax/paper/0"
    beside = folder_beside(folder)
    beside.mkdir(parents=True)
    said_of_itself = {"iteration": 120, "planned_iterations": 2000, "seconds": 61.2, "pid": pid}
    machine = {"updated": datetime.now(UTC).isoformat(), "host": socket.gethostname()}
    (beside / "progress.json").write_text(json.dumps(said_of_itself | machine))
    for name in (folder, "smoke/heat-0.3/pinn/jax/paper/0"):
        text = said(capsys, "show", str(name), "--results", str(tmp_path))
        assert text == f"{folder}: not finished yet, iteration 120 of at most 2000 after 1:01; {state}"
    assert "no such run" in refused(capsys, "show", str(folder), "--json")


def test_a_run_is_shown_for_programs(capsys):
    assert main(["show", PLACE, "--json"]) == 0
    assert RunRecord.model_validate_json(capsys.readouterr().out) == read_run(ARCHIVE / PLACE)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("heat-0.3/pin/jax/paper/0", "no such run"),
        (f"{ARCHIVE}/paper/heat-0.3", "is not one run"),
        ("../elsewhere", "no such run"),
    ],
)
def test_what_is_no_run_is_refused(name, part, capsys):
    assert part in refused(capsys, "show", name)


def test_a_place_that_two_runs_have_is_refused(capsys, tmp_path):
    for root in ("smoke", "archive/quick"):
        folder = tmp_path / root / "heat-0.3/pinn/jax/paper/0"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
    line = refused(capsys, "show", "heat-0.3/pinn/jax/paper/0", "--results", str(tmp_path))
    assert "is one of" in line and "smoke/heat-0.3" in line and "archive/quick" in line


def test_two_runs_are_compared(capsys):
    names = [f"paper/heat-0.3/pinn/{backend}/paper/0" for backend in ("jax", "torch")]
    one, other = (read_run(ARCHIVE / name) for name in names)
    text = said(capsys, "compare", *names)
    ratio = other.last.rel_l2 / one.last.rel_l2
    assert f"relative L2 {one.last.rel_l2:.3e} {other.last.rel_l2:.3e} {ratio:.3g}" in text
    assert "specifications differ in: backend: 'jax', 'torch' made by other code" in text
    assert "the same specification made by the same code" in said(capsys, "compare", names[0], names[0])


def test_folders_of_runs_are_compared_over_equal_seeds(capsys):
    folders = [f"{ARCHIVE}/paper/heat-0.3/{method}" for method in ("pinn", "mmpinn")]
    text = said(capsys, "compare", *folders)
    assert f"A: {folders[0]} (method pinn) B: {folders[1]} (method mmpinn)" in text
    assert main(["compare", *folders, "--csv"]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    row = table[(table.numerics == "paper") & (table.backend == "jax")].iloc[0]
    errors = [
        pd.Series([read_run(Path(folder) / "jax/paper" / seed).last.rel_l2 for seed in "012"]).median()
        for folder in folders
    ]
    assert row.seeds == 3 and row["error B / A"] == pytest.approx(errors[1] / errors[0])


def test_reports_are_compared(capsys, tmp_path):
    for name, errors in (("one", [1e-3, 2e-3, 3e-3]), ("other", [4e-3, None, None])):
        (tmp_path / name).mkdir()
        summary_of(*seeds_of(errors), *seeds_of([0.5], method="mff")).to_csv(tmp_path / name / "summary.csv")
    reports = [str(tmp_path / name) for name in ("one", "other")]
    text = said(capsys, "compare", *reports)
    assert "heat-0.3 pinn 3 0.002 inf nan" in text and "heat-0.3 mff 1 0.5 0.5 1" in text
    assert "counterpart" not in text
    assert "one is a run, the other several" in refused(capsys, "compare", reports[0], PLACE)


@pytest.mark.parametrize(
    ("text", "part"),
    [("a,b\n1,2\n", "no column experiment"), ("", "not a readable summary")],
)
def test_a_report_that_is_none_is_refused(text, part, capsys, tmp_path):
    (tmp_path / "summary.csv").write_text(text)
    assert part in refused(capsys, "compare", str(tmp_path), f"{ARCHIVE}/paper/heat-0.3")


def test_quiet_says_nothing_and_results_are_on_standard_output(capsys, tmp_path):
    command = [*RUN, "--results", str(tmp_path)]
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    made = (tmp_path / "smoke/heat-0.3/pinn/torch/paper/0/run.json").stat().st_mtime_ns
    assert main(command) == 0  # taken, not trained again
    shown = capsys.readouterr()
    assert shown.out.startswith("finished: relative L2 error ") and "iteration " not in shown.err
    assert (tmp_path / "smoke/heat-0.3/pinn/torch/paper/0/run.json").stat().st_mtime_ns == made
    assert main([*command, "--quiet", "--force"]) == 0
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "smoke/heat-0.3/pinn/torch/paper/0/run.json").stat().st_mtime_ns > made


@pytest.mark.parametrize("debug", [False, True])
def test_a_plugin_that_fails_is_one_line_with_its_file(debug, capsys, monkeypatch, tmp_path):
    line = Sum.combine.__code__.co_firstlineno
    monkeypatch.setattr(Sum, "combine", _failing(Sum.combine))
    assert main([*RUN, "--quiet", "--results", str(tmp_path), *(["--debug"] * debug)]) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == (
        f"solvers/balancing/sum.py, line {line}: ZeroDivisionError: division by zero; --debug shows the traceback"
    )
    assert ("Traceback" in said) == debug and (said.count("\n") == 1) != debug


def _failing(of) -> object:
    """A function that seems to stand where ``of`` does, and divides by zero."""
    code = compile(
        "\n" * (of.__code__.co_firstlineno - 1) + "def combine(*_): 1 / 0", of.__code__.co_filename, "exec"
    )
    names: dict[str, object] = {}
    exec(code, names)
    return names["combine"]


def test_what_fails_elsewhere_is_a_traceback(monkeypatch, tmp_path):
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("solvers.cli.run.run", fail)
    with pytest.raises(ZeroDivisionError):
        main([*RUN, "--results", str(tmp_path)])


def test_debug_shows_where_a_plugin_cannot_be_imported(capsys, monkeypatch, tmp_path):
    (tmp_path / "leaning.py").write_text("x = 1\ny = x / 0\n")
    monkeypatch.setattr(balancing, "__path__", [*balancing.__path__, str(tmp_path)])
    from solvers import plugins

    plugins._names.cache_clear()
    try:
        assert main([*RUN, "--debug", "--results", str(tmp_path), "--set", "balancing={name: leaning}"]) == 2
    finally:
        plugins._names.cache_clear()
    said = capsys.readouterr().err
    assert "y = x / 0" in said and "ZeroDivisionError: division by zero" in said
    assert "leaning.py, line 2: cannot be imported" in said.splitlines()[-1]


def completions(line: str) -> list[str]:
    """What a shell would offer behind ``line``; all but the reading of what it says and the answer."""
    *words, prefix = line.split(" ")
    found = argcomplete.CompletionFinder(build())._get_completions(words, prefix, "", None)
    return [word.strip() for word in found]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("mmpinn-bench sh", ["show"]),
        ("mmpinn-bench run heat-0.3", ["heat-0.3"]),
        ("mmpinn-bench run heat-0.3 mm", ["mmpinn", "mmpinn-bfgs"]),
        ("mmpinn-bench run heat-0.3 pinn --backend t", ["torch"]),
        ("mmpinn-bench run heat-0.3 pinn --scale sm", ["smoke"]),
        ("mmpinn-bench list kl", ["klein-gordon-10", "klein-gordon-5"]),
        ("mmpinn-bench run no-such-experiment mm", ["mmpinn-bfgs"]),
    ],
)
def test_a_shell_completes_names(line, words):
    found = completions(line)
    assert set(words) <= set(found) if "no-such" not in line else "mmpinn" not in found


def test_a_shell_is_told_how_to_complete(capsys):
    assert main(["completion", "bash"]) == 0
    assert "mmpinn-bench" in capsys.readouterr().out


def test_help_and_completion_load_no_library_that_takes_long():
    code = "import sys, solvers.cli; assert not {'numpy', 'pandas', 'pydantic', 'sympy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, env=os.environ)


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTED = [
    shlex.split(line, comments=True)[1:]
    for path in DOCUMENTS
    for line in path.read_text().splitlines()
    if line.startswith(f"{PACKAGE} ")
]


@pytest.mark.parametrize("arguments", DOCUMENTED, ids=" ".join)
def test_a_documented_command_works(arguments, capsys):
    """A run is only read as far as its arguments."""
    if arguments[0] == "run":
        assert build().parse_args(arguments).command == "run"
    else:
        assert main(arguments) == 0 and capsys.readouterr().out


def test_the_documented_python_works():
    code = re.findall(
        r"```python\n(from solvers import load_run, load_runs.*?)```",
        "".join(p.read_text() for p in DOCUMENTS),
        re.S,
    )
    assert DOCUMENTED and code
    for block in code:
        exec(block, {})


def test_json_of_programs_is_json(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "RunRecord"
