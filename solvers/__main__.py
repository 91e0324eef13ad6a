"""``python -m solvers``: see ``python -m solvers --help``."""

from solvers.threads import bind_one_card, bind_one_thread

if __name__ == "__main__":
    core = bind_one_thread()  # before anything imports NumPy
    bind_one_card()
    from solvers.cli import main

    raise SystemExit(main(pinned_core=core))
