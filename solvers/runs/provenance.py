"""Where a number comes from: versions, machine, commit, code, the process and its time."""

import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from solvers.configuration.identity import spec_hash
from solvers.configuration.spec import RunSpec, StrictModel
from solvers.paths import ROOT
from solvers.runs.fingerprint import fingerprint, forget
from solvers.stopwatch import Stopwatch

__all__ = [
    "Code",
    "Machine",
    "ProcessClock",
    "Provenance",
    "code_by",
    "code_of",
    "identity_of",
    "is_run_of",
    "origin",
    "peak_memory_bytes",
    "provenance",
    "spec_hash",
]

CODE = ("problems", "solvers", "config")
"""What a run is made of: nothing in these folders may be outside the commit."""
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


@dataclass(frozen=True)
class Code:
    """The code of a run as it is on disk: git's commit and whether something differs from it, ``None`` outside a
    checkout, and the fingerprint."""

    commit: str | None
    uncommitted_changes: bool | None
    fingerprint: str


class Provenance(StrictModel):
    """Everything needed to make a run again. ``commit``, ``uncommitted_changes`` and ``fingerprint`` are taken
    together when the run starts; those that were others when it ended are named in ``changed_meanwhile``."""

    versions: dict[str, str]
    machine: Machine
    commit: str | None
    uncommitted_changes: bool | None
    fingerprint: str
    spec_hash: str
    started: str
    finished: str
    changed_meanwhile: list[str] = []


def code_of(spec: RunSpec) -> Code:
    """The code that a run of ``spec`` would be made by now, read from the disk at this moment; with a fingerprint
    that says so if it cannot be read, as when it is being edited: that must not cost a training."""
    return code_by(lambda: fingerprint(spec.plugins()))


def code_by(made: Callable[[], str]) -> Code:
    """The code as it is on the disk at this moment, ``made`` being what takes its fingerprint: see
    :func:`code_of`."""
    forget()
    try:
        return Code(*_git(), made())
    except (OSError, SyntaxError, ValueError) as error:
        return Code(*_git(), f"unreadable: {error}")


def identity_of(spec: RunSpec) -> dict[str, str]:
    """The two hashes that a run of ``spec`` by this code has in its provenance."""
    return {"spec_hash": spec_hash(spec), "fingerprint": fingerprint(spec.plugins())}


def is_run_of(spec: RunSpec, origin: Mapping[str, Any]) -> bool:
    """Whether a run is of this specification and of this code, by the two hashes in its provenance ``origin``."""
    return all(origin[name] == value for name, value in identity_of(spec).items())


def provenance(
    spec: RunSpec,
    code: Code,
    description: Mapping[str, str],
    pinned_core: int | None,
    started: str,
    finished: str,
) -> Provenance:
    """The provenance of a run that ends now: ``code`` is what it started with, and its backend describes itself
    with versions, a ``device`` and the precision of its ``matrix_products``."""
    dates = (started, finished)
    return origin(spec_hash(spec), (code, code_of(spec)), description, pinned_core, dates)


def origin(
    made_from: str,
    codes: tuple[Code, Code],
    description: Mapping[str, str],
    pinned_core: int | None,
    dates: tuple[str, str],
) -> Provenance:
    """The provenance of what was made from a specification with the hash ``made_from``: ``codes`` and ``dates``
    are those of its start and of its end; ``description`` as for :func:`provenance`."""
    frameworks = {n: version for n, version in description.items() if n not in ("device", "matrix_products")}
    made_by, now = asdict(codes[0]), asdict(codes[1])
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
        **made_by,
        spec_hash=made_from,
        started=dates[0],
        finished=dates[1],
        changed_meanwhile=[name for name, value in made_by.items() if now[name] != value],
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git() -> tuple[str | None, bool | None]:
    """Commit, and whether tracked files differ from it or code is there that is not tracked, ignored or not;
    ``None`` outside a git checkout."""
    try:
        commit = _git_output("rev-parse", "HEAD")
        others = _git_output("ls-files", "--others", "--", *CODE).splitlines()
        untracked = any("__pycache__" not in Path(file).parts for file in others)
        return commit, untracked or bool(_git_output("status", "--porcelain", "--untracked-files=no"))
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

    def __init__(self) -> None:
        super().__init__()
        self.started = datetime.now(UTC)
        # Of the wall clock, which may have been set back since the process started.
        self.wall["startup"] = max(self.started.timestamp() - psutil.Process().create_time(), 0.0)
        self.cpu["startup"] = time.process_time()

    def dates(self) -> tuple[str, str]:
        """When the run started, and now."""
        return self.started.isoformat(timespec="seconds"), datetime.now(UTC).isoformat(timespec="seconds")
