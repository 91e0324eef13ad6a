"""The floor of an experiment: the error of a classical solver on the same problem, and its seconds.

It is kept like a run, as ``floor/<experiment>/floor.json`` below the results: what was solved and how, how that
ended, errors on the experiment's grid, seconds by phase, provenance, and a checksum of all of this. It depends on
neither method, scale nor seed. Copies in ``results/archive`` stand for it where nothing is made.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

import problems
from problems.base import Problem
from solvers.classical.choice import Classical, Outcome, Solver, classical, settings_of, solver_of
from solvers.configuration.catalogue import Catalogue
from solvers.configuration.spec import RunSpec, StrictModel
from solvers.configuration.validation import Name, first_problem
from solvers.runs.files import RecordError, read_record, replace_file
from solvers.runs.fingerprint import fingerprint
from solvers.runs.provenance import (
    Code,
    ProcessClock,
    Provenance,
    code_by,
    origin,
    peak_memory_bytes,
)
from solvers.runs.record import Error, Seconds, checksum_of, finite
from solvers.training.metrics import grid_errors

__all__ = [
    "FILE",
    "Floor",
    "FloorSpec",
    "archive_floor",
    "floor_folder",
    "floor_identity",
    "floor_spec",
    "is_floor_of",
    "is_floor_of_run",
    "read_floor",
    "solve_floor",
]

FILE = "floor.json"
ENTRIES = ("solvers.classical.choice", "solvers.training.metrics")
"""Modules, with all that they import, that make a floor's numbers."""


class FloorSpec(StrictModel):
    """What a floor depends on beside the code: the problem with all its parameters, the grid that its error is
    measured on, which solver it is (:func:`solvers.classical.choice.solver_of`) and with which settings."""

    experiment: Name
    problem: dict[str, Any]
    grid: list[int]
    solver: Solver
    settings: dict[str, float]

    def build_problem(self) -> Problem:
        """The problem with its parameters."""
        return problems.load(**self.problem)


class FloorErrors(StrictModel):
    """Errors on the experiment's grid; null where not finite."""

    rel_l2: Error
    mean_absolute: Error
    maximum: Error


class Tried(StrictModel):
    """A resolution that was tried: see :class:`solvers.classical.resolution.Attempt`; a tail is null for one that
    came to no solution."""

    nodes: list[int]
    tails: list[float | None]
    cpu_seconds: Seconds


class Floor(StrictModel):
    """All that is known of a floor. ``status`` and ``reason``: :class:`solvers.classical.choice.Classical`.

    ``errors`` are null where there is no solution. ``seconds`` and ``cpu_seconds`` are by phase, on one core:
    startup (imports), solving (from the problem to the solution, all resolutions tried), evaluation.
    """

    schema_version: Literal[1] = 1
    status: Outcome
    reason: str
    command: str
    spec: FloorSpec
    attempts: list[Tried]
    errors: FloorErrors | None
    seconds: dict[str, Seconds]
    cpu_seconds: dict[str, Seconds]
    peak_memory_bytes: Annotated[int, Field(ge=0, le=2**60)]
    provenance: Provenance
    checksum: str | None = None


def floor_spec(experiment: str, catalogue: Catalogue) -> FloorSpec:
    """The specification of the floor of an experiment of the catalogue."""
    found = catalogue.experiment(experiment)
    problem = problems.load(**found.problem)
    solver = solver_of(problem)
    return FloorSpec(
        experiment=experiment,
        problem={"name": found.problem["name"]} | problem.values,
        grid=found.evaluation.in_dimension(problem.dimension).nodes("grid"),
        solver=solver,
        settings={name: float(value) for name, value in settings_of(solver, problem).items()},
    )


def floor_folder(experiment: str, root: Path = Path("results")) -> Path:
    """The folder of an experiment's floor below ``root``."""
    return root / "floor" / experiment


def floor_identity(spec: FloorSpec) -> dict[str, str]:
    """The two hashes that a floor of ``spec`` by this code has in its provenance."""
    text = json.dumps(spec.model_dump(mode="json", exclude={"experiment"}), sort_keys=True)
    hashed = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"spec_hash": hashed, "fingerprint": _fingerprint(spec)}


def _fingerprint(spec: FloorSpec) -> str:
    return fingerprint([f"problems.{spec.problem['name'].replace('-', '_')}"], ENTRIES)


def is_floor_of(spec: FloorSpec, floor: Floor) -> bool:
    """Whether a floor is of this specification and of this code."""
    made = floor.provenance
    return {"spec_hash": made.spec_hash, "fingerprint": made.fingerprint} == floor_identity(spec)


def is_floor_of_run(floor: Floor, run: RunSpec) -> bool:
    """Whether a run solves the very problem of a floor: an override may give it other parameters."""
    return floor.spec.experiment == run.experiment and floor.spec.problem == run.problem


def solve_floor(spec: FloorSpec, folder: Path, pinned_core: int | None = None, anew: bool = False) -> Floor:
    """Solve the problem, measure the error and write ``floor.json``; one that is there already, of this
    specification and code, is taken unless it is to be made ``anew``.

    A solver that fails ends normally, with that status. Raises :class:`~solvers.runs.files.RecordError` if the
    file cannot be written.
    """
    if not anew and (there := _taken(spec, folder)):
        return there
    clock, code = ProcessClock(), code_by(lambda: _fingerprint(spec))
    with clock.phase("solving"):
        problem = spec.build_problem()
        found = classical(problem)
    with clock.phase("evaluation"):
        found, errors = _measured(spec, problem, found)
    floor = Floor(
        status=found.status,
        reason=found.reason,
        command=f"python -m solvers floor {spec.experiment}",
        spec=spec,
        attempts=[
            Tried(nodes=list(a.nodes), tails=[finite(t) for t in a.tails], cpu_seconds=a.cpu_seconds)
            for a in found.attempts
        ],
        errors=errors,
        seconds=dict(clock.wall),
        cpu_seconds=dict(clock.cpu),
        peak_memory_bytes=peak_memory_bytes(),
        provenance=_provenance(spec, code, pinned_core, clock.dates()),
    )
    return _write(floor, folder)


def _taken(spec: FloorSpec, folder: Path) -> Floor | None:
    try:
        there = read_floor(folder)
    except RecordError:
        return None
    return there if is_floor_of(spec, there) else None


def _measured(spec: FloorSpec, problem: Problem, found: Classical) -> tuple[Classical, FloorErrors | None]:
    """The errors of a solution, or none and why."""
    if found.solution is None:
        return found, None
    try:
        errors = asdict(grid_errors(problem, found.solution, spec.grid))
    except Exception as error:
        text = f"its errors could not be measured: {type(error).__name__}: {' '.join(str(error).split())}"
        return Classical("failed", text, None, found.attempts), None
    return found, FloorErrors(**{name: finite(value) for name, value in errors.items()})


def _provenance(spec: FloorSpec, code: Code, pinned_core: int | None, dates: tuple[str, str]) -> Provenance:
    codes = (code, code_by(lambda: _fingerprint(spec)))
    return origin(floor_identity(spec)["spec_hash"], codes, {"device": "cpu"}, pinned_core, dates)


def _write(floor: Floor, folder: Path) -> Floor:
    data = floor.model_dump(mode="json")
    data["checksum"] = checksum_of(data)
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / FILE, text.encode())
    except OSError as error:
        raise RecordError(f"{folder / FILE}: cannot be written: {error.strerror}") from None
    return Floor.model_validate_json(text)


def read_floor(folder: Path) -> Floor:
    """The floor in ``folder``; :class:`RecordError` if it is missing, damaged or edited."""
    path = folder / FILE
    data = read_record(path)
    try:
        floor = Floor.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        key, value, problem = first_problem(error, data)
        raise RecordError(f"{path}: is no floor: {key} (value {value!r:.60}): {problem}") from None
    if floor.checksum != checksum_of(data):
        raise RecordError(f"{path}: is not what was written (its checksum differs); was it edited?")
    return floor


def archive_floor(folder: Path, root: Path, replace: bool = False) -> Path:
    """Copy the floor in ``folder`` into the archive; its new folder.

    Raises :class:`RecordError` if it has no error, was not made from one commit without further changes, is not of
    today's code, or is there already and not to be replaced.
    """
    floor, path = read_floor(folder), folder / FILE
    made = floor.provenance
    if floor.errors is None:
        raise RecordError(f"{path}: errors: null: a floor without a result ({floor.status}) is not archived")
    if made.commit is None or made.uncommitted_changes or made.changed_meanwhile:
        raise RecordError(f"{path}: provenance: the code of this floor is in no commit; commit, then solve again")
    if not is_floor_of(floor.spec, floor):
        raise RecordError(f"{path}: was made by other code or from another specification; solve again")
    target = floor_folder(floor.spec.experiment, root)
    if (target / FILE).exists() and not replace:
        raise RecordError(f"{target}: is in the archive already; --replace puts this floor in its place")
    target.mkdir(parents=True, exist_ok=True)
    replace_file(target / FILE, path.read_bytes())
    return target
