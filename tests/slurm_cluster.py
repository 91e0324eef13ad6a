"""A Slurm of one node for the tests: Debian's daemons in the foreground, files in a scratch folder."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Job", "jobs", "slurm", "wait_until", "why_not"]

CONF = Path("/etc/slurm/slurm.conf")  # inner commands of the plug-in look nowhere else
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
CLUSTER = "mmpinn-bench-test"
SETTINGS = """\
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
ReturnToService=2
MinJobAge=3600
KillWait=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Job:
    """A job that Slurm knows: its number, its state, and the comment, which names the rule and its wildcards."""

    number: str
    state: str
    comment: str


def why_not() -> str | None:
    """Why no Slurm can be started here, or ``None`` if one can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: apt-get install slurm-wlm munge)"
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "not installed: snakemake-executor-plugin-slurm (profiles/slurm/requirements.txt)"
    if os.geteuid() != 0:
        return "the daemons of Slurm need root"
    if CONF.exists() and CLUSTER not in CONF.read_text():
        return f"{CONF} is there: this machine belongs to a cluster, which a test must not touch"
    return None


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Start munged, slurmctld and slurmd with their files in ``folder``; end all jobs and stop them afterwards."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    munge = [f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    host = socket.gethostname().partition(".")[0]
    with ExitStack() as stack:
        stack.callback(CONF.unlink, missing_ok=True)
        CONF.write_text(SETTINGS.format(cluster=CLUSTER, host=host, folder=folder))
        munged = ["munged", "--foreground", "--force", f"--key-file={key}", *munge]
        stack.enter_context(_daemon(munged, folder))
        stack.enter_context(_daemon(["slurmctld", "-D"], folder))
        stack.enter_context(_daemon(["slurmd", "-D", "-N", host], folder))
        wait_until(lambda: "idle" in _output(["sinfo", "--noheader", "--format=%T"], check=False), 60, "idle node")
        stack.callback(_end_all_jobs)
        yield


def jobs() -> list[Job]:
    """All jobs of the cluster, finished ones too."""
    listed = _output(["squeue", "--states=all", "--noheader", "--format=%i|%T|%k"])
    return [Job(*line.split("|", 2)) for line in listed.splitlines()]


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return when ``condition`` holds; :class:`TimeoutError` that says ``what`` did not come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} within {seconds:.0f} s")
        time.sleep(0.5)


def _end_all_jobs() -> None:
    """Without it the processes of a job would outlive the daemons."""
    _output(["scancel", "--user=root"], check=False)
    wait_until(lambda: not _output(["squeue", "--noheader"], check=False), 30, "empty queue")


@contextmanager
def _daemon(command: Sequence[str], folder: Path) -> Iterator[None]:
    with (folder / f"{command[0]}.out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=_environment())
    try:
        time.sleep(1)
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended at once: {(folder / f'{command[0]}.out').read_text()[-2000:]}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _output(command: Sequence[str], check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=check, env=_environment())
    return done.stdout


def _path() -> str:
    """Debian's daemons are in /usr/sbin, which is not always searched."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": _path()}
