"""The benchmarks' own parts: contenders that give the same numbers, and the tables made of a result."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import naive, report, time_to_error
from benchmarks.shapes import SHAPES, Shape, alternate, floor_seconds, operations
from benchmarks.test_evaluation import check, evaluation
from solvers.configuration.catalogue import Catalogue

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
        "test_sine_and_cosine[float64]": common | {"nanoseconds": {"ours": [3, 4, 5], "xla": [40, 41, 42]}},
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
    for name in ("evaluation", "training", "sines", "start", "chunks", "growth", "memory"):
        assert (tmp_path / f"{name}.md").stat().st_size > 0
    assert "5.00 [4.00, 6.00]" in (tmp_path / "evaluation.md").read_text()
    assert (tmp_path / "growth.png").exists()
    page = (tmp_path / "speed.md").read_text()
    assert "0123456789 with uncommitted changes, 2026-01-02" in page
    assert page.count("## ") == 7 and "5.00 [4.00, 6.00]" in page


def test_seconds_to_an_error_are_those_of_the_first_row_at_or_below_it():
    history = pd.DataFrame({"seconds": [1.0, 2.0, 3.0], "rel_l2": [0.1, 1e-3, 1e-4]})
    assert time_to_error.first_below(history, 1e-3) == 2.0
    assert np.isnan(time_to_error.first_below(history, 1e-5))
    shown = time_to_error.markdown(
        pd.DataFrame({"seconds to 0.001": [2.4, np.nan], "smallest error": [1e-4, 0.2]})
    )
    assert "| 2 " in shown and "| - " in shown and "1.0e-04" in shown


@pytest.mark.parametrize("experiment", time_to_error.SAME)
def test_times_to_errors_are_of_methods_that_there_are(experiment):
    """The method that DeepXDE has is the plain sum over Adam and L-BFGS; the paper's best is among ours."""
    methods = Catalogue().experiment(experiment).methods
    assert {*time_to_error.OURS[experiment]} <= {*methods}
    spec = Shape(experiment, time_to_error.SAME[experiment]).spec("float64")
    assert spec.levels[0].balancing["name"] == "sum"
    assert [stage["optimizer"] for stage in spec.levels[0].stages] == ["adam", "lbfgs"]
    known = {name: m.authors.rel_l2 for name, m in methods.items() if m.authors and m.authors.rel_l2}
    assert min(known, key=known.get) in time_to_error.OURS[experiment]
    assert time_to_error.paper_best(experiment) == min(known.values())
