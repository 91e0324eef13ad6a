"""Compiled programs are shared between runs, and by several at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

COMMAND = ["-m", "solvers", "run", "heat-0.3", "mmpinn", "--backend", "jax", "--scale", "smoke", "--quiet"]


def start(cache: Path, results: Path, seed: int) -> subprocess.Popen:
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    command = [sys.executable, *COMMAND, "--seed", str(seed), "--results", str(results)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "persistent compilation cache" not in errors


def error_of(results: Path, seed: int) -> float:
    (path,) = results.glob(f"smoke/heat-0.3/mmpinn/jax/paper/{seed}/run.json")
    return json.loads(path.read_text())["last"]["rel_l2"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    """A cache that two runs, of one seed, have filled at once; with their results."""
    root = tmp_path_factory.mktemp("start")
    for process in [start(root / "cache", root / f"results{i}", 0) for i in range(2)]:
        finish(process)
    return root


def test_another_seed_compiles_nothing_new(filled):
    programs = {path.name for path in (filled / "cache").iterdir()}
    finish(start(filled / "cache", filled / "results0", 1))
    assert programs and {path.name for path in (filled / "cache").iterdir()} == programs
    assert error_of(filled / "results0", 0) != error_of(filled / "results0", 1)


def test_several_runs_may_fill_the_cache_at_once(filled):
    finish(start(filled / "cache", filled / "later", 0))
    assert len({error_of(filled / name, 0) for name in ("results0", "results1", "later")}) == 1
