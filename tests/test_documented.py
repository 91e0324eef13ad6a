"""Every command and every piece of Python in README and docs is run here, or known to be held elsewhere."""

import contextlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from solvers.cli import main
from solvers.configuration.study import read_config
from tests.conftest import CATALOGUE, ROOT
from workflow.sweep import Sweep

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
OUR = ("python -m solvers", "mmpinn-bench")
"""Two names of one command."""
BEGINNINGS = (
    "make",
    "python -m",
    "mmpinn-bench",
    "snakemake",
    "pip",
    "conda",
    "source .venv",
    "python3 -m",
    "PIP_",
    "xcode-select",
)
INLINE = re.compile(rf"`((?:{'|'.join(BEGINNINGS)})\b[^`]*)`")
TEMPLATE = re.compile(r"\.\.\.|\bNAME\b|\bRUN\b|\bID\b")
ADDED = "python -m solvers run heat-0.3 pinn --backend {} --scale smoke --set 'balancing={{name: {}}}'"
ELSEWHERE = {
    "make reproduce": "test_pipeline.py: at the smoke scale; test_answer.py: what is said before and after",
    "make test": "is the tests",
    "make lint": "the linters run on every change; no test runs them",
    "make benchmark": "test_benchmarks.py: each measurement once",
    "make lock": "resolving versions takes minutes and the network",
    "make schemas": "test_run.py or test_cli.py: the schema in the folder is that of the code",
    "make show": "test_answer.py: what is said; test_pipeline.py: runs=archive",
    "make recheck": "test_check.py: the rule and the choice; the runs take minutes",
    "make readme": "test_readme.py: what it writes is what is there",
    "make campaign": "test_campaign.py: plan, order and archiving",
    "snakemake --profile profiles/slurm --config scale=paper": "test_slurm.py: on a Slurm, at the smoke scale",
    "snakemake --lint": "part of make lint",
    "snakemake --unlock": "an option of Snakemake's own",
    "snakemake --report reports/paper/quick/report.html": "test_pipeline.py",
    "snakemake --cores 2 --config runs=both": "test_sources.py: the method is the reader's own",
    "python -m tests.faults.campaign": "test_faults.py: a part of it",
    "python -m tests.faults.hostile": "test_hostile_input.py: a twelfth of it",
    "python -m benchmarks.against": "needs another checkout; test_benchmarks.py imports it",
    "python -m benchmarks.time_to_error": "takes an hour; test_benchmarks.py: its methods and its table",
    ADDED.format("jax", "inverse-means"): "test_additions.py: the same rule, in an experiment of its own",
    ADDED.format("torch", "log-sum"): "test_examples.py",
    "pip install": "test_environment.py: extras, lock and files of the package; installing takes the network",
    "python -m workflow.keep": "test_keep.py",
    "snakemake --cores 2 --config study=my-row": "test_board.py: that study, from its runs to its page",
    "conda env create": "test_environment.py: its versions are the locked ones",
    "python3 -m venv .venv": "Python's own",
    "source .venv/bin/activate": "Python's own",
    "xcode-select --install": "macOS' own",
    "PIP_EXTRA_INDEX_URL": "needs PyTorch's index",
}
"""Beginnings of commands that are not run here, and who holds them or why nobody does."""


def typed() -> Iterator[str]:
    """All commands: of blocks of shell, line by line, and of sentences."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for language, block in BLOCK.findall(text):
            if language in ("sh", "bash"):
                yield from (line.partition(" #")[0].strip() for line in block.splitlines() if line.strip())
        prose = BLOCK.sub("", text)
        yield from (" ".join(found.split()) for found in INLINE.findall(prose))


NAMES = {"make", *OUR, "python -m solvers run", "python -m solvers run --force"}
"""Talked of, not to be typed so; nor are commands with something to fill in."""
COMMANDS = sorted({command for command in typed() if not TEMPLATE.search(command)} - NAMES)


def beginning(command: str) -> str | None:
    """The longest entry of :data:`ELSEWHERE` that the command begins with, word by word."""
    found = [
        start for start in ELSEWHERE if f"{command} ".startswith(f"{start} ") or command.startswith(f"{start}=")
    ]
    return max(found, key=len, default=None)


def of(*start: str) -> list[str]:
    """The commands that begin so and are held nowhere else."""
    return [command for command in COMMANDS if command.startswith(start) and beginning(command) is None]


def arguments_of(command: str) -> list[str]:
    """Those of our own command, under whichever name."""
    return shlex.split(command.removeprefix(next(name for name in OUR if command.startswith(name))))


OURS = of(*OUR)
RUNS = [command for command in OURS if arguments_of(command)[0] == "run"]
SWEEPS = of("snakemake")


def test_every_command_is_run_or_held_elsewhere():
    known = {*OURS, *SWEEPS} | {command for command in COMMANDS if beginning(command)}
    assert [command for command in COMMANDS if command not in known] == []
    assert [start for start in ELSEWHERE if start not in map(beginning, COMMANDS)] == []


def test_tests_that_hold_a_command_elsewhere_exist():
    for named in re.findall(r"test_\w+\.py", " ".join(ELSEWHERE.values())):
        assert (ROOT / "tests" / named).exists(), named


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_a_goal_of_make_exists_and_takes_these_variables(command: str):
    """A dry run says what would be done; a variable that is given stands in it."""
    words = shlex.split(command)
    done = subprocess.run([words[0], "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for value in (word.partition("=")[2] for word in words[1:] if "=" in word):
        assert value in done.stdout


def test_make_alone_lists_all_goals():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True)
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert done.returncode == 0 and re.findall(r"^  make (\S+) +\S", done.stdout, re.M) == phony


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a folder that has the archive, and no other results."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results/archive").symlink_to(ROOT / "results/archive")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", RUNS)
def test_a_run_as_typed(command: str, clone: Path):
    """At the smoke scale, whatever the scale that is typed."""
    assert main([*arguments_of(command), "--scale", "smoke", "--quiet"]) == 0
    assert len(list((clone / "results/smoke").rglob("run.json"))) == 1


@pytest.mark.parametrize("command", [command for command in OURS if command not in RUNS])
def test_a_command_as_typed(command: str, clone: Path, capsys: pytest.CaptureFixture[str]):
    """Other results, which are merged, are copies of archived runs."""
    arguments = arguments_of(command)
    for other in arguments[1:] if arguments[0] == "merge" else ():
        run = "paper/poisson-2-50/mmpinn-mff/jax/paper/0"
        shutil.copytree(ROOT / "results/archive" / run, clone / other / run)
    try:
        assert main(arguments) == 0
    except SystemExit as end:  # of --help
        assert end.code == 0 and "--help" in arguments
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", SWEEPS)
def test_a_sweep_as_typed(command: str, monkeypatch: pytest.MonkeyPatch):
    """What Snakemake would run is planned as it begins: the options are Snakemake's, and there are runs."""
    words = shlex.split(command)
    known = {"--cores", "--config", "--resources", "--profile"}
    assert {word for word in words if word.startswith("--")} <= known
    pairs = [word for word in words[words.index("--config") + 1 :]] if "--config" in words else []
    pairs = [word for word in pairs if "=" in word and word.partition("=")[0] in read_config(CATALOGUE, [])]
    with contextlib.chdir(ROOT):
        sweep = Sweep.from_command_line(CATALOGUE, pairs)
    assert sweep.specs


PYTHON = [
    (document, text)
    for document in DOCUMENTS
    for language, text in BLOCK.findall(document.read_text(encoding="utf-8"))
    if language == "python" and not text.startswith("# ")  # a file, see test_examples.py
]


@pytest.mark.parametrize(("document", "text"), PYTHON, ids=[f"{d.stem}-{i}" for i, (d, _) in enumerate(PYTHON)])
def test_python_as_shown(document: Path, text: str, clone: Path, capsys: pytest.CaptureFixture[str]):
    """A run at the quick scale, which the reader has just made, is one of the paper's here, from the archive."""
    names: dict = {}
    exec(compile(text.replace('"quick/', '"paper/'), str(document), "exec"), names)
    assert ("finished" in capsys.readouterr().out) == ("print(" in text)
    if "load_run" in names:
        assert len(names["run"].history) and {"exact", "predicted"} <= set(names["run"].fields)


YAML = [
    text
    for document in DOCUMENTS
    for language, text in BLOCK.findall(document.read_text(encoding="utf-8"))
    if language == "yaml" and ", in part" in text.partition("\n")[0]
]


@pytest.mark.parametrize("text", YAML)
def test_a_part_of_a_file_is_in_that_file(text: str):
    path = re.match(r"# (\S+), in part", text)[1]
    assert yaml.safe_load(text).items() <= yaml.safe_load((ROOT / path).read_text()).items()
