"""Steps and iterations a second, the optimizer's own share, and how long a run takes to start."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.shapes import SHAPES, quartiles
from solvers.backends import AdamOptions
from solvers.monitor import Monitor
from solvers.optimizers import Job
from solvers.optimizers.lbfgs import Lbfgs
from solvers.stopwatch import Stopwatch

ROOT = Path(__file__).resolve().parent.parent
STEPS = 50
ITERATIONS = 40


def test_adam(benchmark, backend_name):
    """Heat shape, float32: a block of steps, and the same number of evaluations alone, in turns."""
    shape = SHAPES["heat"]
    backend, theta = shape.backend(backend_name, "float32"), shape.theta("float32")
    ones, rates = np.ones(len(backend.terms)), np.full(STEPS, 1e-5)
    state, _ = backend.adam_steps(backend.start_adam(theta, AdamOptions()), rates, ones)
    shares = []

    def evaluations() -> None:
        nonlocal alone
        start = time.perf_counter()
        for _ in range(STEPS):
            backend.evaluate(theta, ones)
        alone = time.perf_counter() - start

    def steps() -> None:
        start = time.perf_counter()
        backend.adam_steps(state, rates, ones)
        shares.append(1 - alone / (time.perf_counter() - start))

    alone = 0.0
    benchmark.pedantic(steps, setup=evaluations, rounds=5)
    benchmark.extra_info |= {"backend": backend_name, "steps": STEPS, "own share": quartiles(shares)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs(benchmark, backend_name, dtype):
    """Heat shape (7,851 parameters, 10,000 points): what an iteration takes beside its evaluations."""
    shape = SHAPES["heat"]
    backend, theta = shape.backend(backend_name, dtype), shape.theta(dtype)
    inside: list[float] = []
    evaluate = backend.evaluate

    def timed(*arguments):
        start = time.perf_counter()
        seen = evaluate(*arguments)
        inside.append(time.perf_counter() - start)
        return seen

    backend.evaluate = timed
    shares, own = [], []

    def iterations() -> None:
        inside.clear()
        monitor = Monitor([t.name for t in backend.terms], lambda theta: 0.0, 10**9, 1e9, Stopwatch())
        monitor.begin_stage(0, 0, "lbfgs")
        start = time.perf_counter()
        job = Job(backend, np.ones(len(backend.terms)), monitor)
        Lbfgs(ITERATIONS, 1000, ftol=0.0, gtol=0.0).minimise(job, theta)
        total = time.perf_counter() - start
        own.append((total - sum(inside)) / monitor.total.iterations)
        shares.append(1 - sum(inside) / total)

    benchmark.pedantic(iterations, rounds=3, warmup_rounds=1)
    benchmark.extra_info |= {"backend": backend_name, "dtype": dtype, "own share": quartiles(shares[1:])}
    benchmark.extra_info |= {"own seconds an iteration": quartiles(own[1:])}


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_start(benchmark, backend_name, cache, tmp_path):
    """From the start of the process to the first step of heat-0.15 MMPINN at the paper's sizes."""
    environment = {"PATH": "", "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    folder = tmp_path / "results"
    change = [f"optimizers.{key}" for key in ("adam.iterations=20", "lbfgs.iterations=2", "lbfgs.evaluations=5")]
    command = [sys.executable, "-m", "solvers", "run", "heat-0.15", "mmpinn", "--backend", backend_name, "--quiet"]
    command += ["--scale", "paper", "--results", str(folder), "--set", "evaluation.grid=51"]
    for each in change:
        command += ["--set", each]
    found: list[dict[str, float]] = []

    def start() -> None:
        subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
        (path,) = folder.rglob("run.json")
        found.append(json.loads(path.read_text())["seconds"])

    if cache == "warm":
        start()
    benchmark.pedantic(start, rounds=3 if cache == "warm" else 1)
    kept = found[-benchmark.stats["rounds"] :]
    first = [row["startup"] + row["setup"] + row["compile"] for row in kept]
    phases = {key: float(np.median([row[key] for row in kept])) for key in ("startup", "setup", "compile")}
    benchmark.extra_info |= {
        "backend": backend_name,
        "cache": cache,
        "seconds": quartiles(first),
        "phases": phases,
    }
