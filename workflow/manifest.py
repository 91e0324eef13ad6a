"""The manifest of the paper: what of it which runs reproduce, and the rules of the verdicts."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.reading import read_model
from solvers.configuration.spec import KeyProblem, StrictModel
from solvers.optimizers import StopReason
from solvers.plugins import unknown

__all__ = [
    "CheckRule",
    "Claim",
    "Claims",
    "FigureFamily",
    "Manifest",
    "Measure",
    "Pair",
    "Row",
    "Rules",
    "StallRule",
    "read_manifest",
]

MANIFEST = "paper/manifest.yaml"

Error = Annotated[float, Field(gt=0)]


class StallRule(StrictModel):
    """When a stage stalled: it ended for one of the ``reasons`` in this ``precision``, after less than the
    ``share`` of the authors' iterations of that stage, if theirs are at least ``least``."""

    reasons: Annotated[list[StopReason], Field(min_length=1)]
    precision: Literal["float32", "float64"]
    share: Annotated[float, Field(gt=0, lt=1)]
    least: Annotated[int, Field(ge=1)]


class Rules(StrictModel):
    """The numbers of the verdicts; the rules themselves stand in the manifest's comments.

    ``fixed`` is the day since when they are as they are (YYYY-MM-DD). ``factor`` and ``scatter`` are ratios of
    errors, ``seeds`` is the smallest number of runs that are judged, ``failed_above`` a relative L2 error;
    ``scale`` and ``numerics`` are the paper's conditions.
    """

    fixed: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    factor: Annotated[float, Field(ge=1)]
    scatter: Annotated[float, Field(ge=1)]
    seeds: Annotated[int, Field(ge=1)]
    failed_above: Error
    stall: StallRule
    scale: str
    numerics: str


class CheckRule(StrictModel):
    """When a run made anew agrees with archived ones: the ``relative`` difference of two errors that are the same,
    and the ``factor`` by which one may lie beyond the spread; ``fixed`` is the day of the rule."""

    fixed: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    relative: Annotated[float, Field(gt=0, lt=1)]
    factor: Annotated[float, Field(ge=1)]


class Judged(StrictModel):
    """Something that is judged by its error, or by nothing, ``because`` of something."""

    rule: Literal["error", "none"]
    because: str = ""

    @model_validator(mode="after")
    def _reason(self) -> Self:
        if (self.rule == "none") != bool(self.because):
            raise KeyProblem("because", self.because, "says why, if and only if the rule is none")
        return self


class Row(Judged):
    """A row of the authors' results. ``other_runs``: relative L2 errors of further runs of theirs; ``remark``:
    shown beside the verdict."""

    experiment: str
    method: str
    remark: str = ""
    other_runs: list[Error] = []


class FigureFamily(Judged):
    """Figures of one kind in the paper, and the suite's figure that is drawn for each of the experiments."""

    family: str
    figure: str
    experiments: Annotated[list[str], Field(min_length=1)]


class Pair(StrictModel):
    """Two methods of an experiment: a baseline without what the paper proposes, and a method with it."""

    experiment: str
    baseline: str
    method: str


Measure = Literal["fall", "error", "iterations"]


class Claim(StrictModel):
    """A claim of the paper in words, what it is judged by, and in which pairs of methods."""

    name: Annotated[str, Field(min_length=1)]
    claim: Annotated[str, Field(min_length=1)]
    measure: Measure
    pairs: Annotated[list[Pair], Field(min_length=1)]


class Claims(StrictModel):
    """The claims of the paper and the numbers of their rules, which stand in the manifest's comments: ``above``
    and ``below`` are relative L2 errors, ``fixed`` is the day of the rules."""

    fixed: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    above: Error
    below: Error
    list: Annotated[list[Claim], Field(min_length=1)]


class Manifest(StrictModel):
    """Rules, claims, rows and figures."""

    rules: Rules
    check: CheckRule
    claims: Claims
    rows: list[Row]
    figures: list[FigureFamily]

    def row(self, experiment: str, method: str) -> Row | None:
        """The authors' row of a method, or ``None`` if they have none."""
        return next((row for row in self.rows if (row.experiment, row.method) == (experiment, method)), None)


def read_manifest(catalogue: Catalogue) -> Manifest:
    """The manifest of a catalogue; :class:`ConfigurationError` if it is wrong or names what does not exist."""
    manifest = read_model(Manifest, catalogue.folder / MANIFEST)
    _check_names(manifest, catalogue)
    _check_pairs(manifest, catalogue)
    for i, row in enumerate(manifest.rows):
        _check_row(f"rows.{i}", row, catalogue)
        if manifest.row(row.experiment, row.method) is not row:
            raise _wrong(catalogue, f"rows.{i}.method", row.method, f"stands twice in {row.experiment}")
    return manifest


def _wrong(catalogue: Catalogue, key: str, value: str, problem: str) -> ConfigurationError:
    return ConfigurationError(catalogue.source("paper", "manifest"), key, value, problem)


def _check_names(manifest: Manifest, catalogue: Catalogue) -> None:
    """Scale, numerics and experiments are those of the catalogue."""
    named = [
        ("rules.scale", manifest.rules.scale, "scales"),
        ("rules.numerics", manifest.rules.numerics, "numerics"),
    ]
    named += [(f"rows.{i}.experiment", row.experiment, "experiments") for i, row in enumerate(manifest.rows)]
    named += [
        (f"figures.{i}.experiments", name, "experiments")
        for i, family in enumerate(manifest.figures)
        for name in family.experiments
    ]
    for key, name, kind in named:
        if name not in catalogue.names(kind):
            raise _wrong(catalogue, key, name, unknown("name", name, catalogue.names(kind)))


def _check_pairs(manifest: Manifest, catalogue: Catalogue) -> None:
    """The methods of a claim's pairs have rows."""
    for i, claim in enumerate(manifest.claims.list):
        for j, pair in enumerate(claim.pairs):
            known = [row.method for row in manifest.rows if row.experiment == pair.experiment]
            for name, method in (("baseline", pair.baseline), ("method", pair.method)):
                if method not in known:
                    key = f"claims.list.{i}.pairs.{j}.{name}"
                    why = "" if known else f", for {pair.experiment} has no row"
                    raise _wrong(catalogue, key, method, unknown("name", method, known) + why)


def _check_row(key: str, row: Row, catalogue: Catalogue) -> None:
    methods = catalogue.experiment(row.experiment).methods
    if row.method not in methods:
        raise _wrong(catalogue, f"{key}.method", row.method, unknown("name", row.method, methods))
    known = methods[row.method].authors.rel_l2 is not None
    if known != (row.rule == "error"):
        right = f"must be error if the authors' error is known, else none; it is {'' if known else 'not '}known"
        raise _wrong(catalogue, f"{key}.rule", row.rule, right)
