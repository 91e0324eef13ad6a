"""Whether a finished run can be trusted: its numbers must be possible, and must follow from its weights.

What was saved is computed again, in NumPy and float64: the solution from the specification, the prediction and the
errors from the weights. Whoever changes one of them must change all.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from problems.base import Problem
from solvers.configuration.assembly import build_model
from solvers.configuration.spec import RunSpec
from solvers.model.jets import numpy_ops
from solvers.model.networks.base import unflatten
from solvers.model.terms import Model
from solvers.points.grids import uniform_grid
from solvers.runs.contents import check_run
from solvers.runs.record import (
    RecordError,
    RunErrors,
    RunRecord,
    read_fields,
    read_history,
    read_weights,
)
from solvers.training.metrics import Predict, grid_errors

__all__ = ["check_origin", "check_trusted"]

AGREEMENT = 1e-3
"""Largest difference allowed between the saved prediction and that of the saved weights, of the solution's
largest value: a run in float32 with frequencies near a hundred rounds that much."""
MOST_NODES = 100_000
"""Errors are computed again on a grid of so many nodes: every second, third, ... of the evaluation's."""
WHOLE, THINNED = 0.01, 0.05
"""Largest relative difference of an error that was computed again, on the evaluation's grid and on a thinner one:
about ten times and twice what it is in runs in float32."""
ROUNDING = 100
"""Units of the run's precision, of the solution's size, that an error may be off by besides."""
EXACTNESS = 1e-6
"""Largest difference allowed between the saved solution and that of the specification, of its largest value: a
computed one differs by the machine's libraries."""


def check_trusted(folder: Path) -> RunRecord:
    """The record of the run in ``folder`` if the run can be trusted; else :class:`RecordError` says why not.

    It must be complete and readable, made from one commit without further changes, with possible numbers, and its
    weights must give the prediction and the errors that it saved.
    """
    record = check_run(folder)
    check_origin(folder, record)
    if record.last is None:
        raise RecordError(
            f"{folder / 'run.json'}: last: null: a run without a result ({record.status}) is not archived"
        )
    for key, why in _impossible(record):
        raise RecordError(f"{folder / 'run.json'}: {key}: {why}")
    history = read_history(folder)
    if history.empty or history.iteration.iloc[-1] > record.iterations:
        raise RecordError(f"{folder / 'history.parquet'}: does not end at iteration {record.iterations}")
    problem = record.spec.build_problem()
    _check_fields(folder, record.spec, problem)
    _check_weights(folder, record, problem)
    return record


def check_origin(folder: Path, record: RunRecord) -> None:
    """:class:`RecordError` unless the run was made from one commit without further changes, to its end."""
    origin, path = record.provenance, folder / "run.json"
    if origin.commit is None or origin.uncommitted_changes:
        raise RecordError(f"{path}: provenance: the code of this run is in no commit; commit, then run again")
    if origin.changed_meanwhile:
        changed = " and ".join(origin.changed_meanwhile)
        raise RecordError(
            f"{path}: provenance.changed_meanwhile: {changed}: the code changed during the run; run again"
        )


def _impossible(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Keys with numbers that no run has, and why."""
    made = sum(stage.iterations for stage in record.stages)
    if made != record.iterations:
        yield "iterations", f"{record.iterations}: those of the stages are {made}"
    for at in ("last", "best"):
        yield from _impossible_errors(at, getattr(record, at))


def _impossible_errors(at: str, errors: RunErrors | None) -> Iterator[tuple[str, str]]:
    for name, value in _errors_of(errors).items():
        if value is None:
            yield f"{at}.{name}", "None: must be a number"
    if errors and (errors.mean_absolute or 0.0) > (errors.maximum or 0.0):
        yield f"{at}.mean_absolute", f"{errors.mean_absolute}: is above the maximum, {errors.maximum}"


def _errors_of(errors: RunErrors | None) -> dict[str, float | None]:
    """The errors by name, none if there are none."""
    return errors.model_dump(exclude={"iteration"}) if errors else {}


def _check_fields(folder: Path, spec: RunSpec, problem: Problem) -> None:
    """The saved grid and solution against those of the specification."""
    path, found = folder / "fields.npz", read_fields(folder)
    counts = spec.evaluation.nodes("field_grid")
    axes = zip(problem.coordinates, problem.lower, problem.upper, counts, strict=True)
    wanted = {name: np.linspace(low, high, count) for name, low, high, count in axes}
    grid = uniform_grid(problem.lower, problem.upper, counts)
    wanted["exact"] = problem.solution(grid).reshape(tuple(counts))
    for name, array in wanted.items():
        if name not in found or found[name].shape != array.shape:
            raise RecordError(f"{path}: {name}: is missing, or not of shape {array.shape}")
        allowed = EXACTNESS * float(np.abs(array).max())
        largest = float(np.abs(found[name] - array).max())
        if not largest <= allowed:
            problem_text = f"is not that of the specification, by {largest:.3g} (at most {allowed:.3g})"
            raise RecordError(f"{path}: {name}: {problem_text}")
    if found.get("predicted", np.empty(0)).shape != wanted["exact"].shape:
        raise RecordError(f"{path}: predicted: is missing, or not of the shape of exact")


def _check_weights(folder: Path, record: RunRecord, problem: Problem) -> None:
    """The network with the saved weights, in NumPy, against the saved prediction and the recorded errors."""
    path, arrays, fields = folder / "weights.safetensors", read_weights(folder), read_fields(folder)
    model = build_model(record.spec, problem)
    predict = _prediction(path, "last", arrays, model)
    grid = uniform_grid(problem.lower, problem.upper, record.spec.evaluation.nodes("field_grid"))
    largest = float(np.abs(predict(grid).reshape(fields["predicted"].shape) - fields["predicted"]).max())
    allowed = AGREEMENT * float(np.abs(fields["exact"]).max())
    if not largest <= allowed:
        raise RecordError(
            f"{path}: gives another prediction than fields.npz, by {largest:.3g} (at most {allowed:.3g})"
        )
    _check_errors(folder, "last", record, problem, predict)
    if record.best:
        _check_errors(folder, "best", record, problem, _prediction(path, "best", arrays, model))


def _prediction(path: Path, which: str, arrays: dict[str, np.ndarray], model: Model) -> Predict:
    """The solution that the weights of the ``last`` or the ``best`` iterate give."""
    for name, shape in model.shapes.items():
        array = arrays.get(f"{which}/{name}")
        if array is None or array.shape != tuple(shape):
            raise RecordError(f"{path}: {which}/{name}: missing, or not of shape {tuple(shape)}")
        if not np.isfinite(array).all():
            raise RecordError(f"{path}: {which}/{name}: holds numbers that are not finite")
    theta = np.concatenate([np.ravel(arrays[f"{which}/{name}"]) for name in model.shapes]).astype(float)
    parameters = unflatten(theta, model.shapes)

    def predict(points: np.ndarray) -> np.ndarray:
        network = model.output(points, (), parameters, model.constants(()), numpy_ops)
        return model.solution(network.value[:, 0], points)

    return predict


def _check_errors(folder: Path, which: str, record: RunRecord, problem: Problem, predict: Predict) -> None:
    """The recorded errors against those of ``predict`` on the evaluation's grid, or on a thinner one."""
    whole = record.spec.evaluation.nodes("grid")
    counts, step = list(whole), 1
    while np.prod(counts) > MOST_NODES:
        step += 1
        counts = [-(-count // step) for count in whole]
    found = asdict(grid_errors(problem, predict, counts))
    tolerance = WHOLE if step == 1 else THINNED
    rounding = ROUNDING * float(np.finfo(record.spec.dtype).eps)
    for name, value in _errors_of(getattr(record, which)).items():
        size = 1.0 if name == "rel_l2" else float(np.abs(read_fields(folder)["exact"]).max())
        if value is None or not abs(found[name] - value) <= tolerance * found[name] + rounding * size:
            raise RecordError(
                f"{folder / 'run.json'}: {which}.{name}: {value}: the weights give {found[name]:.6g}"
                f" (at most {tolerance:.0%} apart)"
            )
