"""Why L-BFGS stalls in float32: what runs tell of the loss where rounding ended a stage, beside runs of the same
row in float64 that went on from there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Authors, Catalogue
from solvers.runs.checked import checked_record
from solvers.runs.record import read_history
from workflow.analysis.stages import Stage, stages_of
from workflow.analysis.summary import errors, table_of
from workflow.manifest import StallRule, read_manifest

__all__ = ["float32_stops"]

ROW = ["experiment", "method", "backend", "seed"]


@dataclass(frozen=True)
class _After:
    """What another run made of the same stage from the same loss on: ``end`` is its last loss, of so many
    ``iterations`` later; ``step`` and ``mean`` are the decreases of the loss by an iteration, over the first
    recorded span and over all."""

    iterations: float = np.nan
    end: float = np.nan
    step: float = np.nan
    mean: float = np.nan


def float32_stops(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Where rounding ended L-BFGS in float32: the stages that stalled, and for comparison the first L-BFGS stage
    of every other run that ended so. Loss: the last recorded objective of the stage; unit: the spacing of float32
    numbers there, the least change of the loss that such a number can show; units a step: the decrease of the
    loss by an iteration, over the last recorded span of the stage; evaluations an iteration count the trials of
    the line search. Beside it, where there is one, the run of the same row, backend and seed in float64 without
    tolerances: for how many iterations it went on from the same loss in the same stage, to which loss, and by how
    many of those float32 units an iteration lowered the loss, over the first recorded span from there (tens of
    iterations) and on the mean of all. Single steps are not recorded. Errors are those at the end of the run."""
    rule, rows = read_manifest(catalogue).rules.stall, []
    exact = summary[[set(text.split(";")) == {"float64"} for text in summary.stage_precisions]]
    for _, run in summary.iterrows():
        authors = catalogue.experiment(run.experiment).methods[run.method].authors
        for place, stage in _ended_by_rounding(run, authors, rule):
            same = exact[(exact[ROW] == run[ROW]).all(axis=1)]
            losses = _losses(run, place)
            if len(losses):
                rows.append(_row(run, place, stage, rule, losses, same))
    return table_of(rows, "in none of these runs did rounding end an L-BFGS stage in float32")


def _ended_by_rounding(run: pd.Series, authors: Authors, rule: StallRule) -> Iterator[tuple[int, Stage]]:
    """Places and stages that stalled; else the first L-BFGS stage, if rounding ended it."""
    stages = list(enumerate(stages_of(run, authors)))
    stalled = [(place, stage) for place, stage in stages if stage.stalled(rule)]
    first = [(place, stage) for place, stage in stages if stage.optimizer == "lbfgs"][:1]
    rounded = [(p, s) for p, s in first if s.reason in rule.reasons and s.precision == rule.precision]
    yield from stalled or rounded


def _row(
    run: pd.Series, place: int, stage: Stage, rule: StallRule, losses: pd.DataFrame, same: pd.DataFrame
) -> dict[str, object]:
    loss = losses.objective.iloc[-1]
    unit = float(np.spacing(np.float32(loss)))
    last = _steps(losses)[-1] if len(losses) > 1 else np.nan
    after = _after(same.iloc[0], place, loss) if len(same) else _After()
    return run[["experiment", "method", "numerics", "backend", "seed"]].to_dict() | {
        "level": stage.level,
        "stalled": stage.stalled(rule),
        "iterations": stage.iterations,
        "authors' iterations": stage.authors,
        "evaluations an iteration": stage.evaluations / max(stage.iterations, 1),
        "loss": float(loss),
        "unit": unit,
        "units a step": last / unit,
        "float64: iterations from there": after.iterations,
        "float64: last loss": after.end,
        "float64: units a step, at first": after.step / unit,
        "float64: units a step, mean": after.mean / unit,
        "error": float(errors(run.to_frame().T.astype({"rel_l2": float}))[0]),
        "float64: error": float(errors(same)[0]) if len(same) else np.nan,
    }


def _losses(run: pd.Series, place: int) -> pd.DataFrame:
    """The recorded iterations and objectives of the stage in its place, of a run whose files are as written."""
    folder = Path(run.folder)
    checked_record(folder)
    history = read_history(folder)
    losses = history.loc[history.stage == place, ["iteration", "objective"]].astype(float)
    return losses.drop_duplicates("iteration", keep="last")  # the last iterate of a run may stand twice


def _after(run: pd.Series, place: int, loss: float) -> _After:
    """What ``run`` made of a stage from the first recorded iterate on whose loss is no larger than ``loss``."""
    losses = _losses(run, place)
    left = losses[losses.objective <= loss]
    if left.empty:
        return _After()
    first, last = left.iloc[0], left.iloc[-1]
    count = last.iteration - first.iteration
    if not count:
        return _After(0.0, last.objective)
    return _After(count, last.objective, _steps(left)[0], (first.objective - last.objective) / count)


def _steps(losses: pd.DataFrame) -> np.ndarray:
    """The decrease of the loss by an iteration, over each recorded span."""
    return -np.diff(losses.objective) / np.diff(losses.iteration)
