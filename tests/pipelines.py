"""Snakemake on a copy of the project: its command, runs made for it, what it plans, files edited for a while."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def snakemake_in(tree: Path, *arguments: str, scale: str) -> subprocess.CompletedProcess:
    """Snakemake in the copy, on the copy's code."""
    command = ["snakemake", "--cores", "2", "--config", f"scale={scale}", *arguments]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment)


MADE = """
import sys
from pathlib import Path
from solvers.configuration.catalogue import Catalogue
from solvers.runs.place import run_folder
from solvers.runs.run import run
from workflow.sweep import Sweep

left, *config = sys.argv[1:]
specs = Sweep.from_command_line(Catalogue(), config).specs
assert len(specs) > int(left)
for spec in specs[: len(specs) - int(left)]:
    run(spec, run_folder(spec, Path("results")))
"""


def make_runs(tree: Path, *config: str, left: int = 1) -> None:
    """All runs of a configuration but the last ``left``, on the copy's code in one process: the same as those of
    Snakemake's jobs, each of which would start a process of its own."""
    command = [sys.executable, "-c", MADE, str(left), *config]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


def planned(done: subprocess.CompletedProcess) -> dict[str, int]:
    """Jobs by rule of a dry run."""
    assert done.returncode == 0, done.stderr[-3000:]
    shown = done.stdout + done.stderr
    if "Nothing to be done" in shown:
        return {}
    table = re.search(r"Job stats:\n.*?\n-+.*?\n(.*?)\n\n", shown, re.S)
    rows = [line.split() for line in table[1].splitlines()]
    return {name: int(count) for name, count in rows if name not in ("total", "all")}


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    """Edit a file of the copy and put it back afterwards, its time moved on both times."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(text)
