"""The type checker finds nothing in solvers/ and problems/."""

import subprocess
import sys

from tests.conftest import ROOT


def test_mypy_finds_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
