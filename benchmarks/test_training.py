"""Steps and iterations a second, the optimizer's own share, and how long a run takes to start."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.shapes import SHAPES, Shape, quartiles
from solvers.optimizers.adam import Adam
from solvers.optimizers.base import Budget
from solvers.optimizers.bfgs import Bfgs
from solvers.optimizers.lbfgs import Lbfgs
from solvers.stopwatch import Stopwatch
from solvers.training.history import Monitor
from solvers.training.loss import Loss, StageObjective, Steps
from solvers.training.objective import LOGARITHM

ROOT = Path(__file__).resolve().parent.parent
STEPS = 50
ITERATIONS = 40


def test_adam(benchmark, backend_name):
    """Heat shape, float32: a block of steps, and the same number of evaluations alone, in turns."""
    shape = SHAPES["heat"]
    (loss, state), theta = shape.loss(backend_name, "float32"), shape.theta("float32")
    block = Steps(loss, Adam(iterations=STEPS, learning_rate=1e-5))
    rates = block.optimizer.schedule()
    carry, _ = block.run(block.start(theta, state), rates, {})
    shares = []

    def evaluations() -> None:
        nonlocal alone
        start = time.perf_counter()
        for _ in range(STEPS):
            loss.evaluate(theta, state)
        alone = time.perf_counter() - start

    def steps() -> None:
        nonlocal carry
        start = time.perf_counter()
        carry, _ = block.run(carry, rates, {})
        shares.append(1 - alone / (time.perf_counter() - start))

    alone = 0.0
    benchmark.pedantic(steps, setup=evaluations, rounds=5)
    benchmark.extra_info |= {"backend": backend_name, "steps": STEPS, "own share": quartiles(shares)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs(benchmark, backend_name, dtype):
    """Heat shape (7,851 parameters, 10,000 points): what an iteration takes beside its evaluations."""
    shape = SHAPES["heat"]
    (loss, state), theta = shape.loss(backend_name, dtype), shape.theta(dtype)
    inside: list[float] = []

    class Timed(Loss):
        def evaluate(self, *arguments):
            start = time.perf_counter()
            seen = super().evaluate(*arguments)
            inside.append(time.perf_counter() - start)
            return seen

    shares, own = [], []

    def iterations() -> None:
        inside.clear()
        monitor = Monitor(loss.backend.names, lambda theta: 0.0, 10**9, 1e9, Stopwatch())
        monitor.begin_stage(0, 0, "lbfgs")
        objective = StageObjective(Timed(loss.backend, loss.balancing), state)

        def report(theta: np.ndarray, count: int) -> None:
            monitor.count(iterations=count)
            monitor.check(objective.seen(theta))

        start = time.perf_counter()
        Lbfgs(ITERATIONS, 1000, ftol=0.0, gtol=0.0).minimise(objective, theta, report, 10**9, Budget())
        total = time.perf_counter() - start
        own.append((total - sum(inside)) / monitor.total.iterations)
        shares.append(1 - sum(inside) / total)

    benchmark.pedantic(iterations, rounds=3, warmup_rounds=1)
    benchmark.extra_info |= {"backend": backend_name, "dtype": dtype, "own share": quartiles(shares[1:])}
    benchmark.extra_info |= {"own seconds an iteration": quartiles(own[1:])}


CURVED = {
    921: ("network.depth=3", "network.width=20", "points.residual.count=8192"),
    1341: ("network.depth=4", "network.width=20", "points.residual.count=8192"),
    7851: (),
}
"""By the number of parameters: the heat shape with narrow layers, and as it is (50 wide, 10,000 points)."""
STEPS_OF = {921: 60, 1341: 60, 7851: 8}


@pytest.mark.parametrize("parameters", CURVED)
@pytest.mark.parametrize("update", ["bfgs", "ssbroyden"])
def test_bfgs(benchmark, backend_name, update, parameters):
    """Seconds of the processor for a step in float64, and what is the algebra's own beside the evaluations."""
    shape, count = Shape("heat-0.15", "pinn", CURVED[parameters]), STEPS_OF[parameters]
    (loss, state), theta = shape.loss(backend_name, "float64"), shape.theta("float64")
    assert loss.backend.parameters == parameters
    inside: list[float] = []

    class Timed(Loss):
        def evaluate(self, *arguments):
            start = time.process_time()
            seen = super().evaluate(*arguments)
            inside.append(time.process_time() - start)
            return seen

    objective = StageObjective(Timed(loss.backend, loss.balancing), state, LOGARITHM)
    optimizer = Bfgs(10**6, 10**9, update)
    memory = optimizer.init(objective, theta)
    shares, own, steps = [], [], []

    def walk() -> None:
        nonlocal theta, memory
        inside.clear()
        start = time.process_time()
        for _ in range(count):
            step = optimizer.step(objective, theta, memory)
            assert step.stop is None
            theta, memory = step.theta, step.memory
        total = time.process_time() - start
        steps.append(total / count)
        own.append((total - sum(inside)) / count)
        shares.append(1 - sum(inside) / total)

    benchmark.pedantic(walk, rounds=5, warmup_rounds=1)
    benchmark.extra_info |= {"backend": backend_name, "update": update, "parameters": parameters}
    benchmark.extra_info |= {"seconds a step": quartiles(steps[1:]), "own share": quartiles(shares[1:])}
    benchmark.extra_info |= {"own seconds a step": quartiles(own[1:])}


@pytest.mark.parametrize("parameters", [921, 1341])
def test_rows(benchmark, backend_name, parameters):
    """Seconds of the processor for all rows of the Jacobian, and in how many evaluations they are made."""
    shape = Shape("heat-0.15", "pinn", CURVED[parameters])
    (loss, state), theta = shape.loss(backend_name, "float64"), shape.theta("float64")
    rows, evaluations = [], []

    def evaluate() -> None:
        start = time.process_time()
        for _ in range(5):
            loss.evaluate(theta, state)
        evaluations.append((time.process_time() - start) / 5)

    def all_rows() -> None:
        start = time.process_time()
        for _ in loss.backend.rows(theta):
            pass
        rows.append(time.process_time() - start)

    benchmark.pedantic(all_rows, setup=evaluate, rounds=5, warmup_rounds=1)
    ratios = [one / other for one, other in zip(rows[1:], evaluations[1:], strict=True)]
    benchmark.extra_info |= {
        "backend": backend_name,
        "parameters": parameters,
        "points": sum(loss.backend.sizes.values()),
    }
    benchmark.extra_info |= {"seconds": quartiles(rows[1:]), "evaluations": quartiles(ratios)}


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
