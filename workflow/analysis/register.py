"""All tables and all figures of the reports: to add one, write a function and enter it here.

Functions are named, not imported, so that rules know all names without the plotting library.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

__all__ = [
    "COLUMNS",
    "FIGURES",
    "OF_THE_PAPER",
    "POINTS",
    "RUNS",
    "SUMMARY",
    "TABLES",
    "Figure",
    "Shown",
    "Table",
    "figure",
    "table",
]

CAPTIONS = Path(__file__).resolve().parent.parent / "report"
RUNS, POINTS, SUMMARY = "runs", "points", "summary"
"""What a figure is drawn of: an experiment's runs; its rows of the summary, point by point; the whole summary."""

COLUMNS = frozenset(
    (
        *("experiment", "method", "numerics", "backend", "seed", "scale", "status", "source", "folder", "command"),
        *(
            "rel_l2",
            "mean_absolute",
            "maximum",
            "best_rel_l2",
            "fresh_residual_ratio",
            "iterations",
            "reason",
            "device",
        ),
        *("function_evaluations", "gradient_evaluations", "cpu_seconds", "wall_seconds", "other_seconds"),
        *("stage_optimizers", "stage_levels", "stage_precisions"),
        *("stage_iterations", "stage_evaluations", "stage_reasons", "terms_first", "terms_last"),
        *("startup_seconds", "compile_seconds", "peak_memory_mib", "fingerprint", "spec_hash", "outdated"),
        *("evaluations_to_0.1", "evaluations_to_0.01", "evaluations_to_0.001"),
        *("seconds_to_0.1", "seconds_to_0.01", "seconds_to_0.001"),
        *("seeds", "runs", "finished", "failures", "median", "minimum", "level", "optimizer", "target", "at"),
        *("floor", "floor_rel_l2", "floor_cpu_seconds", "floor_solver", "floor_folder"),
        *("problems", "lost", "regret", "low", "high", "p", "error", "distance", "evaluation"),
    )
)
"""Columns of the summary and of tables that are grouped by the axes of a study: no axis may have such a name."""


@dataclass(frozen=True)
class Shown:
    """What there is to be shown: the lengths of the study's axes, whether residuals are grouped, whether runs were
    made here, what the axes change, pairs of an axis' name and the key of the specification, the names of all
    axes, whether others publish errors for a problem, and the numbers of experiments and methods."""

    axes: tuple[int, ...]
    keys: tuple[tuple[str, str], ...] = ()
    grouped: bool = False
    fresh: bool = False
    names: tuple[str, ...] = ()
    published: bool = False
    experiments: int = 1
    methods: int = 1


Condition = Callable[[Shown], bool]


def always(shown: Shown) -> bool:
    """Of every study."""
    return True


def without_axes(shown: Shown) -> bool:
    """Of studies like that of the paper, in which a method is one point."""
    return not shown.axes


def made_here(shown: Shown) -> bool:
    """Of studies without axes whose runs were made here."""
    return without_axes(shown) and shown.fresh


def with_axes(shown: Shown) -> bool:
    """Of studies with axes."""
    return bool(shown.axes)


def with_groups(shown: Shown) -> bool:
    """Of experiments in which a method groups its residual."""
    return without_axes(shown) and shown.grouped


def with_published(shown: Shown) -> bool:
    """Of studies without axes on problems for which others publish errors."""
    return without_axes(shown) and shown.published


def one_axis(shown: Shown) -> bool:
    """Of studies with one axis."""
    return len(shown.axes) == 1


def more_axes(shown: Shown) -> bool:
    """Of studies with two axes or more."""
    return len(shown.axes) > 1


def over_powers(shown: Shown) -> bool:
    """Of studies whose axes ``supervised`` and ``residual`` are the exponents of these terms."""
    keys = dict(shown.keys)
    return all(keys.get(name, "").endswith(f"exponents.{name}") for name in ("supervised", "residual"))


def over_rules(shown: Shown) -> bool:
    """Of studies with an axis called ``rule``, which has balancing rules."""
    return "rule" in shown.names


def leaderboard(shown: Shown) -> bool:
    """Of studies with several methods, or several points, on several experiments."""
    return shown.experiments > 1 and (shown.methods if without_axes(shown) else prod(shown.axes)) > 1


def over_entries(shown: Shown) -> bool:
    """Of leaderboards with an axis called ``entry``, whose values are called ``rule+optimizer``."""
    return leaderboard(shown) and "entry" in shown.names


def compared(shown: Shown) -> bool:
    """Of studies in which methods, or points, are compared over experiments."""
    return without_axes(shown) or leaderboard(shown)


@dataclass(frozen=True)
class Table:
    """A table: a function of summary and catalogue, ``module:function``, whose description is the caption.

    One that is ``of_runs`` reads histories and fields of the runs as well. The summary that is kept of a study
    does not give it: it is kept beside that.
    """

    name: str
    function: str
    applies: Condition = always
    of_runs: bool = False

    def load(self) -> Callable[..., Any]:
        """The function."""
        return _load(self.function)

    @property
    def caption(self) -> str:
        """What the table shows and how to read it."""
        return " ".join((self.load().__doc__ or "").split())


@dataclass(frozen=True)
class Figure:
    """A figure: a function, ``module:function``, that gives the drawing and its numbers, of what ``source`` says.

    ``captioned`` names the file of ``workflow/report`` that holds the caption, if that has not the figure's name.
    A figure of points shows two axes; of a study with more there is one for each point of the others.
    """

    name: str
    function: str
    source: str = RUNS
    applies: Condition = without_axes
    captioned: str = ""

    def load(self) -> Callable[..., Any]:
        """The function."""
        return _load(self.function)

    def names(self, shown: Shown) -> list[str]:
        """Its name, or one for each point of the axes after the second, counted from 1."""
        pages = prod(shown.axes[2:]) if self.source == POINTS else 1
        return [self.name] if pages == 1 else [f"{self.name}-{i + 1}" for i in range(pages)]

    @property
    def caption_file(self) -> str:
        """Path of the caption, which Snakemake's report shows as well."""
        return str(CAPTIONS / f"{self.captioned or self.name}.rst")

    @property
    def caption(self) -> str:
        """What the figure shows and how to read it."""
        return " ".join(Path(self.caption_file).read_text(encoding="utf-8").split())


def _load(function: str) -> Callable[..., Any]:
    module, _, name = function.partition(":")
    return getattr(import_module(f"workflow.analysis.{module}"), name)


TABLES = (
    Table("leaderboard", "leaderboard:leaderboard", leaderboard),
    Table("ranks", "leaderboard:ranks", leaderboard),
    Table("mmpinn", "subject:mmpinn", over_entries),
    Table("protocol", "protocol:protocol", leaderboard, of_runs=True),
    Table("pareto", "pareto:pareto", leaderboard, of_runs=True),
    Table("bands", "bands:bands", leaderboard, of_runs=True),
    Table("points", "points:points", with_axes),
    Table("choices", "choices:choices", with_axes),
    Table("powers", "powers:powers", over_powers),
    Table("solutions", "solutions:solutions", over_rules, of_runs=True),
    Table("rates", "rates:rates", over_rules, of_runs=True),
    Table("synchronised", "synchronised:synchronised", over_rules, of_runs=True),
    Table("check", "check:check", made_here),
    Table("verdict-counts", "verdicts:verdict_counts", without_axes),
    Table("verdicts", "verdicts:verdicts", without_axes),
    Table("claims", "claims:claims", without_axes),
    Table("coverage", "verdicts:coverage", without_axes),
    Table("beyond", "beyond:beyond", without_axes),
    Table("published", "published:published", with_published),
    Table("comparison", "tables:comparison", without_axes),
    Table("floor", "floor:floor", without_axes),
    Table("ranking", "tables:ranking", without_axes),
    Table("statistics", "statistics:statistics"),
    Table("tests", "statistics:paired_tests", without_axes),
    Table("targets", "targets:targets"),
    Table("profiles", "targets:profiles", compared),
    Table("backends-overall", "backends:backends_overall", without_axes),
    Table("backends", "backends:backends", without_axes),
    Table("numerics", "numerics:numerics", without_axes),
    Table("conclusions", "numerics:conclusions", without_axes),
    Table("stages", "tables:stages"),
    Table("float32-stops", "float32:float32_stops", without_axes),
)
OF_THE_PAPER = ("verdict-counts", "verdicts", "claims", "coverage", "beyond", "ranking", "conclusions")
"""Tables that set the authors' numbers beside ours: they say nothing where no such number is known."""
FIGURES = (
    Figure("overview", "figures.overview:draw_overview", SUMMARY),
    Figure("heat-map", "figures.board:draw_heat_map", SUMMARY, leaderboard),
    Figure("critical-differences", "figures.board:draw_critical_differences", SUMMARY, leaderboard),
    Figure("pareto", "figures.board:draw_pareto", SUMMARY, leaderboard),
    Figure("bands", "figures.board:draw_bands", SUMMARY, leaderboard),
    Figure("choices", "figures.choices:draw_choices", SUMMARY, with_axes),
    Figure("rates", "figures.courses:draw_rates", SUMMARY, over_rules),
    Figure("weights", "figures.courses:draw_weights", SUMMARY, over_rules),
    Figure("profiles-evaluations", "profiles:draw_evaluation_profiles", SUMMARY, compared, "profiles"),
    Figure("profiles-seconds", "profiles:draw_seconds_profiles", SUMMARY, compared, "profiles"),
    Figure("errors", "figures.errors:draw_errors"),
    Figure("losses", "figures.terms:draw_losses"),
    Figure("balance", "figures.terms:draw_balance"),
    Figure("fields", "figures.fields:draw_fields"),
    Figure("residuals", "figures.residuals:draw_residuals"),
    Figure("subdomains", "figures.terms:draw_subdomains", applies=with_groups),
    Figure("targets", "profiles:draw_targets"),
    Figure("trajectories", "profiles:draw_trajectories"),
    Figure("differences", "profiles:draw_differences"),
    Figure("effective-weights", "figures.courses:draw_effective_weights", POINTS, over_entries),
    Figure("lines", "figures.points:draw_lines", POINTS, one_axis),
    Figure("maps", "figures.points:draw_maps", POINTS, more_axes),
    Figure("spreads", "figures.points:draw_spreads", POINTS, more_axes),
)


def table(name: str) -> Table:
    """The table of that name."""
    return next(table for table in TABLES if table.name == name)


def figure(name: str) -> Figure:
    """The figure of that name, or of that name with a number behind it."""
    return next(figure for figure in FIGURES if name == figure.name or _numbered(name, figure))


def _numbered(name: str, figure: Figure) -> bool:
    stem, _, number = name.rpartition("-")
    return figure.source == POINTS and stem == figure.name and number.isdecimal()
