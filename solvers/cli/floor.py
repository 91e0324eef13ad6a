"""``floor``: the error of a classical solver on an experiment's problem."""

import argparse

from solvers.cli.catalogue import catalogue_of
from solvers.configuration.strict_yaml import one_line
from solvers.runs.floor import floor_folder, floor_spec, solve_floor

__all__ = ["execute"]


def execute(options: argparse.Namespace) -> int:
    """Solve, and print how it ended: 0, also if it failed, for that is a result."""
    spec = floor_spec(options.experiment, catalogue_of(options))
    folder = floor_folder(spec.experiment, options.results)
    floor = solve_floor(spec, folder, options.pinned_core, options.force)
    known = floor.errors and floor.errors.rel_l2
    error = "unknown" if known is None else f"{known:.3e}"
    print(
        f"{floor.status}: relative L2 error {error} in {floor.cpu_seconds['solving']:.2f} CPU seconds\n"
        f"{spec.solver}: {one_line(floor.reason)}\n{one_line(str(folder))}"
    )
    return 0
