"""One backend a process, pinned to one core: DeepXDE fixes its own when it is imported, and threads would mix."""

import os

BACKEND = os.environ.get("BENCHMARK_BACKEND", "jax")
os.environ["DDE_BACKEND"] = {"torch": "pytorch"}.get(BACKEND, BACKEND)
os.environ["OMP_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import pytest


@pytest.fixture
def backend_name() -> str:
    """The backend of this process."""
    return BACKEND
