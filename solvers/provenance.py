"""Where a number comes from: versions, machine, commit, code, the process and its time."""

import hashlib
import json
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from solvers.fingerprint import ROOT, fingerprint
from solvers.spec import RunSpec, StrictModel
from solvers.stopwatch import Stopwatch

__all__ = [
    "Machine",
    "ProcessClock",
    "Provenance",
    "is_run_of",
    "peak_memory_bytes",
    "provenance",
    "spec_hash",
    "text_hash",
]

_PACKAGES = ("numpy", "scipy", "sympy", "pandas", "pyarrow", "safetensors")


class Machine(StrictModel):
    """The machine of a run; ``matrix_products`` is the framework's word for the precision of those of float32
    (``highest``: float32 throughout, no TF32), None in records that are older than this field."""

    system: str
    processor: str
    cores: int
    memory_bytes: int
    device: str
    matrix_products: str | None = None
    pinned_core: int | None


class Provenance(StrictModel):
    """Everything needed to make a run again."""

    versions: dict[str, str]
    machine: Machine
    commit: str | None
    uncommitted_changes: bool | None
    fingerprint: str
    spec_hash: str
    started: str
    finished: str


def spec_hash(spec: RunSpec) -> str:
    """16 hexadecimal digits of the specification."""
    return text_hash(spec.model_dump(mode="json"))


def text_hash(data: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of ``data`` as JSON, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_run_of(spec: RunSpec, origin: Mapping[str, Any]) -> bool:
    """Whether a run is of this specification and of this code, by the two hashes in its provenance ``origin``."""
    made = origin["spec_hash"], origin["fingerprint"]
    return made == (spec_hash(spec), fingerprint(spec.plugins()))


def provenance(
    spec: RunSpec, description: Mapping[str, str], pinned_core: int | None, started: str, finished: str
) -> Provenance:
    """The provenance of a run by a backend that describes itself with versions, a ``device`` and the precision of
    its ``matrix_products``."""
    frameworks = {n: version for n, version in description.items() if n not in ("device", "matrix_products")}
    commit, changed = _git()
    return Provenance(
        versions={"python": platform.python_version()} | frameworks | {p: metadata.version(p) for p in _PACKAGES},
        machine=Machine(
            system=platform.platform(),
            processor=_processor(),
            cores=psutil.cpu_count() or 0,
            memory_bytes=psutil.virtual_memory().total,
            device=description["device"],
            matrix_products=description.get("matrix_products"),
            pinned_core=pinned_core,
        ),
        commit=commit,
        uncommitted_changes=changed,
        fingerprint=fingerprint(spec.plugins()),
        spec_hash=spec_hash(spec),
        started=started,
        finished=finished,
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git() -> tuple[str | None, bool | None]:
    """Commit and whether tracked files differ from it; ``None`` outside a git checkout."""
    try:
        commit = _git_output("rev-parse", "HEAD")
        return commit, bool(_git_output("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _git_output(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far.

    On Linux the kernel's own mark: that of ``getrusage`` starts at what the process that started this one had.
    """
    status = Path("/proc/self/status")
    if status.exists() and (mark := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(mark[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class ProcessClock(Stopwatch):
    """The clock of a run with a process of its own: what passed since that started is ``startup``."""

    def __init__(self):
        super().__init__()
        self.started = datetime.now(UTC)
        self.wall["startup"] = self.started.timestamp() - psutil.Process().create_time()
        self.cpu["startup"] = time.process_time()

    def dates(self) -> tuple[str, str]:
        """When the run started, and now."""
        return self.started.isoformat(timespec="seconds"), datetime.now(UTC).isoformat(timespec="seconds")
