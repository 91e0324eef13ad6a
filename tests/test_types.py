"""The type checker finds nothing in solvers/ and problems/."""

import subprocess
import sys

from tests.conftest import ROOT


def test_mypy_finds_nothing():
    """What it knows of the frameworks is kept; by content and settings it sees what is to be checked anew."""
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(ROOT / ".cache/mypy-tests")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
