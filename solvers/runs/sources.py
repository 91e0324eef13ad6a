"""Where the runs of a study come from: made anew, or taken from the archive."""

from pathlib import Path

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.choices import SOURCE
from solvers.configuration.spec import RunSpec
from solvers.configuration.study import Study
from solvers.runs.archive import ARCHIVE, archived_specs
from solvers.runs.finished import outdated
from solvers.runs.place import Place, run_folder

__all__ = ["runs_of", "today"]

RESULTS = Path("results")


def runs_of(study: Study, catalogue: Catalogue, results: Path = RESULTS) -> list[tuple[RunSpec, bool]]:
    """The runs of a study, in its order, and whether each is taken from the archive, whole as it was archived.

    With ``runs: both`` a run is the archived one if there is one, unless ``results`` has it too, of today's
    specification and code: then it is that one. Raises :class:`ConfigurationError` if all are to be archived ones
    and there is none, :class:`~solvers.runs.record.RecordError` if an archived file has changed.
    """
    if study.runs == "fresh":
        return [(spec, False) for spec in study.specs(catalogue)]
    archive = {Place.of(spec): spec for spec in archived_specs(study.scale) if study.holds(spec)}
    if study.runs == "archive":
        return [(spec, True) for spec in _all_of(study, list(archive.values()))]
    return [_either(spec, archive.get(Place.of(spec)), results) for spec in study.specs(catalogue)]


def _either(spec: RunSpec, archived: RunSpec | None, results: Path) -> tuple[RunSpec, bool]:
    folder = run_folder(spec, results)
    made = (folder / "run.json").exists() and not outdated(spec, folder)
    return (spec, False) if archived is None or made else (archived, True)


def _all_of(study: Study, archive: list[RunSpec]) -> list[RunSpec]:
    """``archive``, experiment by experiment."""
    if not archive:
        problem = f"no archived run of scale {study.scale} is of this selection; see {ARCHIVE}"
        raise ConfigurationError(SOURCE, "runs", "archive", problem)
    return sorted(archive, key=lambda spec: study.experiments.index(spec.experiment))


def today(spec: RunSpec, catalogue: Catalogue) -> RunSpec | None:
    """What the catalogue makes today of the names and overrides of an archived run's specification; ``None`` if
    it has them no more."""
    names = (spec.experiment, spec.method, spec.backend, spec.numerics, spec.scale, spec.seed)
    try:
        return catalogue.resolve(*names, spec.overrides)
    except ConfigurationError:
        return None
