"""``list``: what there is to run."""

import argparse
from collections.abc import Iterator

from rich.table import Table

import problems
from solvers import backends, balancing, optimizers
from solvers.cli.catalogue import catalogue_of
from solvers.cli.said import error, output
from solvers.configuration.catalogue import Catalogue, Method
from solvers.configuration.spec import RunSpec
from solvers.model import networks
from solvers.points import groupings, samplers

__all__ = ["execute"]


def execute(options: argparse.Namespace) -> int:
    """Print all experiments with their methods, or one with its levels."""
    catalogue = catalogue_of(options)
    if options.experiment is None:
        _everything(catalogue)
    else:
        _experiment(catalogue, options.experiment, options.scale)
    return 0


def _everything(catalogue: Catalogue) -> None:
    kinds = {
        "problems": problems.names(),
        "networks": networks.names(),
        "samplers": samplers.names(),
        "groupings": groupings.names(),
        "balancing": balancing.names(),
        "optimizers": optimizers.names(),
        "backends": backends.names(),
        "numerics": catalogue.names("numerics"),
        "scales": catalogue.names("scales"),
        "studies": catalogue.names("studies"),
    }
    console = output()
    for kind, names in kinds.items():
        console.print(f"{kind}: {', '.join(names)}")
    grouped = {name for names in catalogue.groups.values() for name in names}
    table = _table("experiment", "method", "title", "authors' relative L2")
    for name in catalogue.names("experiments"):
        if name not in grouped:
            for method, title, entry in _methods(catalogue, name):
                table.add_row(name, method, title, error(entry.authors.rel_l2))
    console.print(table)
    for group, names in catalogue.groups.items():
        console.print(f"\ngroup {group}, not in the paper; of errors published by others the smallest:")
        table = _table("experiment", "method", "title", "published relative L2")
        for name in names:
            published = [each.rel_l2 for each in catalogue.experiment(name).published]
            for method, title, _ in _methods(catalogue, name):
                table.add_row(name, method, title, error(min(published, default=None)))
        console.print(table)


def _methods(catalogue: Catalogue, name: str) -> Iterator[tuple[str, str, Method]]:
    """The methods of an experiment: name, title with that of the experiment, and entry."""
    experiment = catalogue.experiment(name)
    for method, entry in experiment.methods.items():
        yield method, f"{experiment.title}, {entry.title}", entry


def _experiment(catalogue: Catalogue, name: str, scale: str) -> None:
    """Its methods; the levels are those that ``scale`` leaves, with numerics of the paper."""
    experiment = catalogue.experiment(name)
    console = output()
    console.print(f"{name}: {experiment.title}; levels at scale {scale}, numerics paper")
    table = _table("method", "title", "authors' relative L2", "level", "balancing", "stages: iterations at most")
    for method, entry in experiment.methods.items():
        spec = catalogue.resolve(name, method, backends.names()[0], scale=scale)
        head = [method, entry.title, error(entry.authors.rel_l2)]
        for i, (balancing_of, stages) in enumerate(_levels(spec)):
            table.add_row(*(head if i == 0 else [""] * len(head)), str(i + 1), balancing_of, stages)
    console.print(table)
    for method, entry in experiment.methods.items():
        if entry.note:
            console.print(f"{method}: {entry.note}")
    for published in experiment.published:
        console.print(f"published: {error(published.rel_l2)}, {published.method} ({published.source})")


def _levels(spec: RunSpec) -> list[tuple[str, str]]:
    """Balancing and stages of each level, in words."""
    found = []
    for level in spec.levels:
        stages = ", ".join(f"{stage['optimizer']}: {stage['iterations']}" for stage in level.stages)
        found.append((_rule(level.balancing), stages))
    return found


def _rule(balancing: dict[str, object]) -> str:
    """A balancing rule with its settings of one number, or of one for each of some terms."""
    words = [str(balancing["name"])]
    for key, value in balancing.items():
        if isinstance(value, dict) and value:
            words.append(", ".join(f"{term} {number:g}" for term, number in value.items()))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            words.append(f"{key} {value:g}")
    return "; ".join(words)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name in ("experiment", "method"))
    return table
