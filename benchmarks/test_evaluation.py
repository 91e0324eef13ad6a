"""Loss and gradient of every shape against nested differentiation, DeepXDE and the floor; growth; memory."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks import deepxde_peer, naive
from benchmarks.shapes import SHAPES, Shape, alternate, floor_seconds, quartiles

AGREEMENT = {"float32": 1e-5, "float64": 1e-12}
WITH_DEEPXDE = ("heat", "helmholtz")
CASES = [(name, "float32") for name in SHAPES] + [(name, "float64") for name in WITH_DEEPXDE]
POINTS = (1000, 10_000, 120_000)
WIDTHS = (20, 50, 100, 200, 400)


def evaluation(shape: Shape, backend: str, dtype: str, chunk_size: int | None = None):
    """Loss and gradient as the optimizers ask for them."""
    (loss, state), theta = shape.loss(backend, dtype, chunk_size), shape.theta(dtype)

    def call() -> tuple[float, np.ndarray]:
        seen = loss.evaluate(theta, state)
        return seen.loss, seen.gradient

    return call


def check(contenders: dict, dtype: str) -> None:
    """All give the same loss and gradient."""
    loss, gradient = contenders["ours"]()
    for name, call in contenders.items():
        other_loss, other = call()
        assert other_loss == pytest.approx(loss, rel=AGREEMENT[dtype]), name
        assert np.linalg.norm(other - gradient) <= AGREEMENT[dtype] * np.linalg.norm(gradient), name


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_loss_and_gradient(benchmark, backend_name, name, dtype):
    """Contenders take turns: each round of ours follows a round of the others."""
    shape = SHAPES[name]
    contenders = {"ours": evaluation(shape, backend_name, dtype)}
    contenders["naive"] = getattr(naive, f"{backend_name}_loss_and_gradient")(shape, dtype)
    if name in WITH_DEEPXDE:
        contenders["deepxde"] = deepxde_peer.loss_and_gradient(shape, dtype)
    check(contenders, dtype)
    floor = floor_seconds(shape, dtype)
    times = alternate(contenders, rounds=15, seconds=10)
    benchmark.extra_info |= {"shape": name, "dtype": dtype, "floor": floor, "backend": backend_name}
    benchmark.extra_info["seconds"] = {key: quartiles(value) for key, value in times.items()}
    ours = np.array(times["ours"])
    benchmark.extra_info["ratios"] = {
        key: quartiles(list(np.array(value) / ours)) for key, value in times.items() if key != "ours"
    } | {"floor": quartiles(list(ours / floor))}
    benchmark.pedantic(contenders["ours"], rounds=5)


def scaled(points: int = 10_000, width: int = 50) -> Shape:
    """The heat shape with so many points and so wide."""
    return Shape("heat-0.15", "mmpinn", (f"points.residual.count={points}", f"network.width={width}"))


@pytest.mark.parametrize(("points", "width"), [(p, 50) for p in POINTS] + [(10_000, w) for w in WIDTHS if w != 50])
def test_growth(benchmark, backend_name, points, width):
    shape = scaled(points, width)
    benchmark.extra_info |= {"backend": backend_name, "points": points, "width": width, "dtype": "float32"}
    call = evaluation(shape, backend_name, "float32")
    benchmark.pedantic(call, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("size", [125, 250, 500, 1000, 2000, 4000])
@pytest.mark.parametrize("name", ["heat", "helmholtz", "klein-gordon", "multifrequency"])
def test_chunk_size(benchmark, backend_name, name, size):
    """What the backend's default is chosen by."""
    shape = SHAPES[name]
    benchmark.extra_info |= {"backend": backend_name, "shape": name, "chunk": size}
    call = evaluation(shape, backend_name, "float32", chunk_size=size)
    benchmark.pedantic(call, rounds=5, warmup_rounds=1)


MEMORY = """
from benchmarks.shapes import Shape
from benchmarks.test_evaluation import evaluation
from solvers.runs.provenance import peak_memory_bytes
shape = Shape("multifrequency-20", "mmpinn-mff")
evaluation(shape, {backend!r}, "float32")()
print(peak_memory_bytes())
"""


def test_peak_memory_of_the_largest_evaluation(benchmark, backend_name):
    """120,000 points, 300 wide, in a process of its own: bytes at most resident."""

    def measure() -> int:
        code = MEMORY.format(backend=backend_name)
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        return int(done.stdout.split()[-1])

    benchmark.extra_info |= {"backend": backend_name, "bytes": benchmark.pedantic(measure, rounds=1)}
