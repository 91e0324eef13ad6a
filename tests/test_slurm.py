"""The pipeline on a real Slurm: a cancelled job and a killed Snakemake lose nothing that was finished."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml

from solvers.runs.files import folder_beside
from solvers.runs.record import FILES, read_run
from tests.conftest import copy_project
from tests.slurm_cluster import Job, jobs, slurm, wait_until, why_not

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(why_not()), reason=str(why_not()))]
EXPERIMENT, LONG = "heat-0.3", "pinn"
SELECTION = ["scale=smoke", f"experiments={EXPERIMENT},poisson-2-50", "backends=jax", "methods=all"]
COMMAND = [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm"]
QUICK_CHECKS = ["--slurm-init-seconds-before-status-checks", "2"]
PATIENCE = 900.0


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which one method trains for half a minute at the smoke scale, after a short stage.
    A longer one would be waited for longer still: the plug-in asks Slurm ever more rarely while nothing ends."""
    root = copy_project(tmp_path_factory.mktemp("project"), checkpoint_interval=2.0)
    path = root / f"config/experiments/{EXPERIMENT}.yaml"
    experiment = yaml.safe_load(path.read_text())
    experiment["stages"]["long"] = experiment["stages"]["adam"]
    experiment["methods"][LONG]["levels"][0]["stages"] = ["adam", "long", "lbfgs"]
    longer = {"stages": {"long": {"iterations": 120_000}}, "evaluation": {"every": 2000}}
    experiment["scales"]["smoke"]["methods"] = {LONG: longer}
    path.write_text(yaml.safe_dump(experiment, sort_keys=False))
    return root


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with slurm(tmp_path_factory.mktemp("slurm")):
        yield


class Pipeline:
    """Snakemake at work on the cluster."""

    def __init__(self, tree: Path, log: Path, arguments: list[str]):
        self.tree, self.log = tree, log
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(tree),
            "XLA_FLAGS": "",  # as in production: one of its runs takes long
        }
        command = [*COMMAND, *QUICK_CHECKS, *arguments]
        with log.open("w") as out:
            self.process = subprocess.Popen(command, cwd=tree, stdout=out, stderr=out, env=environment)

    def waits_for(self, condition: Callable[[], bool], what: str) -> None:
        """Return when ``condition`` holds; it is an error if Snakemake ends before."""

        def holds() -> bool:
            assert self.process.poll() is None, self.output[-3000:]
            return condition()

        wait_until(holds, PATIENCE, what)

    def ends(self) -> int:
        """Its return code."""
        return self.process.wait(timeout=PATIENCE)

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def cluster_name(self) -> str:
        """The name that all its jobs have in Slurm."""
        return re.search(r"SLURM run ID: (\S+)", self.output)[1]


@contextmanager
def pipeline(tree: Path, name: str, seeds: str, *options: str) -> Iterator[Pipeline]:
    started = Pipeline(tree, tree / f"{name}.log", [*options, "--config", *SELECTION, f"seeds={seeds}"])
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.wait()


def folder(tree: Path, seed: int) -> Path:
    """The directory of the long run."""
    return tree / f"results/smoke/{EXPERIMENT}/{LONG}/jax/paper/{seed}"


def in_mid_run(tree: Path, seed: int) -> Callable[[], bool]:
    """Whether the long run is in its long stage, and has saved its state."""
    log = tree / f"logs/train/smoke/{EXPERIMENT}/{LONG}/jax/paper/{seed}.log"
    state = folder_beside(folder(tree, seed)) / "state.safetensors"
    return lambda: state.exists() and log.exists() and "iteration" in log.read_text()


def complete(tree: Path, seed: int) -> bool:
    """Whether all files of the long run are there."""
    return all((folder(tree, seed) / name).exists() for name in FILES)


def trainings(seed: int, *states: str) -> list[Job]:
    """Trainings with this seed, by their comment: rule and wildcards."""
    found = [job for job in jobs() if re.fullmatch(rf"rule_train_.*_{seed}", job.comment)]
    return [job for job in found if not states or job.state in states]


def long_one(seed: int) -> Job:
    return next(job for job in trainings(seed, "RUNNING") if f"{EXPERIMENT}_{LONG}_" in job.comment)


def check_results(tree: Path, output: str, seed: int, interruptions: int) -> None:
    """Every run of the selection is in the summary, finished, and the interrupted one went on where it was."""
    reports = tree.glob("reports/paper/smoke*/summary.csv")
    summary = pd.read_csv(max(reports, key=lambda path: path.stat().st_mtime))
    assert set(summary.status) == {"finished"}, output[-3000:]
    assert {f"{row.experiment}_{row.method}" for row in summary.itertuples()} == {
        re.search(r"smoke_(.*)_jax", job.comment)[1] for job in trainings(seed)
    }
    assert complete(tree, seed)
    assert len(read_run(folder(tree, seed)).restarts) >= interruptions


def told(title: str, found: list[Job]) -> str:
    """What became of the jobs, in one paragraph."""
    states = Counter(job.state for job in found)
    cancelled = {job.comment for job in found if job.state == "CANCELLED"}
    resumed = {job.comment for job in found if job.state == "COMPLETED"} & cancelled
    return (
        f"{title}: {len(found)} jobs submitted, {states['COMPLETED']} finished, {states['CANCELLED']} cancelled, "
        f"{states['FAILED']} failed, {len(resumed)} resumed, that is cancelled, submitted again and finished: "
        f"{', '.join(sorted(resumed))}."
    )


def test_a_cancelled_job_is_taken_up_by_the_next_start(tree: Path, record_property):
    seed = 0
    with pipeline(tree, "cancelled", "[0]", "--retries", "0") as first:
        first.waits_for(in_mid_run(tree, seed), "training in mid-run")
        victim = long_one(seed)
        subprocess.run(["scancel", victim.number], check=True, timeout=60)
        assert first.ends() == 1, first.output[-3000:]
    others = [job for job in trainings(seed) if job != victim and job.number != victim.number]
    assert others and {job.state for job in others} == {"COMPLETED"}
    assert [job.number for job in trainings(seed, "CANCELLED")] == [victim.number]
    assert not complete(tree, seed)
    assert f"SLURM-job '{victim.number}' failed, SLURM status is: 'CANCELLED'" in first.output
    with pipeline(tree, "resumed", "[0]") as second:
        assert second.ends() == 0, second.output[-3000:]
    again = [job for job in trainings(seed) if int(job.number) > max(int(job.number) for job in [victim, *others])]
    assert [(job.comment, job.state) for job in again] == [(victim.comment, "COMPLETED")]
    check_results(tree, second.output, seed, 1)
    record_property("summary", told("Slurm, a job cancelled", jobs()))


def test_a_killed_snakemake_is_taken_up_as_the_readme_says(tree: Path, record_property):
    seed = 1
    before = {job.number for job in jobs()}
    with pipeline(tree, "killed", "[1]", "--until", "summary") as first:
        first.waits_for(in_mid_run(tree, seed), "training in mid-run")
        victim = long_one(seed)
        first.process.send_signal(signal.SIGKILL)
        first.ends()
    assert long_one(seed) == victim  # it does not end with Snakemake
    subprocess.run(["scancel", "--name", first.cluster_name], check=True, timeout=60)
    wait_until(lambda: not trainings(seed, "PENDING", "RUNNING", "COMPLETING"), 60, "empty queue")
    with pipeline(tree, "unlocked", "[1]", "--unlock") as unlock:
        assert unlock.ends() == 0, unlock.output[-3000:]
    # Its tables and figures would be those of the test before.
    with pipeline(tree, "finished", "[1]", "--until", "summary") as second:
        assert second.ends() == 0, second.output[-3000:]
    check_results(tree, second.output, seed, 1)
    found = [job for job in jobs() if job.number not in before]
    record_property("summary", told("Slurm, Snakemake killed", found))
