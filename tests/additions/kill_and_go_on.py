"""Make every method of an experiment on a backend, undisturbed and killed twice on the way; print what came of it.

Run in a copy of the project: ``python kill_and_go_on.py EXPERIMENT BACKEND``; one line of JSON a method. The
undisturbed runs are among the project's results afterwards.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from solvers.configuration.catalogue import Catalogue
from solvers.configuration.spec import RunSpec
from solvers.runs.checkpoint import Checkpoints
from solvers.runs.place import run_folder
from solvers.runs.record import read_fields, read_history
from solvers.runs.run import Conditions, run

ALWAYS = Conditions(checkpoint_interval=0.0)
SAVE = Checkpoints.save


class Killed(BaseException):
    """Stands for a kill right after a checkpoint."""


def killed_after(count: int, spec: RunSpec, folder: Path) -> None:
    """Make the run, or go on with it, until its next checkpoint but ``count - 1``."""
    left = iter(range(count - 1, -1, -1))

    def save_and_die(self, snapshot):
        SAVE(self, snapshot)
        if not next(left):
            raise Killed

    Checkpoints.save = save_and_die
    try:
        run(spec, folder, ALWAYS)
    except Killed:
        pass
    finally:
        Checkpoints.save = SAVE


def same(one: Path, other: Path) -> bool:
    """Histories but for the clock, weights and fields, to the last bit."""
    histories = [read_history(folder).drop(columns="seconds") for folder in (one, other)]
    weights = [load_file(folder / "weights.safetensors") for folder in (one, other)]
    fields = [read_fields(folder)["predicted"] for folder in (one, other)]
    equal = weights[0].keys() == weights[1].keys() and all(
        np.array_equal(weights[0][name], weights[1][name], equal_nan=True) for name in weights[0]
    )
    return equal and histories[0].equals(histories[1]) and np.array_equal(*fields)


def main(experiment: str, backend: str) -> None:
    """One line of JSON a method."""
    catalogue = Catalogue(Path("config"))
    for method in catalogue.experiment(experiment).methods:
        spec = catalogue.resolve(experiment, method, backend, "strict", "smoke")
        places = run_folder(spec, Path("results")), run_folder(spec, Path("killed"))
        whole = run(spec, places[0], ALWAYS)
        killed_after(2, spec, places[1])  # in the middle of the first stage
        killed_after(2, spec, places[1])  # later in it, or at its end
        again = run(spec, places[1], ALWAYS)
        seen = {"method": method, "status": whole.status, "restarts": len(again.restarts), "same": same(*places)}
        seen["weights"] = read_history(places[0]).filter(like="weight.").to_numpy().tolist()
        seen["terms"] = read_history(places[0]).filter(like="term.").to_numpy().tolist()
        seen["exact"] = [restart.exact for restart in again.restarts]
        print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
