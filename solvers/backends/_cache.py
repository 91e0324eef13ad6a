"""Where compiled programs are kept between runs: a folder for each kind of processor, for they use what it has."""

import hashlib
import platform
from pathlib import Path

from solvers.paths import ROOT

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """``.cache/jax/<processor>`` of the project; the name is a hash of the processor's model and features."""
    return ROOT / ".cache/jax" / hashlib.sha256(_processor().encode()).hexdigest()[:12]


def _processor() -> str:
    """Model and instruction sets, which the system names differently or not at all."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    kept = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return platform.machine() + "".join(sorted(kept))
