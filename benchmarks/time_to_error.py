"""CPU seconds to an error, methods of this suite and DeepXDE one after another on one core, in one run.

    python -m benchmarks.time_to_error [--experiments heat-0.3 helmholtz-1-8] [--seconds 600]

DeepXDE trains the method of the plain sum: the same network, first parameters and points, Adam and then L-BFGS of
its torch backend, in both precisions, and NNCG after them in float64. That method is trained by both backends of
this suite, the paper's best one and the curvature recipe by JAX. Each training is a process of its own and ends
after ``--seconds`` (DeepXDE's in CPU seconds). Importing, compiling and, in DeepXDE, measuring the error are not
counted. Targets are an error of 1e-3 and the smallest that the paper's authors report. Writes
``reports/benchmarks/time-to-error.csv`` and ``.md``; wants ``benchmarks/requirements.txt``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from solvers.configuration.catalogue import Catalogue
from solvers.runs.loading import load_run, runs_below
from solvers.runs.rows import cpu_history

__all__ = ["first_below", "main", "markdown"]

ROOT = Path(__file__).resolve().parent.parent
TARGET = 1e-3
SAME = {"heat-0.3": "pinn", "heat-0.15": "pinn", "helmholtz-1-8": "mff"}
"""The method with the plain sum, whose network, points and first parameters DeepXDE has."""
OURS = {
    "heat-0.3": ["pinn", "mmpinn", "mmpinn-bfgs", "bfgs"],
    "heat-0.15": ["pinn", "mmpinn", "mmpinn-bfgs", "bfgs"],
    "helmholtz-1-8": ["mff", "mmpinn-inn", "mmpinn-bfgs", "bfgs"],
}
"""That method, the paper's best, and the recipe with and without the paper's powers."""
DEEPXDE: Mapping[str, Sequence[str]] = {
    "Adam, L-BFGS, float32": ["--dtype", "float32"],
    "Adam, L-BFGS, float64": ["--dtype", "float64"],
    "Adam, L-BFGS, NNCG, float64": ["--dtype", "float64", "--nncg"],
}
COLUMNS = ["experiment", "by", "method", "smallest error", "seconds of training", "ended"]


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", nargs="+", choices=list(SAME), default=["heat-0.3", "helmholtz-1-8"])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--folder", type=Path, default=ROOT / "reports/benchmarks")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for experiment in given.experiments:
        best = paper_best(experiment)
        for method, backend in [(SAME[experiment], "torch"), *((m, "jax") for m in OURS[experiment])]:
            found = ours(experiment, method, backend, given.seconds)
            rows.append(_row(experiment, backend, method, found, best))
            pd.DataFrame(rows).to_csv(given.folder / "time-to-error.csv", index=False)
        for name, options in DEEPXDE.items():
            found = deepxde(experiment, options, given.seconds)
            rows.append(_row(experiment, "DeepXDE", name, found, best))
            pd.DataFrame(rows).to_csv(given.folder / "time-to-error.csv", index=False)
    text = markdown(pd.DataFrame(rows))
    (given.folder / "time-to-error.md").write_text(text)
    print(text)


def paper_best(experiment: str) -> float:
    """The smallest error that the paper's authors report for any method of this experiment."""
    found = Catalogue().experiment(experiment).methods.values()
    return min(m.authors.rel_l2 for m in found if m.authors and m.authors.rel_l2)


def first_below(history: pd.DataFrame, target: float) -> float:
    """CPU seconds of the first row whose error is at most ``target``; not a number where there is none."""
    below = history[history.rel_l2 <= target]
    return float(below.seconds.iloc[0]) if len(below) else float("nan")


def _row(experiment: str, by: str, method: str, found: tuple[pd.DataFrame, str], best: float) -> dict[str, object]:
    history, ended = found
    row: dict[str, object] = {"experiment": experiment, "by": by, "method": method}
    for target in (TARGET, best):
        row[f"seconds to {'the paper' if target == best else f'{target:g}'}"] = first_below(history, target)
    row["the paper's smallest"] = best
    smallest, last = (history.rel_l2.min(), history.seconds.max()) if len(history) else (float("nan"),) * 2
    row |= {"smallest error": smallest, "seconds of training": last, "ended": ended}
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def ours(experiment: str, method: str, backend: str, seconds: float) -> tuple[pd.DataFrame, str]:
    """History and status of a run of the suite at the paper's scale, in CPU seconds of training."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "solvers", "run", experiment, method, "--backend", backend]
        command += ["--scale", "paper", "--seed", "0", "--results", folder, "--quiet"]
        subprocess.run([*command, "--time-limit", f"{seconds:g}"], cwd=ROOT, check=False)
        made = next(runs_below(Path(folder)), None)
        if made is None:
            return pd.DataFrame({"rel_l2": [], "seconds": []}), "no record"
        run = load_run(made)
        return cpu_history(run.history, run.record), run.record.status


def deepxde(experiment: str, options: Sequence[str], seconds: float) -> tuple[pd.DataFrame, str]:
    """The same of DeepXDE; what it ended with where it fell."""
    command = [sys.executable, "-m", "benchmarks.deepxde_training", experiment, SAME[experiment], *options]
    environment = os.environ | {"DDE_BACKEND": "pytorch", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--seconds", f"{seconds:g}"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ended = "finished" if done.returncode == 0 else done.stderr.strip().splitlines()[-1][:100]
    return pd.DataFrame(rows, columns=["optimizer", "iteration", "seconds", "rel_l2"]), ended


def markdown(table: pd.DataFrame) -> str:
    """The table for a page: seconds in whole numbers, a dash where a target is never reached."""
    shown = table.copy()
    for name in shown:
        if name.startswith("seconds"):
            shown[name] = [f"{value:.0f}" if value == value else "-" for value in shown[name]]
        elif name in ("smallest error", "the paper's smallest"):
            shown[name] = [f"{value:.1e}" if value == value else "-" for value in shown[name]]
    return shown.to_markdown(index=False, disable_numparse=True) + "\n"


if __name__ == "__main__":
    main()
