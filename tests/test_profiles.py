"""The cluster profiles: their keys are options, their plug-ins are pinned, the whole pipeline can be planned."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml

from solvers.runs.record import read_run
from tests.conftest import ROOT, copy_project

PROFILES = sorted(path.parent.name for path in ROOT.glob("profiles/*/config.yaml"))
SELECTION = ["scale=smoke", "experiments=heat-0.3", "backends=jax", "methods=pinn,mmpinn"]
PLUGINS = "snakemake-executor-plugin-", "snakemake-storage-plugin-"


def settings(profile: str) -> dict:
    return yaml.safe_load((ROOT / f"profiles/{profile}/config.yaml").read_text())


def pins(profile: str) -> dict[str, str]:
    """Versions of the profile's plug-ins."""
    path = ROOT / f"profiles/{profile}/requirements.txt"
    return dict(re.findall(r"^([\w-]+)==(\S+)$", path.read_text(), re.M)) if path.exists() else {}


def missing(profile: str) -> dict[str, str]:
    """Plug-ins of the profile that are not installed in the version that it names."""

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return {name: pin for name, pin in pins(profile).items() if installed(name) != pin}


def known_options() -> set[str]:
    """Options of the Snakemake that is installed, those of installed plug-ins too."""
    from snakemake.cli import get_argument_parser

    options = get_argument_parser()._option_string_actions
    return {name.removeprefix("--") for name in options if name.startswith("--")}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


def snakemake(tree: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", *arguments]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_key_is_an_option(profile: str):
    """An option of a plug-in that is not installed is known by the plug-in's name alone."""
    chosen = settings(profile)
    plugins = {chosen.get("executor"), chosen.get("default-storage-provider")} - {None}
    unknown = set(chosen) - known_options()
    if missing(profile):
        unknown = {key for key in unknown if not key.startswith(tuple(f"{name}-" for name in plugins))}
    assert not unknown
    assert plugins <= {name.removeprefix(kind) for name in pins(profile) for kind in PLUGINS}


@pytest.mark.pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_the_pipeline_can_be_planned(profile: str, tree: Path):
    if missing(profile):
        pytest.skip(f"not installed: {missing(profile)} (profiles/{profile}/requirements.txt)")
    done = snakemake(tree, "-n", "--profile", f"profiles/{profile}", "--config", *SELECTION, "gpu=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^train +2$", done.stdout + done.stderr, re.M)


def test_the_container_copies_files_that_are_there():
    copied = re.findall(r"^COPY (.*) \S+$", (ROOT / "profiles/kubernetes/Containerfile").read_text(), re.M)
    assert copied and all((ROOT / name).is_file() for name in copied)


@pytest.mark.pipeline
def test_runs_that_take_a_gpu_wait_for_one(tree: Path):
    """Two runs, two cores, one GPU: one after the other."""
    target = "reports/paper/smoke+backends=jax+experiments=heat-0.3+methods=pinn~mmpinn/summary.csv"
    done = snakemake(tree, "--cores", "2", "--resources", "gpu=1", "--config", *SELECTION, "gpu=1", "--", target)
    assert done.returncode == 0, done.stderr[-3000:]
    records = [read_run(path.parent).provenance for path in (tree / "results").rglob("run.json")]
    first, second = sorted(records, key=lambda record: record.started)
    assert first.finished <= second.started
