"""``python -m solvers``, and the command ``mmpinn-bench``: see ``mmpinn-bench --help``."""

import contextlib
import os
import sys
from typing import NoReturn

from solvers.runs.supervisor import die_with_parent, supervise, supervised
from solvers.threads import bind_one_card, bind_one_thread

__all__ = ["main"]


def main() -> NoReturn:
    """The command line in this process; a run in a process of its own, which is started again if it is killed."""
    if "run" in sys.argv[1:] and not supervised():
        raise SystemExit(supervise(sys.argv[1:]))
    if supervised():
        die_with_parent()
    core = bind_one_thread()  # before anything imports NumPy
    bind_one_card()
    try:
        from solvers import cli
    except KeyboardInterrupt:
        raise SystemExit(130) from None

    code = cli.main(pinned_core=core)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # a library that crashes when the interpreter is torn down has cost no run


if __name__ == "__main__":
    main()
