"""The runs of a pipeline, those of a study, made anew or taken from the archive, and the places of its files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from solvers.configuration.axes import Axis
from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.spec import RunSpec
from solvers.configuration.study import Study, read_config, study_of
from solvers.plugins import unknown
from solvers.runs.archive import ARCHIVE
from solvers.runs.command import command_line
from solvers.runs.finished import outdated
from solvers.runs.floor import FILE as FLOOR
from solvers.runs.floor import floor_folder, floor_spec, is_floor_of, read_floor
from solvers.runs.place import DEPTH, Place
from solvers.runs.provenance import identity_of
from solvers.runs.record import RecordError
from solvers.runs.rows import source_of
from solvers.runs.sources import runs_of, today
from workflow.analysis import register

__all__ = ["REPORTS", "Sweep"]

RESULTS, REPORTS = Path("results"), Path("reports")
LONGEST_SUFFIX = 120


@dataclass(frozen=True)
class Sweep:
    """All runs of one configuration."""

    study: Study
    specs: tuple[RunSpec, ...]
    from_archive: frozenset[Place]
    """The places of those that are taken from the archive; the others are made."""

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], catalogue: Catalogue | None = None, files: Iterable[Path | str] = ()
    ) -> "Sweep":
        """The sweep of a configuration, see :func:`study_of`; :class:`ConfigurationError` names key, value and
        what is allowed."""
        catalogue = catalogue or Catalogue()
        study = study_of(config, catalogue, files)
        _check_names(study, catalogue)
        runs = runs_of(study, catalogue)
        places = frozenset(Place.of(spec) for spec, archived in runs if archived)
        return cls(study, tuple(spec for spec, _ in runs), places)

    @classmethod
    def from_command_line(cls, catalogue: Catalogue, assignments: Iterable[str] = ()) -> "Sweep":
        """The sweep of ``config.yaml`` in the catalogue with ``key=value`` laid on, like ``--config``."""
        return cls.from_config(read_config(catalogue, assignments), catalogue)

    @property
    def scale(self) -> str:
        """The scale of all runs."""
        return self.study.scale

    @property
    def archived(self) -> bool:
        """Whether all runs are those of the archive."""
        return len(self.from_archive) == len(self.specs)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The study's axes."""
        return self.study.axes

    @property
    def experiments(self) -> list[str]:
        """Names of the experiments that have runs."""
        return list(dict.fromkeys(spec.experiment for spec in self.specs))

    @property
    def name(self) -> str:
        """``<study>/<scale>[-archive|-both][+key=value...]``: the folder of tables and figures within ``reports``.
        What differs from the study's own selection is named, or its hash if that is too long, so that no selection
        overwrites the report of another."""
        chosen = "+".join(self.study.narrowed)
        if len(chosen) > LONGEST_SUFFIX:
            chosen = sha256(chosen.encode()).hexdigest()[:16]
        source = "" if self.study.runs == "fresh" else f"-{self.study.runs}"
        suffix = source + (f"+{chosen}" if chosen else "")
        return f"{self.study.name}/{self.scale}{suffix}"

    def grouped(self, experiment: str) -> bool:
        """Whether a method of the experiment groups its residual by subdomains."""
        return any(spec.grouping for spec in self.specs if spec.experiment == experiment)

    def tables(self) -> list[str]:
        """Names of the tables that are made."""
        return [table.name for table in register.TABLES if table.applies(self._shown())]

    def figures_of(self, experiment: str) -> list[str]:
        """Names of the figures drawn of an experiment's runs."""
        return self._figures(register.RUNS, self._shown(self.grouped(experiment)))

    def figures_of_points(self) -> list[str]:
        """Names of the figures drawn of an experiment's rows of the summary, point by point."""
        return self._figures(register.POINTS, self._shown())

    def figures_of_summary(self) -> list[str]:
        """Names of the figures drawn of the whole summary."""
        return self._figures(register.SUMMARY, self._shown())

    def _figures(self, source: str, shown: register.Shown) -> list[str]:
        wanted = self.study.entry.figures
        found = [figure for figure in register.FIGURES if figure.source == source and figure.applies(shown)]
        return [name for f in found if wanted is None or f.name in wanted for name in f.names(shown)]

    def _shown(self, grouped: bool = False) -> register.Shown:
        lengths = tuple(len(axis.values) for axis in self.axes)
        keys = tuple((axis.name, axis.stated["path"].key) for axis in self.axes if "path" in axis.stated)
        names = tuple(axis.name for axis in self.axes)
        return register.Shown(
            lengths,
            keys,
            grouped,
            fresh=not self.archived,
            names=names,
            published=bool(self.study.published),
            experiments=len(self.experiments),
            methods=len({spec.method for spec in self.specs}),
        )

    def folders(self, experiment: str | None = None) -> list[Path]:
        """Run directories, of one experiment or of all."""
        return [
            place.folder(ARCHIVE if place in self.from_archive else RESULTS)
            for place in self._by_place
            if experiment in (None, place.experiment)
        ]

    def floors(self, experiment: str | None = None) -> dict[str, Path]:
        """The folders of the floors of one experiment or of all, by experiment: where all runs are archived ones,
        those of the archive that are of today's problem, else those that are made."""
        wanted = [name for name in self.experiments if experiment in (None, name)]
        return {name: self._floor(name) for name in wanted}

    def floor_outdated(self, experiment: str, root: Path = RESULTS) -> bool:
        """Whether below ``root`` there is a floor that is damaged, or not of today's problem and this code."""
        folder = floor_folder(experiment, root)
        try:
            return (folder / FLOOR).exists() and not is_floor_of(
                floor_spec(experiment, Catalogue()), read_floor(folder)
            )
        except RecordError:
            return True

    def _floor(self, experiment: str) -> Path:
        archived = floor_folder(experiment, ARCHIVE)
        known = self.archived and (archived / FLOOR).exists()
        taken = known and read_floor(archived).spec == floor_spec(experiment, Catalogue())
        return archived if taken else floor_folder(experiment, RESULTS)

    def made(self) -> list[RunSpec]:
        """The runs that are made, not taken from the archive."""
        return [spec for place, spec in self._by_place.items() if place not in self.from_archive]

    def places(self) -> list[Path]:
        """Directories of the runs that are made, relative to the root of the results."""
        return [place.path for place in self._by_place if place not in self.from_archive]

    def variants(self) -> list[str]:
        """The folders of experiments within a scale: their names, marked at the points of axes."""
        return list(dict.fromkeys(place.wildcards["experiment"] for place in self._by_place))

    def find(self, place: Path | str) -> RunSpec:
        """The run whose directory is ``place``, relative to the root of the results."""
        return self._by_place[Place.parse(place)]

    @cached_property
    def _by_place(self) -> dict[Place, RunSpec]:
        return {Place.of(spec): spec for spec in self.specs}

    def identity(self, place: Path | str) -> dict[str, str]:
        """Specification and code of a run: when this changes, the run is made again."""
        return identity_of(self.find(place))

    def wanted(self, folder: Path) -> RunSpec | None:
        """The specification that the run in ``folder``, wherever its results stand, has to have today; that of an
        archived one is the catalogue's, ``None`` if there is none any more."""
        spec = self.find(Path(*folder.parts[-DEPTH:]))
        if source_of(folder) == "fresh":
            return spec
        return today(spec, Catalogue())

    def outdated(self, place: Path | str, root: Path = RESULTS) -> bool:
        """Whether below ``root`` there is a run in this place that is not of its specification and this code."""
        return outdated(self.find(place), root / place)

    def command(self, place: Path | str) -> str:
        """The command that makes a run."""
        return command_line(self.find(place))


def _check_names(study: Study, catalogue: Catalogue) -> None:
    """An axis is a column of tables beside those that every table has; figures are those of the register."""
    source, known = catalogue.source("studies", study.name), [figure.name for figure in register.FIGURES]
    for i, axis in enumerate(study.axes):
        if axis.name in register.COLUMNS:
            raise ConfigurationError(source, f"axes.{i}.name", axis.name, "is a column of all tables already")
    for i, name in enumerate(study.entry.figures or ()):
        if name not in known:
            raise ConfigurationError(source, f"figures.{i}", name, unknown("name", name, known))


def main(assignments: list[str]) -> None:
    """Print the folder of the reports of a configuration."""
    print(REPORTS / Sweep.from_command_line(Catalogue(), assignments).name)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
