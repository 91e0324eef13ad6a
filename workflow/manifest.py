"""The manifest of the paper: what of it which runs reproduce, and the rules of the verdicts."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from solvers.configuration import Catalogue, ConfigurationError, read_model
from solvers.spec import KeyProblem, StrictModel

__all__ = ["FigureFamily", "Manifest", "Row", "Rules", "read_manifest"]

MANIFEST = "paper/manifest.yaml"

Error = Annotated[float, Field(gt=0)]


class Rules(StrictModel):
    """The numbers of the verdicts; the rules themselves stand in the manifest's comments.

    ``failed_above`` is a relative L2 error; ``scale`` and ``numerics`` are the paper's conditions.
    """

    factor: Annotated[float, Field(ge=1)]
    failed_above: Error
    scale: str
    numerics: str


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
    """A row of the paper's tables. ``other_runs``: relative L2 errors of further runs of the authors."""

    experiment: str
    method: str
    other_runs: list[Error] = []


class FigureFamily(Judged):
    """Figures of one kind in the paper, and the suite's figure that is drawn for each of the experiments."""

    family: str
    figure: str
    experiments: Annotated[list[str], Field(min_length=1)]


class Manifest(StrictModel):
    """Rules, rows and figures."""

    rules: Rules
    rows: list[Row]
    figures: list[FigureFamily]

    def row(self, experiment: str, method: str) -> Row | None:
        """The paper's row of a method, or ``None`` if the paper has none."""
        return next((row for row in self.rows if (row.experiment, row.method) == (experiment, method)), None)


def read_manifest(catalogue: Catalogue) -> Manifest:
    """The manifest of a catalogue; :class:`ConfigurationError` if it is wrong or names what does not exist."""
    manifest = read_model(Manifest, catalogue.folder / MANIFEST)
    _check_names(manifest, catalogue)
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
            allowed = ", ".join(catalogue.names(kind))
            raise _wrong(catalogue, key, name, f"unknown name; allowed: {allowed}")


def _check_row(key: str, row: Row, catalogue: Catalogue) -> None:
    methods = catalogue.experiment(row.experiment).methods
    if row.method not in methods:
        raise _wrong(catalogue, f"{key}.method", row.method, f"unknown name; allowed: {', '.join(methods)}")
    known = methods[row.method].authors.rel_l2 is not None
    if known != (row.rule == "error"):
        right = f"must be error if the authors' error is known, else none; it is {'' if known else 'not '}known"
        raise _wrong(catalogue, f"{key}.rule", row.rule, right)
