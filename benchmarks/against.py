"""Loss and gradient of this code against those of an older checkout: two processes, in turns, in CPU seconds.

    python -m benchmarks.against OLDER_CHECKOUT [--backend torch] [--shapes heat pulse] [--rounds 9] [--seconds 2]

Either process imports the suite and these benchmarks from its own root, so that what is compared is two commits
and nothing else. CPU seconds are those of the process, so that a busy machine disturbs less.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

__all__ = ["main"]

WORKER = """
import sys, time
from benchmarks import test_evaluation
from benchmarks.shapes import SHAPES
calls = {}
for line in sys.stdin:
    backend, name, dtype, seconds = line.split()
    key = backend, name, dtype
    if key not in calls:
        shape = SHAPES[name]
        try:
            call = test_evaluation.evaluation(shape, backend, dtype)
        except TypeError:  # commits before the one loop
            call = test_evaluation.evaluation(shape.backend(backend, dtype), shape.theta(dtype))
        for _ in range(3):
            call()
        calls = {key: call}
    call, count, start = calls[key], 0, time.process_time()
    while (spent := time.process_time() - start) < float(seconds):
        call()
        count += 1
    print(spent / count, flush=True)
"""


class Worker:
    """A process that imports from ``root`` and times what it is asked for."""

    def __init__(self, root: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            cwd=root,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def seconds(self, backend: str, shape: str, dtype: str, seconds: float) -> float:
        """CPU seconds of one evaluation, a mean over so many ``seconds``."""
        assert self.process.stdin and self.process.stdout
        print(backend, shape, dtype, seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    """Print a row a shape: median [quartiles] of the ratio this code / older checkout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("older", type=Path)
    parser.add_argument("--backend", action="append", choices=["jax", "torch"])
    parser.add_argument("--shapes", nargs="+")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    from benchmarks.test_evaluation import CASES

    root = Path(__file__).resolve().parent.parent
    for backend in arguments.backend or ["jax", "torch"]:
        older, newer = Worker(arguments.older.resolve()), Worker(root)
        for name, dtype in CASES:
            if (arguments.shapes and name not in arguments.shapes) or dtype not in arguments.dtypes:
                continue
            started, ratios = time.monotonic(), []
            for _ in range(arguments.rounds):
                before = older.seconds(backend, name, dtype, arguments.seconds)
                ratios.append(newer.seconds(backend, name, dtype, arguments.seconds) / before)
            low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
            wall = time.monotonic() - started
            print(f"{backend} {name} {dtype}: {middle:.3f} [{low:.3f}, {high:.3f}] ({wall:.0f} s)", flush=True)
        older.stop()
        newer.stop()


if __name__ == "__main__":
    main()
