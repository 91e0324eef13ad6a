"""The Kubernetes profile end to end, on a stand-in for the cluster: code and results travel by storage alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import copy_project
from tests.kubernetes_stand_in import StandIn, stand_in
from tests.test_profiles import missing, settings

PROGRAMS = [name for name in ("rsync", "git") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(bool(missing("kubernetes")), reason=f"not installed: {missing('kubernetes')}"),
    pytest.mark.skipif(bool(PROGRAMS), reason=f"not installed: {PROGRAMS}"),
]


def pod_environment(folder: Path) -> dict[str, str]:
    """As in the image: all packages, and a pip that finds the storage plug-in without a network."""
    (folder / "bin").mkdir()
    pip = folder / "bin/pip"
    pip.write_text("#!/bin/sh\nexit 0\n")
    pip.chmod(0o755)
    return os.environ | {
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def test_pods_make_the_results(tmp_path: Path):
    tree, volume, pods = (tmp_path / name for name in ("project", "volume", "pods"))
    for folder in (tree, volume, pods):
        folder.mkdir()
    copy_project(tree)
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        subprocess.run(command, cwd=tree, check=True)
    chosen = settings("kubernetes") | {
        "kubernetes-persistent-volumes": [f"mmpinn:{volume}"],
        "default-storage-prefix": f"{volume}/storage",
        "remote-job-local-storage-prefix": f"{volume}/work",
    }
    (tree / "profiles/kubernetes/config.yaml").write_text(yaml.safe_dump(chosen))
    with stand_in(pods, pod_environment(tmp_path)) as cluster:
        done = run_pipeline(tree, cluster)
        assert done.returncode == 0, done.stderr[-3000:] + cluster.logs()[-3000:]
    summary = pd.read_csv(
        volume / "storage/reports/paper/smoke+backends=jax+experiments=heat-0.3+methods=pinn~mmpinn/summary.csv"
    )
    assert list(summary.method) == ["pinn", "mmpinn"]
    assert set(summary.status) == {"finished"}
    assert (volume / "storage/results/smoke/heat-0.3/pinn/jax/paper/0/weights.safetensors").exists()
    assert not (tree / "results").exists()
    containers = [cluster.container(job) for job in cluster.submitted]
    assert (
        len(containers) == 4
    )  # two trainings, floor and figures of one experiment; the rest is made by Snakemake itself
    assert {container["image"] for container in containers} == {chosen["container-image"]}
    gpus = [container["resources"]["requests"].get("nvidia.com/gpu") for container in containers]
    assert sorted(gpus, key=str) == ["1", "1", None, None]


def run_pipeline(tree: Path, cluster: StandIn) -> subprocess.CompletedProcess:
    """The pipeline on the cluster: two runs, a GPU each."""
    selection = ["scale=smoke", "experiments=heat-0.3", "methods=pinn,mmpinn", "backends=jax", "gpu=1"]
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/kubernetes", "--config", *selection]
    environment = os.environ | {"PYTHONPATH": str(tree), "KUBECONFIG": str(cluster.configuration())}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=600)
