"""One run, one thread, on a core of its own, and one card where there are several. Standard library only: it must
act before NumPy is imported.

The OpenMP variables bind torch and BLAS. JAX has as many threads as ``NPROC`` says, or as there are cores in the
processor affinity: a run that finds no free core must have one all the same, for with two a computation of XLA has
been seen to wait forever while all threads were idle. Two runs started together find different cores and cards by
file locks, which the kernel releases however a run ends.
"""

import os
import re
import tempfile
from itertools import count
from pathlib import Path

__all__ = ["bind_one_card", "bind_one_thread"]

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NPROC")
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
        if _claim(f"core-{core}"):
            os.sched_setaffinity(0, {core})
            return core
    return None


def bind_one_card(devices: Path = Path("/dev")) -> str | None:
    """Show this process only the card on which the fewest runs are, of those in ``CUDA_VISIBLE_DEVICES`` or of all
    that have a file in ``devices``; the card, or ``None`` where there is no choice.

    Both frameworks would else take the first card, every run the same.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        cards = [str(card) for card in range(sum(_is_card(path) for path in devices.glob("nvidia*")))]
    else:
        cards = [card for card in given.split(",") if card]
    if len(cards) < 2:
        return None
    card = next(card for place in count() for card in cards if _claim(f"card-{card}-{place}"))
    os.environ["CUDA_VISIBLE_DEVICES"] = card
    return card


def _is_card(path: Path) -> bool:
    return re.fullmatch(r"nvidia\d+", path.name) is not None


def _claim(what: str) -> bool:
    import fcntl

    path = Path(tempfile.gettempdir()) / f"mmpinn-bench-{os.getuid()}-{what}.lock"
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    _held.append(handle)
    return True
