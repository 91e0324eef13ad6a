"""Snakemake on a copy of the project: its command, what it plans, and files edited for a while."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def snakemake_in(tree: Path, *arguments: str, scale: str) -> subprocess.CompletedProcess:
    """Snakemake in the copy, on the copy's code."""
    command = ["snakemake", "--cores", "2", "--config", f"scale={scale}", *arguments]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment)


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
