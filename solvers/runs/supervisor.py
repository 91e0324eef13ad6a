"""A run in a process of its own, started again when it is killed.

A run that the operating system kills, for want of memory or by a crash of native code, goes on from its
checkpoint. When it is killed again and again, that is its result: a record with status ``killed``. This module
imports the standard library only, so that the process that waits takes next to nothing.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

__all__ = ["attempt", "die_with_parent", "supervise", "supervised"]

RESTARTS = 3
MARK, ATTEMPT = "MMPINN_SUPERVISOR", "MMPINN_ATTEMPT"
PR_SET_PDEATHSIG = 1
TAKEN_UP = (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)
"""Signals that are no one's wish to stop; after any other the run is left as it is."""


def supervised() -> bool:
    """Whether this process is the one that a supervisor started."""
    return os.environ.get(MARK) == str(os.getppid())


def attempt() -> int:
    """How often this process's supervisor has started the run before."""
    return int(os.environ.get(ATTEMPT, "0")) if supervised() else 0


def die_with_parent() -> None:
    """On Linux, be killed when the supervisor is: two processes must not make one run."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if not supervised():  # it died before the call
            os.kill(os.getpid(), signal.SIGKILL)


def supervise(arguments: Sequence[str]) -> int:
    """``python -m solvers ARGUMENTS``, up to four times while it is killed, then its record; its exit code."""
    killed: list[str] = []
    while len(killed) <= RESTARTS:
        code = _start(arguments, len(killed))
        if code >= 0 or -code not in TAKEN_UP:
            return code if code >= 0 else 128 - code
        killed.append(signal.Signals(-code).name)
        print(f"killed by {killed[-1]}; attempt {len(killed) + 1}", file=sys.stderr)
    reason = (
        f"its process was killed {len(killed)} times ({', '.join(killed)}); SIGKILL often means too little memory"
    )
    return _start([*arguments, "--give-up", reason], len(killed))


def _start(arguments: Sequence[str], attempt: int) -> int:
    command = [sys.executable, "-m", "solvers", *arguments]
    try:
        return subprocess.call(command, env=os.environ | {MARK: str(os.getpid()), ATTEMPT: str(attempt)})
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
