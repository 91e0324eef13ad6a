"""Runs that nobody trained, with files of the form and size of real ones: something to report on in seconds."""

from pathlib import Path

import numpy as np
import pandas as pd

from problems.base import Problem
from solvers.configuration.assembly import build_model, initial_parameters
from solvers.configuration.spec import RunSpec
from solvers.model.networks.base import parameter_count, unflatten
from solvers.optimizers.base import StopReason
from solvers.points.grids import uniform_grid
from solvers.runs.command import command_line
from solvers.runs.place import run_folder
from solvers.runs.provenance import code_of, provenance
from solvers.runs.record import RunErrors, RunRecord, write_run
from solvers.training.history import History
from solvers.training.loop import StageRecord

__all__ = ["write_stand_in"]

SECONDS_AN_ITERATION = 0.02
DATE = "2024-01-01T00:00:00+00:00"


def write_stand_in(spec: RunSpec, root: Path) -> RunRecord:
    """The directory of a finished run of ``spec`` under ``root`` with made-up numbers: initial weights, and terms
    and an error that fall, with some noise, through all of its stages."""
    rng = np.random.default_rng(list(f"{spec.experiment} {spec.method} {spec.seed}".encode()))
    problem, history = spec.build_problem(), _history(spec, rng)
    model = build_model(spec, problem)
    weights = unflatten(initial_parameters(spec, problem), model.shapes)
    error = float(history.rel_l2.iloc[-1])
    errors = RunErrors(iteration=spec.budget, rel_l2=error, mean_absolute=error, maximum=error)
    record = RunRecord(
        status="finished",
        reason="",
        command=command_line(spec),
        spec=spec,
        parameters=parameter_count(model.shapes),
        iterations=spec.budget,
        function_evaluations=spec.budget,
        gradient_evaluations=spec.budget,
        stages=_stages(spec),
        terms={name: float(history[f"term.{name}"].iloc[-1]) for name in spec.terms},
        last=errors,
        best=errors,
        seconds={"training": SECONDS_AN_ITERATION * spec.budget},
        cpu_seconds={"training": SECONDS_AN_ITERATION * spec.budget},
        peak_memory_bytes=2**29,
        provenance=provenance(spec, code_of(spec), {"device": "none"}, None, DATE, DATE),
    )
    saved = {f"{kind}/{name}": array for kind in ("last", "best") for name, array in weights.items()}
    saved |= {f"frozen/{name}": array for name, array in model.frozen.items()}
    saved = {name: np.ascontiguousarray(array, dtype=spec.dtype) for name, array in saved.items()}
    return write_run(run_folder(spec, root), record, history, _fields(spec, problem, error, rng), saved)


def _stages(spec: RunSpec) -> list[StageRecord]:
    reason = StopReason.ITERATION_LIMIT
    return [
        StageRecord(
            level=number,
            optimizer=stage["optimizer"],
            iterations=stage["iterations"],
            function_evaluations=stage["iterations"],
            gradient_evaluations=stage["iterations"],
            seconds=SECONDS_AN_ITERATION * stage["iterations"],
            reason=str(reason),
            explanation=reason.explanation,
            message="",
        )
        for number, level in enumerate(spec.levels)
        for stage in level.stages
    ]


def _history(spec: RunSpec, rng: np.random.Generator) -> pd.DataFrame:
    """A row at every recorded iteration; the error falls by one to four decades, a term by twice as many."""
    places, first = [], 0
    for i, stage in enumerate(_stages(spec)):
        steps = np.arange(0, stage.iterations, spec.evaluation.every) + first
        places += [(stage.level, i, stage.optimizer, step) for step in steps]
        first += stage.iterations
    table = pd.DataFrame(places, columns=["level", "stage", "optimizer", "iteration"])
    way = np.linspace(0.0, rng.uniform(1, 4), len(table))

    def falling(decades: float) -> np.ndarray:
        return 10.0 ** (0.1 * rng.standard_normal(len(table)) - decades * way)

    terms = {f"term.{name}": 1e3 * falling(2) for name in spec.terms}
    terms |= {f"weight.{name}": 0.1 / falling(1) for name in spec.terms}
    terms |= {f"gradient_norm.{name}": 1e2 * falling(1) for name in spec.terms}
    table = table.assign(
        evaluation=table.iteration + 1,
        seconds=SECONDS_AN_ITERATION * table.iteration,
        objective=1e3 * falling(2),
        rel_l2=falling(1),
        **terms,
    )
    return table[History(spec.terms).columns]


def _fields(spec: RunSpec, problem: Problem, error: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The exact solution, and the same with smooth errors of about the size given."""
    counts = spec.evaluation.field_grid
    exact = problem.solution(uniform_grid(problem.lower, problem.upper, counts)).reshape(counts)
    ends = zip(problem.coordinates, problem.lower, problem.upper, counts, strict=True)
    axes = {name: np.linspace(low, high, count) for name, low, high, count in ends}
    waves = [np.sin(rng.uniform(2, 9) * np.linspace(0, np.pi, count) + rng.uniform(0, 6)) for count in counts]
    wave = np.prod(np.meshgrid(*waves, indexing="ij"), axis=0)
    return axes | {"exact": exact, "predicted": (exact + error * np.abs(exact).max() * wave).astype(spec.dtype)}
