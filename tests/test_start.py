"""Compiled programs are shared between runs, and by several at once."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from solvers.backends._tanh_layer import tanh_layer
from solvers.backends.torch import OPS
from solvers.jets import Jet, layout_for
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


PLAIN = dataclasses.replace(OPS, tanh_layer=None)


@pytest.mark.parametrize(
    "layout",
    [
        layout_for("xt", ["t", "xx"], {"t": 1.0, "xx": -1.0}),
        layout_for("xt", ["xx", "tt"]),
        layout_for("xt", ["x", "xt", "tt"]),
        layout_for("xt", ["xx", "xt", "tt"], {"xx": 2.0, "xt": -0.5, "tt": 3.0}),
        layout_for("x", ["x"]),
        (),
    ],
    ids=lambda layout: "-".join(channel.name for channel in layout) or "value",
)
@pytest.mark.parametrize("rows", [7, 1], ids=["points", "constant"])
def test_the_tanh_layer_by_hand_is_that_of_autograd(layout, rows):
    """Values to rounding, derivatives by gradcheck, channels that are the same at all points among them."""
    torch.manual_seed(0)
    weight, bias, value, *parts = (
        torch.randn(size, dtype=torch.float64, requires_grad=True)
        for size in [(2, 3), (3,), (7, 2), *((rows, 2) for _ in layout)]
    )
    plain = Jet(value, tuple(parts), layout).tanh_layer(weight, bias, PLAIN)
    ours, channels = tanh_layer(value, parts, layout, weight, bias)
    for one, other in zip((ours, *channels), (plain.value, *plain.parts), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)

    def flat(weight: torch.Tensor, bias: torch.Tensor, value: torch.Tensor, *parts: torch.Tensor):
        result, channels = tanh_layer(value, parts, layout, weight, bias)
        return (result, *channels)

    assert torch.autograd.gradcheck(flat, (weight, bias, value, *parts))
