"""``python -m solvers``: see ``python -m solvers --help``."""

from solvers.threads import bind_one_thread

if __name__ == "__main__":
    core = bind_one_thread()  # before anything imports NumPy
    from solvers.cli import main

    raise SystemExit(main(pinned_core=core))
