"""``status``: how far a study is."""

import argparse
import json

from solvers.cli.catalogue import catalogue_of
from solvers.cli.said import output
from solvers.configuration.catalogue import ConfigurationError
from solvers.configuration.study import read_config, study_of
from solvers.runs import status
from solvers.runs.sources import runs_of

__all__ = ["execute"]


def execute(options: argparse.Namespace) -> int:
    """Print counts, the time left, and the runs in progress."""
    catalogue = catalogue_of(options)
    given = [*options.config, *([f"scale={options.scale}"] if options.scale is not None else [])]
    study = study_of(read_config(catalogue, given), catalogue)
    if study.runs == "archive":
        raise ConfigurationError("--config", "runs", "archive", "archived runs are done; must be fresh or both")
    fresh = (spec for spec, archived in runs_of(study, catalogue, options.results) if not archived)
    states = status.states(fresh, options.results)
    name = f"{study.name}, {study.scale}"
    if options.json:
        print(json.dumps(status.as_data(name, states), indent=2))
    else:
        status.show(name, states, output())
    return 0
