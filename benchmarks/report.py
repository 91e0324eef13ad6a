"""Tables, figures and a page of ``make benchmark``: ``python -m benchmarks.report FOLDER`` reads the JSON files in
it."""

import json
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns

__all__ = ["main"]

Rows = list[dict[str, Any]]


TITLES: Mapping[str, str] = {
    "evaluation": "Loss and gradient against nested differentiation, DeepXDE and the floor of products and tanh",
    "training": "Optimizers: steps or iterations, and what they take beside their evaluations",
    "curvature": "BFGS in float64: a step in processor time, and what is the algebra's own",
    "rows": "All rows of the Jacobian in float64, in processor time",
    "sines": "Sine and cosine of one number in JAX, by polynomials and by XLA",
    "start": "Seconds from the start of the process to the first step, and its largest parts",
    "chunks": "Milliseconds of loss and gradient by points in a chunk",
    "growth": "Seconds of loss and gradient by points and width",
    "memory": "Peak memory of the largest evaluation: 120,000 points, 300 wide",
    "pipeline": "The pipeline's own cost",
}
PIPELINE = ("test_planning", "test_execution", "test_reporting")
VERSIONS = ("torch", "jax", "deepxde", "numpy", "scipy", "snakemake")


def main(arguments: Sequence[str]) -> None:
    """Write a table for each kind of measurement, the figure of growth, and ``speed.md`` with all tables."""
    folder = Path(arguments[0])
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    found = [entry for result in results for entry in result["benchmarks"]]
    tables = {
        "evaluation": _evaluation(found),
        "training": _training(found),
        "curvature": _curvature(found),
        "rows": _rows(found),
        "sines": _sines(found),
        "start": _start(found),
        "chunks": _chunks(found),
        "growth": _growth(found),
        "memory": _memory(found),
        "pipeline": _pipeline(found),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
        (folder / f"{name}.md").write_text(_markdown(table))
    (folder / "speed.md").write_text(_page(results, tables))
    _draw(tables["growth"], folder)


def _markdown(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True) + "\n"


def _page(results: Rows, tables: Mapping[str, pd.DataFrame]) -> str:
    """All tables on one page, under what they were measured with."""
    commits = dict.fromkeys(
        f"{made['id'][:10]}{' with uncommitted changes' if made['dirty'] else ''}, {result['datetime'][:10]}"
        for result in results
        if (made := result.get("commit_info", {})).get("id")
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS if _installed(name))
    head = f"Made by `make benchmark`: one thread, medians [quartiles]. Commit {'; '.join(commits)}."
    parts = [f"## {TITLES[name]}\n\n{_markdown(table)}" for name, table in tables.items() if len(table)]
    return "\n".join(["# Speed\n", f"{head} {versions}.\n", *parts])


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _of(found: Rows, name: str) -> Rows:
    return [entry for entry in found if entry["name"].startswith(name)]


def _spread(quartiles: Sequence[float], form: str = ".2f", factor: float = 1.0) -> str:
    low, middle, high = (factor * q for q in quartiles)
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def _evaluation(found: Rows) -> pd.DataFrame:
    """Milliseconds of ours; naive and DeepXDE in units of ours; ours in units of the floor."""
    rows = []
    for entry in _of(found, "test_loss_and_gradient"):
        info = entry["extra_info"]
        row = {key: info[key] for key in ("backend", "shape", "dtype")}
        row["ours, ms, median [quartiles]"] = _spread(info["seconds"]["ours"], ".1f", 1e3)
        row["floor, ms"] = f"{info['floor'] * 1e3:.1f}"
        for key in ("naive", "deepxde"):
            row[f"{key} / ours"] = _spread(info["ratios"][key]) if key in info["ratios"] else "-"
        rows.append(row | {"ours / floor": _spread(info["ratios"]["floor"])})
    return pd.DataFrame(rows)


def _training(found: Rows) -> pd.DataFrame:
    rows = []
    for entry in _of(found, "test_adam"):
        info, seconds = entry["extra_info"], entry["stats"]["median"]
        row = {"backend": info["backend"], "optimizer": "adam", "dtype": "float32"}
        row |= {"a second": f"{info['steps'] / seconds:.1f}", "own ms": "-"}
        rows.append(row | {"own share": _spread(info["own share"], ".3f")})
    for entry in _of(found, "test_lbfgs"):
        info = entry["extra_info"]
        row = {"backend": info["backend"], "optimizer": "lbfgs", "dtype": info["dtype"], "a second": "-"}
        row["own ms"] = _spread(info["own seconds an iteration"], ".2f", 1e3)
        rows.append(row | {"own share": _spread(info["own share"], ".3f")})
    return pd.DataFrame(rows)


def _curvature(found: Rows) -> pd.DataFrame:
    rows = []
    for entry in _of(found, "test_bfgs"):
        info = entry["extra_info"]
        row = {key: info[key] for key in ("backend", "update", "parameters")}
        row["ms a step"] = _spread(info["seconds a step"], ".1f", 1e3)
        row["own ms"] = _spread(info["own seconds a step"], ".2f", 1e3)
        rows.append(row | {"own share": _spread(info["own share"], ".3f")})
    return pd.DataFrame(rows)


def _rows(found: Rows) -> pd.DataFrame:
    rows = []
    for entry in _of(found, "test_rows"):
        info = entry["extra_info"]
        row = {key: info[key] for key in ("backend", "parameters")}
        row["ms"] = _spread(info["seconds"], ".0f", 1e3)
        rows.append(row | {"evaluations": _spread(info["evaluations"], ".1f")})
    return pd.DataFrame(rows)


def _sines(found: Rows) -> pd.DataFrame:
    rows = []
    for entry in _of(found, "test_sine_and_cosine"):
        info = entry["extra_info"]
        own = {f"{name}, ns for both": _spread(info["nanoseconds"][name], ".1f") for name in ("ours", "xla")}
        rows.append({"dtype": info["dtype"]} | own)
    return pd.DataFrame(rows)


def _start(found: Rows) -> pd.DataFrame:
    rows = []
    for entry in _of(found, "test_start"):
        info = entry["extra_info"]
        row = {"backend": info["backend"], "cache": info["cache"]}
        row["seconds to the first step"] = _spread(info["seconds"])
        rows.append(row | {key: f"{value:.2f}" for key, value in info["phases"].items()})
    return pd.DataFrame(rows)


def _chunks(found: Rows) -> pd.DataFrame:
    rows = [
        entry["extra_info"] | {"ms": f"{entry['stats']['median'] * 1e3:.1f}"}
        for entry in _of(found, "test_chunk_size")
    ]
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame(rows).pivot(index=["backend", "shape"], columns="chunk", values="ms").reset_index()


def _growth(found: Rows) -> pd.DataFrame:
    rows = [
        entry["extra_info"] | {key: float(f"{entry['stats'][key]:.3g}") for key in ("min", "median", "max")}
        for entry in _of(found, "test_growth")
    ]
    return pd.DataFrame(rows)


def _memory(found: Rows) -> pd.DataFrame:
    rows = [e["extra_info"] for e in _of(found, "test_peak_memory")]
    return pd.DataFrame([{"backend": r["backend"], "peak, GiB": f"{r['bytes'] / 2**30:.2f}"} for r in rows])


def _pipeline(found: Rows) -> pd.DataFrame:
    """The same for both backends: it stands in each file once."""
    rows = []
    for entry in [e for name in PIPELINE for e in _of(found, name)]:
        info, seconds = entry["extra_info"], entry["stats"]["median"]
        rows.append({"jobs": info["jobs"], "what": info["what"], "seconds": f"{seconds:.1f}"})
        rows[-1]["ms a job"] = f"{1e3 * seconds / info['jobs']:.1f}"
    return pd.DataFrame(rows)


def _draw(growth: pd.DataFrame, folder: Path) -> None:
    if growth.empty:
        return
    by_points = growth[growth.width == 50].assign(axis="collocation points, width 50", size=growth.points)
    by_width = growth[growth.points == 10_000].assign(axis="width, 10,000 points", size=growth.width)
    grid = sns.relplot(
        pd.concat([by_points, by_width]),
        x="size",
        y="median",
        hue="backend",
        style="backend",
        markers=True,
        col="axis",
        kind="line",
        palette="colorblind",
        height=3,
        aspect=1.3,
        facet_kws={"sharex": False},
    )
    grid.set(xscale="log", yscale="log").set_axis_labels("", "seconds of loss and gradient")
    grid.set_titles("{col_name}")
    for suffix in ("pdf", "png"):
        grid.savefig(folder / f"growth.{suffix}")


if __name__ == "__main__":
    main(sys.argv[1:])
