"""Every method of every experiment, on both backends, from its configuration to its record."""

from pathlib import Path

import numpy as np
import pytest

from solvers.configuration.spec import RunSpec
from solvers.runs.contents import check_run
from solvers.runs.record import read_history
from solvers.runs.run import run
from tests.conftest import CATALOGUE
from tests.test_pipeline import EXPERIMENTS
from workflow.sweep import Sweep

SPECS = [
    spec for spec in Sweep.from_config({"scale": "smoke"}, CATALOGUE).specs if spec.experiment not in EXPERIMENTS
]
"""Those that the pipeline's test does not train."""


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.experiment}-{spec.method}-{spec.backend}")
def test_a_method_trains(spec: RunSpec, tmp_path: Path):
    record = run(spec, tmp_path)
    check_run(tmp_path)
    assert record.status == "finished" and record.iterations > 0 and np.isfinite(record.last.rel_l2)
    assert np.isfinite(read_history(tmp_path).objective).all()
