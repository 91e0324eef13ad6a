"""Whether the counts, seconds and rows in the state of a run can be: else it could not be written at its end."""

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from solvers.configuration.validation import first_problem
from solvers.runs.record import MOST, Stages
from solvers.training.records import RestartRecord

__all__ = ["check_counted"]

STAGES, RESTARTS = TypeAdapter(Stages), TypeAdapter(list[RestartRecord])
FLAGS = ("inside", "exact")


def check_counted(data: Any) -> None:
    """Raise ``ValueError``, ``KeyError``, ``TypeError`` or ``AttributeError`` if something in ``data``, that of a
    checkpoint, was never counted by a run. What is no state at all is left to the training to say."""
    if not isinstance(data, dict) or not {"monitor", "clock"} <= data.keys():
        return
    for adapter, part in ((STAGES, "results"), (RESTARTS, "restarts")):
        try:
            adapter.validate_json(json.dumps(data[part]), strict=True)
        except ValidationError as error:
            key, value, problem = first_problem(error, data[part])
            raise ValueError(f"{part}.{key} (value {value!r}): {problem}") from None
    for name in FLAGS:
        if not isinstance(data[name], bool):
            raise ValueError(f"{name} is {data[name]!r}; must be true or false")
    _check_seconds("started", data["started"])
    for kind in data["clock"].values():
        for phase, seconds in kind.items():
            _check_seconds(f"clock: {phase}", seconds)
    _check_monitor(data["monitor"])


def _check_monitor(monitor: Any) -> None:
    """The counts, the place, the rows of the history, which are no further than these, and the best of them."""
    total, place = monitor["total"], monitor["place"]
    for name, value in [*total.items(), *monitor["stage"].items()]:
        _check_count(name, value, MOST)
    most = {"iteration": total["iterations"], "evaluation": total["function_evaluations"]}
    most |= {name: place[name] for name in ("level", "stage")}
    if not isinstance(place["optimizer"], str):
        raise ValueError(f"monitor.place: optimizer is {place['optimizer']!r}")
    for row in monitor["rows"]:
        for name, value in row.items():
            if name in most:
                _check_count(name, value, most[name])
            elif not isinstance(value, str if name == "optimizer" else float):
                raise ValueError(f"monitor.rows: {name} is {value!r}")
    iteration, objective = monitor["best"] or (0, 0.0)
    _check_count("best", iteration, total["iterations"])
    for value in (objective, monitor["first_objective"] or 0.0):
        if not isinstance(value, float):
            raise ValueError(f"monitor: {value!r} is no loss")


def _check_seconds(name: str, value: Any) -> None:
    """A thousandth of the most that a record may have: what this process takes comes on top."""
    if not 0 <= value <= MOST / 1000:
        raise ValueError(f"{name}: has {value!r} seconds")


def _check_count(name: str, value: Any, most: int) -> None:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"monitor: {name} is {value!r}; must be from 0 to {most}")
