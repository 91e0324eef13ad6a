"""``schema``: the JSON schema of a run's record."""

import argparse
import json

from solvers.runs.record import RunRecord

__all__ = ["execute"]


def execute(options: argparse.Namespace) -> int:
    """Print it."""
    print(json.dumps(RunRecord.model_json_schema(), indent=2))
    return 0
