"""Train with DeepXDE from a method's points and first parameters: Adam, then L-BFGS, then, where asked for, NNCG.

    DDE_BACKEND=pytorch python -m benchmarks.deepxde_training EXPERIMENT METHOD [--dtype float64] [--nncg]

Prints a line of JSON for each measurement of the error: optimizer, iteration, CPU seconds of training (the
measurement's own left out) and the relative L2 error on the grid of our own histories. Adam's steps and rate and
the memory of L-BFGS are the method's; the tolerances are DeepXDE's, which are none. NNCG (arXiv 2402.01868) begins
after half of the seconds.
"""

import argparse
import contextlib
import io
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.deepxde_peer import deepxde_model
from benchmarks.shapes import Shape
from solvers.configuration.assembly import initial_parameters
from solvers.training.metrics import history_error

__all__ = ["main"]

EVERY = 20
"""Iterations between two measurements, as in our own histories."""


class Course:
    """The errors along one training, with the seconds that they were reached after."""

    def __init__(self, net: Any, shape: Shape, dtype: str, limit: float) -> None:
        import torch

        error = history_error(shape.problem, shape.spec(dtype).evaluation.history_grid)

        def predict(points: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return net(torch.tensor(points.astype(dtype))).numpy().ravel().astype(float)

        self.error = lambda: error(predict)
        self.spent, self.since = 0.0, time.process_time()
        self.limit = limit

    def measured(self, optimizer: str, iteration: int) -> bool:
        """Print where the training is; whether its seconds are used up."""
        self.spent += time.process_time() - self.since
        row = {"optimizer": optimizer, "iteration": iteration, "seconds": self.spent, "rel_l2": self.error()}
        print(json.dumps(row), flush=True)
        self.since = time.process_time()
        return self.spent >= self.limit


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("method")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float64")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--nncg", action="store_true")
    given = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    shape = Shape(given.experiment, given.method)
    adam, lbfgs = shape.spec(given.dtype).levels[0].stages[:2]
    theta = initial_parameters(shape.spec(given.dtype), shape.problem).astype(given.dtype)
    model, net = deepxde_model(shape, given.dtype, theta)
    course = Course(net, shape, given.dtype, given.seconds / 2 if given.nncg else given.seconds)
    import deepxde as dde

    class Watch(dde.callbacks.Callback):
        name = "adam"

        def on_batch_end(self) -> None:
            iteration = self.model.train_state.iteration
            if iteration % EVERY == 0 or self.name != "adam":
                self.model.stop_training = course.measured(self.name, iteration)

    watch = Watch()
    # DeepXDE measures on its own at these steps, which we do not ask for: it never prints, and does so once.
    quiet = {"callbacks": [watch], "display_every": 10**9, "verbose": 0}
    model.train(iterations=adam["iterations"], **quiet)
    dde.optimizers.set_LBFGS_options(maxcor=lbfgs["history"], maxiter=10**7)
    # How many iterations torch makes in one call, after which DeepXDE looks at its callbacks.
    options = dde.optimizers.config.LBFGS_options
    options["iter_per_step"], options["fun_per_step"] = EVERY, 25 * EVERY
    watch.name = "lbfgs"
    with contextlib.redirect_stdout(io.StringIO()):
        model.compile("L-BFGS")
    model.train(**quiet)
    if given.nncg:
        course.limit, watch.name = given.seconds, "nncg"
        with contextlib.redirect_stdout(io.StringIO()):
            model.compile("NNCG")
        model.train(iterations=10**7, **quiet)


if __name__ == "__main__":
    main()
