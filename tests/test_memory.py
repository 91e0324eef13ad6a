"""The C library keeps the memory that an evaluation frees, for the next one."""

import ctypes
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

CODE = """
import resource, statistics, sys
import solvers.backends.torch as backend
if sys.argv[1] == "given back":
    backend.keep_freed_memory = lambda: False
import numpy
from solvers.configuration.assembly import build_backend, initial_parameters
from solvers.configuration.catalogue import Catalogue
from solvers.training.loss import Loss
spec = Catalogue().resolve("heat-0.3", "mmpinn", "torch", scale="paper", overrides=["network.width=100"])
problem = spec.build_problem()
backend, theta = build_backend(spec, problem), initial_parameters(spec, problem).astype(spec.dtype)
rule = spec.build_levels()[0].balancing
loss, state = Loss(backend, rule), rule.init(backend.sizes, numpy.random.default_rng(0))
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    loss.evaluate(theta, state)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
counts = [faults() for _ in range(21)]
print(statistics.median(counts[10:]))
"""


# glibc moves its own limits while a program runs, so that without these some programs keep their memory by luck.
GIVING_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}


def faults(memory: str) -> float:
    """Page faults of one evaluation of torch at 5,100 points, in a process of its own, after ten others: the
    median of eleven, for now and then the heap grows by an array."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GLIBC_")} | GIVING_BACK
    command = [sys.executable, "-c", CODE, memory]
    done = subprocess.run(
        command, cwd=ROOT, env=environment | {"CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.skipif(
    not (sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallopt")), reason="no glibc"
)
def test_an_evaluation_is_made_in_memory_that_was_kept():
    assert faults("kept") < 100
    assert faults("given back") > 2000  # about 21,000: what is measured is there to be saved


def test_peak_memory_is_of_the_process_alone():
    """Not of the one that started it, which is larger here."""
    code = "from solvers.runs.provenance import peak_memory_bytes; print(peak_memory_bytes())"
    held = f"held = bytearray(b'1') * {2**30}"
    start = f"import subprocess, sys; {held}; subprocess.run([sys.executable, '-c', {code!r}])"
    done = subprocess.run([sys.executable, "-c", start], cwd=ROOT, check=True, capture_output=True, text=True)
    assert 2**24 < int(done.stdout) < 2**29
