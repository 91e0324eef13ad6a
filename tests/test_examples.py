"""The worked examples of README and docs/extend.md, run in a copy of the project."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from solvers.configuration.overrides import merge
from solvers.runs.record import read_data, read_history
from tests.conftest import BACKENDS, CATALOGUE, COPIED, ROOT
from tests.pipelines import make_runs

pytestmark = pytest.mark.pipeline
BLOCK = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", re.M | re.S)
SHORT = dict(BLOCK.findall((ROOT / "README.md").read_text()))
EXAMPLES = dict(BLOCK.findall((ROOT / "docs/extend.md").read_text()))
RULE, METHODS = "solvers/balancing/gradient_norm.py", "config/experiments/burgers.yaml"
ADDED = yaml.safe_load(EXAMPLES[METHODS])["methods"]


def test_the_examples_are_those_expected():
    assert list(EXAMPLES) == ["problems/burgers.py", RULE, METHODS]
    ((path, text),) = SHORT.items()
    assert path == "solvers/balancing/log_sum.py" and sum(map(bool, text.splitlines())) <= 12


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.endswith(".py") and (ROOT / path).exists()])
def test_what_is_shown_of_the_project_is_the_project(path: str):
    assert EXAMPLES[path] == (ROOT / path).read_text()


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the project with the files of README and docs written, YAML laid over the file of that name."""
    root = tmp_path_factory.mktemp("project")
    for name in (*COPIED, "tests", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    for path, text in (EXAMPLES | SHORT).items():
        if path.endswith(".yaml"):
            laid = merge(yaml.safe_load((root / path).read_text()), yaml.safe_load(text))
            text = yaml.safe_dump(laid, sort_keys=False)
        (root / path).write_text(text)
    return root


def call(tree: Path, *command: str) -> str:
    """Standard output of a command that must succeed, on the copy's code."""
    environment = os.environ | {
        "PYTHONPATH": str(tree),
    }
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout


def test_every_example_has_its_rows_in_the_table(tree: Path):
    """Its figures and its page would be those of any experiment (test_pipeline). The last example is trained by
    Snakemake, on every backend."""
    path = "reports/paper/smoke+experiments=burgers/tables/comparison.csv"
    config = ("scale=smoke", "experiments=burgers")
    make_runs(tree, *config, left=len(BACKENDS))
    call(tree, "snakemake", "--cores", "2", path, "--config", *config)
    table = pd.read_csv(tree / path)
    rows = set(table[["experiment", "method", "backend"]].itertuples(index=False, name=None))
    # Those of `config/methods` are for studies that name them.
    methods = {*CATALOGUE.experiment("burgers").methods, *ADDED} - {*CATALOGUE.names("methods")}
    assert rows == {("burgers", method, backend) for method in methods for backend in BACKENDS}
    assert set(table.finished) == set(table.runs) == {1}


def test_the_projects_own_tests_find_the_examples(tree: Path):
    rule = Path(RULE).stem.replace("_", "-")
    assert {entry["balancing"]["name"] for entry in ADDED.values()} == {rule}
    for name in ADDED:
        ran = call(tree, sys.executable, "-m", "pytest", "-rA", "tests/test_balancing.py", "-k", f"burgers-{name}")
        for test in ("weights_are_the_objectives_derivatives", "namespaces_agree"):
            assert re.search(rf"^PASSED .*test_{test}\[.*burgers-{name}.*\]$", ran, re.M)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_rule_of_the_readme_runs_by_its_command(tree: Path, backend: str):
    """Its objective is the sum of logarithms, which the history shows, and training lowers the error."""
    (typed,) = re.findall(r"^python -m (solvers run .*log-sum.*)$", (ROOT / "README.md").read_text(), re.M)
    command = [sys.executable, "-m", *shlex.split(typed), "--backend", backend, "--results", f"short-{backend}"]
    call(tree, *command)
    (folder,) = {path.parent for path in (tree / f"short-{backend}").rglob("run.json")}
    data, history = read_data(folder), read_history(folder)  # this process does not know the copy's rule
    assert data["status"] == "finished" and data["spec"]["backend"] == backend
    terms = history[[name for name in history if name.startswith("term.")]]
    np.testing.assert_allclose(history.objective, np.log(terms).sum(axis=1), rtol=1e-4)
    assert data["last"]["rel_l2"] < history.rel_l2.iloc[0]
