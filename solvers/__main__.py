"""``python -m solvers``: see ``python -m solvers --help``."""

import sys

from solvers.supervisor import die_with_parent, supervise, supervised
from solvers.threads import bind_one_card, bind_one_thread

if __name__ == "__main__":
    if "run" in sys.argv[1:] and not supervised():
        raise SystemExit(supervise(sys.argv[1:]))
    if supervised():
        die_with_parent()
    core = bind_one_thread()  # before anything imports NumPy
    bind_one_card()
    from solvers.cli import main

    raise SystemExit(main(pinned_core=core))
