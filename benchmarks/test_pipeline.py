"""What the pipeline itself costs: planning 300 and 3,000 runs, executing 300 that do nothing, reporting on 240."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.stand_ins import write_stand_in
from solvers.configuration.catalogue import Catalogue
from workflow.sweep import Sweep

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("Snakefile", "config", "docs", "problems", "solvers", "workflow", "profiles")
RUNS_A_SEED = 4  # two methods of heat-0.3 on two backends
DO_NOTHING = """#!/bin/sh
# Stands for python -m solvers run EXPERIMENT METHOD --backend B --numerics N --scale S --seed K, leaves its files.
folder="results/${11}/$4/$5/$7/$9/${13}"
mkdir -p "$folder" && cd "$folder" && touch run.json history.parquet fields.npz weights.safetensors
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    return tmp_path


def take_all_cores() -> None:
    """Undo the pinning of this process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def snakemake(tree: Path, *arguments: str, path: str = "") -> None:
    command = [Path(sys.executable).parent / "snakemake", "--cores", "2", *arguments]
    environment = os.environ | {"PYTHONPATH": str(tree), "PATH": f"{path}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, preexec_fn=take_all_cores
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("jobs", [300, 3000])
def test_planning(benchmark, tree, backend_name, jobs):
    arguments = ["-n", "--quiet", "all", "--config", "experiments=heat-0.3", f"seeds={jobs // RUNS_A_SEED}"]
    benchmark.extra_info |= {"backend": "-", "jobs": jobs, "what": "planned"}
    benchmark.pedantic(lambda: snakemake(tree, *arguments), rounds=1)


def test_execution(benchmark, tree, backend_name):
    """300 jobs whose command only leaves its files, two at a time."""
    stub = tree / "bin/python"
    stub.parent.mkdir()
    stub.write_text(DO_NOTHING)
    stub.chmod(0o755)
    seeds = f"seeds={300 // RUNS_A_SEED}"
    arguments = ["--quiet", "all", "--until", "train", "--config", "experiments=heat-0.3", seeds]
    benchmark.extra_info |= {"backend": "-", "jobs": 300, "what": "executed, two at a time"}
    benchmark.pedantic(lambda: snakemake(tree, *arguments, path=f"{stub.parent}:"), rounds=1)


def test_reporting(benchmark, tree, backend_name):
    """Tables, figures and page of a whole sweep at the quick scale whose runs are all there."""
    specs = Sweep.from_command_line(Catalogue(), ["scale=quick"]).specs
    for spec in specs:
        write_stand_in(spec, tree / "results")
    benchmark.extra_info |= {"backend": "-", "jobs": len(specs), "what": "reported on"}
    benchmark.pedantic(lambda: snakemake(tree, "--quiet", "all"), rounds=1)
    assert (tree / "reports/paper/quick/index.html").exists()
