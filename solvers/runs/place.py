"""The place of a run below a folder of results: the one module that makes a path of it and reads one."""

import glob
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from solvers.configuration.spec import RunSpec

__all__ = ["DEPTH", "PATTERN", "Place", "run_folder", "variant_of"]

PATTERN = "{scale}/{experiment}/{method}/{backend}/{numerics}/{seed}"
"""The place as Snakemake's rules write it; ``experiment`` has the variant behind ``@``, if there is one."""
PARTS = tuple(re.findall(r"{(\w+)}", PATTERN))
DEPTH = len(PARTS)
"""Folders from the results to a run."""
LONGEST_VARIANT = 120
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
READABLE = re.compile(r"[A-Za-z0-9._+-]+=[A-Za-z0-9._=+-]*")
VARIANT = re.compile(r"[A-Za-z0-9._=+~-]+")
SEED = re.compile(r"0|[1-9][0-9]*")


@dataclass(frozen=True)
class Place:
    """What names a run. ``variant`` tells runs with ``--set`` from those without, and is empty for the latter."""

    scale: str
    experiment: str
    variant: str
    method: str
    backend: str
    numerics: str
    seed: int

    @classmethod
    def of(cls, spec: RunSpec) -> "Place":
        """The place that the run of ``spec`` has."""
        variant = variant_of(spec.overrides)
        return cls(spec.scale, spec.experiment, variant, spec.method, spec.backend, spec.numerics, spec.seed)

    @classmethod
    def parse(cls, path: Path | str) -> "Place":
        """The place that ``path``, relative to the results, stands for; ``ValueError`` if it is no run's."""
        parts = Path(path).parts
        if len(parts) != DEPTH:
            raise ValueError(f"{path}: is no run's folder: must read {PATTERN}")
        scale, folder, method, backend, numerics, seed = parts
        experiment, at, variant = folder.partition("@")
        for part in (scale, experiment, method, backend, numerics):
            _check(path, part, NAME, "a name: letters, digits and . _ + - behind the first")
        if at:
            _check(path, variant, VARIANT, "a variant: letters, digits and . _ = + ~ -")
        _check(path, seed, SEED, "a seed: a whole number from 0")
        return cls(scale, experiment, variant, method, backend, numerics, int(seed))

    @property
    def wildcards(self) -> dict[str, str]:
        """The folders' names, by the names that :data:`PATTERN` gives them."""
        folder = f"{self.experiment}@{self.variant}" if self.variant else self.experiment
        names = (self.scale, folder, self.method, self.backend, self.numerics, str(self.seed))
        return dict(zip(PARTS, names, strict=True))

    @property
    def path(self) -> Path:
        """The run's folder, relative to the results."""
        return Path(*self.wildcards.values())

    def folder(self, root: Path) -> Path:
        """The run's folder below ``root``."""
        return root / self.path

    @staticmethod
    def glob(root: Path, **known: str) -> Iterator[Path]:
        """Folders with a ``run.json``, sorted, as deep below ``root`` as a run's is, hidden ones left out.
        ``known`` are names of some of the folders, such as ``scale="quick"``."""
        unknown = set(known) - set(PARTS)
        if unknown:
            raise TypeError(f"{', '.join(sorted(unknown))}: no part of a place; allowed: {', '.join(PARTS)}")
        pattern = "/".join(glob.escape(known[part]) if part in known else "*" for part in PARTS)
        for path in sorted(root.glob(f"{pattern}/run.json")):
            if not any(part.startswith(".") for part in path.relative_to(root).parts):
                yield path.parent


def _check(path: Path | str, part: str, allowed: re.Pattern[str], needed: str) -> None:
    if not allowed.fullmatch(part):
        raise ValueError(f"{path}: is no run's folder: {part!r} must be {needed}")


def variant_of(overrides: Sequence[str]) -> str:
    """The overrides as one name, whatever their order: as they are if that is a short name of harmless characters,
    else 16 hexadecimal digits of them.

    A ~ inside an override would read like the next one, so that it too makes a hash.
    """
    texts = sorted(overrides)
    joined = "~".join(texts)  # no comma: Snakemake hands wildcards to a cluster's jobs with commas between them
    if len(joined) <= LONGEST_VARIANT and all(READABLE.fullmatch(text) for text in texts):
        return joined
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def run_folder(spec: RunSpec, root: Path = Path("results")) -> Path:
    """The folder of the run of ``spec`` below ``root``."""
    return Place.of(spec).folder(root)
