"""How long a run will take, from those that are there: of the same row if there is one, else by its evaluations.

The seconds of an evaluation grow with the points of the residual and with the parameters; what remains, the pace,
is taken from the runs most like the new one, and carried to another backend or numerics by the ratios that
the rows show which have both.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations, product, repeat
from pathlib import Path
from statistics import fmean, median

from solvers import backends
from solvers.configuration.assembly import build_model
from solvers.configuration.catalogue import Catalogue
from solvers.configuration.spec import RunSpec
from solvers.model.networks.base import parameter_count
from solvers.runs.place import Place
from solvers.runs.record import RecordError, RunRecord, read_run
from workflow.manifest import Rules, read_manifest

__all__ = ["Expectation", "records_in"]

LIKE = (("experiment", "method"), ("experiment",), ())
"""Runs are alike if they agree in these; the first kind that has a run counts."""
MANY = 100
"""Of so many iterations on, a stage tells how many evaluations an iteration takes."""
GUESS = {"evaluations": 1.1, "seconds": 1e-8, "more": 10.0, "lbfgs": 5000.0}
"""Where nothing has been run, about what a core took in 2026: evaluations an iteration of L-BFGS, seconds an
evaluation, point and parameter, seconds of a run beside its training, evaluations of L-BFGS where the authors' are
not known."""


def records_in(roots: Iterable[Path], scale: str) -> list[RunRecord]:
    """The records of all runs at a scale below folders of results, those that cannot be read left out."""
    found = []
    for root in roots:
        for folder in Place.glob(root, scale=scale):
            try:
                found.append(read_run(folder))
            except RecordError:
                continue
    return found


@dataclass(frozen=True)
class _Made:
    """A finished run: its specification, CPU seconds in all, seconds an evaluation, point and parameter, the
    precisions that its stages have of their own, and whether its own seconds tell nothing of its row."""

    spec: RunSpec
    seconds: float
    pace: float
    precisions: frozenset[str | None]
    unlike: bool


Unlike = Callable[[RunRecord], bool]


class Expectation:
    """Expected CPU seconds of runs, from ``records`` of finished ones; ``unlike`` says of which the seconds tell
    nothing of a new run of the same row, since it will stop elsewhere."""

    def __init__(
        self, records: Iterable[RunRecord], catalogue: Catalogue, unlike: Unlike = lambda record: False
    ) -> None:
        self._records = [r for r in records if r.function_evaluations and r.status == "finished"]
        self._catalogue = catalogue
        self._rules: Rules = read_manifest(catalogue).rules
        self._made = [_made(record, unlike(record)) for record in self._records]
        self._factors = {name: self._ratios(name) for name in ("backend", "numerics")}

    def __call__(self, spec: RunSpec) -> float:
        """The CPU seconds that a run of ``spec`` takes, all phases together."""
        return self._of_the_row(spec) or self._by_evaluations(spec)

    def _of_the_row(self, spec: RunSpec) -> float | None:
        """Mean seconds of the same row with other seeds, or of the same run elsewhere."""
        row = ("experiment", "method", "backend", "numerics", "scale")
        own = [
            made.seconds
            for made in self._made
            if _same(made.spec, spec, row) and not made.unlike and not made.spec.overrides
        ]
        return fmean(own) if own else None

    def _by_evaluations(self, spec: RunSpec) -> float:
        size = _residual_points(spec) * _parameters(spec)
        return self.evaluations(spec) * size * self._pace(spec) + self._beside_training()

    def _pace(self, spec: RunSpec) -> float:
        precisions = _precisions(spec)
        for same_precisions, axes in product((True, False), LIKE):
            known = [
                made
                for made in self._made
                if _same(made.spec, spec, axes) and (made.precisions == precisions or not same_precisions)
            ]
            if alike := [made.pace * self._carried(made.spec, spec) for made in known]:
                return median(alike)
        return GUESS["seconds"]

    def _carried(self, made: RunSpec, spec: RunSpec) -> float:
        """The factor from the pace of one run to that of another with other backend or numerics."""
        factor = 1.0
        for name, ratios in self._factors.items():
            factor *= ratios.get((getattr(made, name), getattr(spec, name)), 1.0)
        return factor

    def _ratios(self, name: str) -> dict[tuple[str, str], float]:
        """Ratios of paces between the values of an axis: medians over the runs that differ in nothing else."""
        rest = [axis for axis in ("experiment", "method", "backend", "numerics", "seed") if axis != name]
        found: dict[tuple[str, str], list[float]] = {}
        for one, other in combinations(self._made, 2):
            values = getattr(one.spec, name), getattr(other.spec, name)
            if values[0] != values[1] and _same(one.spec, other.spec, rest):
                found.setdefault(values, []).append(other.pace / one.pace)
                found.setdefault(values[::-1], []).append(one.pace / other.pace)
        return {values: median(ratios) for values, ratios in found.items()}

    def evaluations(self, spec: RunSpec) -> float:
        """Function evaluations: the budget of first-order stages, and of L-BFGS without tolerances; of L-BFGS with
        the paper's tolerances what the authors needed where that is known, else what runs here did in their first
        such stage: later ones end at once."""
        authors = self._catalogue.experiment(spec.experiment).methods[spec.method].authors
        counted = [self._each() * count for count in authors.lbfgs_iterations or ()]
        wanted = chain(authors.lbfgs_evaluations or counted or [self._first_lbfgs()], repeat(0.0))
        total = 0.0
        for stage in (stage for level in spec.levels for stage in level.stages):
            budget = float(stage["iterations"])
            if stage["optimizer"] == "lbfgs":
                budget = min(self._each() * budget, stage["evaluations"])
                if spec.numerics == self._rules.numerics:
                    budget = min(budget, next(wanted))
            total += budget
        return total

    def _each(self) -> float:
        """Evaluations an iteration of L-BFGS."""
        found = [
            stage.function_evaluations / stage.iterations
            for record in self._records
            for stage in record.stages
            if stage.optimizer == "lbfgs" and stage.iterations >= MANY
        ]
        return median(found) if found else GUESS["evaluations"]

    def _first_lbfgs(self) -> float:
        """Evaluations of the first L-BFGS stage of a run here."""
        firsts = [
            next((stage.function_evaluations for stage in record.stages if stage.optimizer == "lbfgs"), 0)
            for record in self._records
            if record.spec.numerics == self._rules.numerics
        ]
        known = [count for count in firsts if count >= MANY]
        return float(median(known)) if known else GUESS["lbfgs"]

    def _beside_training(self) -> float:
        found = [sum(record.cpu_seconds.values()) - record.cpu_seconds["training"] for record in self._records]
        return median(found) if found else GUESS["more"]


def _same(one: RunSpec, other: RunSpec, axes: Sequence[str]) -> bool:
    return all(getattr(one, axis) == getattr(other, axis) for axis in axes)


def _made(record: RunRecord, unlike: bool) -> _Made:
    size = _residual_points(record.spec) * record.parameters
    pace = record.cpu_seconds["training"] / record.function_evaluations / size
    return _Made(record.spec, sum(record.cpu_seconds.values()), pace, _precisions(record.spec), unlike)


def _precisions(spec: RunSpec) -> frozenset[str | None]:
    """What its stages say of their precision; ``None`` for those that leave it to the numerics."""
    return frozenset(stage["precision"] for level in spec.levels for stage in level.stages)


def _residual_points(spec: RunSpec) -> int:
    """Those of all groups together."""
    grouping = spec.build_grouping()
    return int(spec.points["residual"]["count"]) * (len(grouping.groups) if grouping else 1)


@cache
def _parameters_of(text: str) -> int:
    spec = RunSpec.model_validate_json(text)
    return parameter_count(build_model(spec, spec.build_problem()).shapes)


def _parameters(spec: RunSpec) -> int:
    """Those of the network, which seed and backend do not change."""
    return _parameters_of(spec.model_copy(update={"seed": 0, "backend": backends.names()[0]}).model_dump_json())
