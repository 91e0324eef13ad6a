"""One run, one thread, on a core of its own. Standard library only: it must act before NumPy is imported.

The OpenMP variables bind torch and BLAS; JAX obeys only the processor affinity. Two runs started together find
different cores by file locks, which the kernel releases however a run ends.
"""

import os
import tempfile
from pathlib import Path

__all__ = ["bind_one_thread"]

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_held: list[int] = []


def bind_one_thread() -> int | None:
    """Limit this process to one thread on a free core; the core, or ``None`` where cores cannot be claimed.

    If all cores are taken, more runs were started than there are cores: the kernel then shares them out.
    """
    for variable in _VARIABLES:
        os.environ[variable] = "1"
    if not hasattr(os, "sched_setaffinity"):
        return None
    for core in sorted(os.sched_getaffinity(0)):
        if _claim(core):
            os.sched_setaffinity(0, {core})
            return core
    return None


def _claim(core: int) -> bool:
    import fcntl

    path = Path(tempfile.gettempdir()) / f"mmpinn-bench-{os.getuid()}-core-{core}.lock"
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    _held.append(handle)
    return True
