"""The benchmarks' own parts: contenders that give the same numbers, and the tables made of a result."""

import json

import numpy as np
import pytest

from benchmarks import naive, report
from benchmarks.shapes import SHAPES, Shape, alternate, floor_seconds, operations
from benchmarks.test_evaluation import check, evaluation

FEW = ("points.residual.count=40", "network.width=10")


def small(name: str) -> Shape:
    shape = SHAPES[name]
    kept = tuple(text for text in shape.overrides if not text.startswith("points.residual"))
    return Shape(shape.experiment, shape.method, (*kept, *FEW))


@pytest.mark.parametrize("name", SHAPES)
def test_nested_differentiation_gives_our_loss_and_gradient(name, backend_name):
    shape = small(name)
    ours = evaluation(shape, backend_name, "float64")
    nested = getattr(naive, f"{backend_name}_loss_and_gradient")(shape, "float64")
    check({"ours": ours, "naive": nested}, "float64")


def test_a_contender_with_another_gradient_is_refused():
    with pytest.raises(AssertionError, match="wrong"):
        check({"ours": lambda: (1.0, np.ones(3)), "wrong": lambda: (1.0, np.ones(3) * 1.01)}, "float32")


def test_the_floor_counts_every_product_of_every_channel():
    """Heat: 10,000 points with three channels, the conditions with one; a first layer's channels are one row."""
    found, conditions = operations(SHAPES["heat"]), sum(len(p.points) for p in SHAPES["heat"].collocation[:-1])
    points = len(SHAPES["heat"].collocation[-1].points)
    assert found["product", 50, 50] == 3 * (3 * points + conditions)
    assert found["product", 50, 1] == 3 * points + conditions
    assert found["first product", 2, 50] == points + conditions + 2
    assert found["tanh", 50, 1] == 4 * (points + conditions)
    assert floor_seconds(SHAPES["heat"], "float32") > 0


def test_the_floor_counts_every_branch_and_no_frozen_frequency():
    found = operations(SHAPES["helmholtz"])
    assert found["product", 50, 50] % 2 == 0 and ("first product", 2, 50) not in found


def test_contenders_take_turns_and_each_timed_call_follows_one_of_its_own():
    calls = []
    times = alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, seconds=10)
    assert calls == ["a", "b"] + ["a", "a", "b", "b"] * 3 and len(times["a"]) == len(times["b"]) == 3


def test_the_report_has_every_table(tmp_path):
    stats = {"min": 1.0, "median": 2.0, "max": 3.0}
    common = {"backend": "jax", "shape": "heat", "dtype": "float32"}
    ratios = {"naive": [3.0, 4.0, 5.0], "deepxde": [4.0, 5.0, 6.0], "floor": [1.1, 1.2, 1.3]}
    entries = {
        "test_loss_and_gradient[heat-float32]": common
        | {"floor": 0.01, "seconds": {"ours": [0.01, 0.02, 0.03]}, "ratios": ratios},
        "test_adam": {"backend": "jax", "steps": 50, "own share": [0.0, 0.01, 0.02]},
        "test_lbfgs[float32]": common | {"own share": [0.1, 0.11, 0.12], "own seconds an iteration": [1e-3] * 3},
        "test_start[warm]": {
            "backend": "jax",
            "cache": "warm",
            "seconds": [3, 3.5, 4],
            "phases": {"compile": 1.0},
        },
        "test_chunk_size[heat-500]": {"backend": "jax", "shape": "heat", "chunk": 500},
        "test_growth[1000-50]": {"backend": "jax", "points": 1000, "width": 50, "dtype": "float32"},
        "test_peak_memory_of_the_largest_evaluation": {"backend": "jax", "bytes": 2**30},
    }
    found = [{"name": name, "stats": stats, "extra_info": info} for name, info in entries.items()]
    (tmp_path / "jax.json").write_text(
        json.dumps(
            {
                "benchmarks": found,
                "commit_info": {"id": "0123456789abcdef", "dirty": True},
                "datetime": "2026-01-02T03:04",
            }
        )
    )
    report.main([str(tmp_path)])
    for name in ("evaluation", "training", "start", "chunks", "growth", "memory"):
        assert (tmp_path / f"{name}.md").stat().st_size > 0
    assert "5.00 [4.00, 6.00]" in (tmp_path / "evaluation.md").read_text()
    assert (tmp_path / "growth.png").exists()
    page = (tmp_path / "speed.md").read_text()
    assert "0123456789 with uncommitted changes, 2026-01-02" in page
    assert page.count("## ") == 6 and "5.00 [4.00, 6.00]" in page
