"""Compiled programs are shared between runs, and by several at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

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


def test_another_seed_compiles_nothing_new(tmp_path):
    cache, programs = tmp_path / "cache", []
    for seed in (0, 1):
        finish(start(cache, tmp_path / "results", seed))
        programs.append({path.name for path in cache.iterdir()})
    assert programs[0] and programs[1] == programs[0]
    assert error_of(tmp_path / "results", 0) != error_of(tmp_path / "results", 1)


def test_several_runs_may_fill_the_cache_at_once(tmp_path):
    roots = [tmp_path / f"results{i}" for i in range(3)]
    running = [start(tmp_path / "cache", root, 0) for root in roots]
    for process in running:
        finish(process)
    finish(start(tmp_path / "cache", tmp_path / "later", 0))
    assert len({error_of(root, 0) for root in [*roots, tmp_path / "later"]}) == 1
