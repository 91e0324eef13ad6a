"""Loss terms during training: their values, their weights in the objective, the norms of their gradients."""

import textwrap
from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.analysis.figures.runs import Run, by_panel, lowest_seeds
from workflow.analysis.figures.style import colours, hide_unused, label_ends, legend, note, panels, styles

__all__ = ["draw_balance", "draw_losses", "draw_subdomains"]

TERM = "term."
GROUP = "residual."
Series = Callable[[Run, str], pd.Series]

VALUE: Series = lambda run, term: run.history[f"term.{term}"]  # noqa: E731
BALANCE: dict[str, Series] = {
    "weight": lambda run, term: run.history[f"weight.{term}"],
    "gradient norm": lambda run, term: run.history[f"gradient_norm.{term}"],
    "weight x gradient norm": lambda run, term: (
        run.history[f"weight.{term}"] * run.history[f"gradient_norm.{term}"]
    ),
}


def _terms(run: Run) -> list[str]:
    return [name.removeprefix(TERM) for name in run.history.columns if name.startswith(TERM)]


def _shown(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Runs with a history: all of them, and the lowest seed of each."""
    kept = [run for run in runs if len(run.history)]
    return kept, lowest_seeds(kept)


def _plot(axis: Axes, runs: Sequence[Run], series: Series, hues: dict, lines: dict) -> None:
    """The series of every term, and dashed lines where a level begins."""
    axis.set_yscale("log")
    for run in runs:
        line = lines[run.record.spec.backend]
        for i, term in enumerate(reversed(_terms(run))):  # wider below, so that equal curves are both seen
            look = {"color": hues[term], "linestyle": line, "linewidth": 1 + 0.6 * i, "zorder": 3 - 0.1 * i}
            axis.plot(run.history.iteration, series(run, term), **look)
        starts = run.history.groupby("level").iteration.min()
        for iteration in starts[starts > 0]:
            axis.axvline(iteration, color="0.4", linestyle=line, linewidth=0.7)


def _name_terms(axis: Axes, run: Run, series: Series, hues: dict) -> None:
    """The terms by name at the ends of their lines."""
    label_ends(axis, [(series(run, term).iloc[-1], term, hues[term]) for term in _terms(run)])


def _long(runs: Sequence[Run], quantities: dict[str, Series]) -> pd.DataFrame:
    """A row for each recorded iterate and term."""
    columns = [*(runs[0].axes if runs else ()), "iteration", "level", "term", *quantities]
    tables = [
        run.history[["iteration", "level"]].assign(
            **run.axes, term=term, **{name: series(run, term) for name, series in quantities.items()}
        )
        for run in runs
        for term in _terms(run)
    ]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def draw_losses(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """Raw loss terms against iterations, a panel for each method."""
    kept, shown = _shown(runs)
    grouped = by_panel(shown)
    hues, lines = colours([term for run in shown for term in _terms(run)]), styles(shown)
    columns = 2 if len(grouped) > 1 else 1
    figure, axes = panels(-(-len(grouped) // columns), columns, 2.3, sharey=True)
    for axis, (title, members) in zip(hide_unused(axes, len(grouped)), grouped.items(), strict=True):
        _plot(axis, members, VALUE, hues, lines)
        axis.set_title(title, fontsize="medium")
        axis.set_xlabel("iteration")
    for axis in axes[:, 0]:
        axis.set_ylabel("mean square")
    for axis, members in zip(axes.flat, grouped.values(), strict=False):
        _name_terms(axis, members[0], VALUE, hues)
    legend(figure, {}, lines)
    note(figure, runs, kept, "history")
    return figure, _long(shown, {"mean square": VALUE})


def draw_balance(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """Why a method works: the weight of each term in the gradient of the objective, the norm of the term's own
    gradient, and their product, the pull of the term on the parameters; a row for each method."""
    kept, shown = _shown(runs)
    grouped = by_panel(shown)
    hues, lines = colours([term for run in shown for term in _terms(run)]), styles(shown)
    figure, axes = panels(len(grouped), len(BALANCE), 1.9, sharey="col", sharex="row")
    for axis, name in zip(axes[0], BALANCE, strict=True):
        axis.set_title(name)
    for row, (title, members) in zip(axes, grouped.items(), strict=False):
        for axis, series in zip(row, BALANCE.values(), strict=True):
            _plot(axis, members, series, hues, lines)
        row[0].set_ylabel("\n".join(textwrap.wrap(title, 24)), fontsize="small")
    for axis in axes[-1]:
        axis.set_xlabel("iteration")
    *_, pull = BALANCE.values()
    for axis, members in zip(axes[:, -1], grouped.values(), strict=False):
        _name_terms(axis, members[0], pull, hues)
    legend(figure, {}, lines)
    note(figure, runs, kept, "history")
    return figure, _long(shown, BALANCE)


def draw_subdomains(runs: Sequence[Run]) -> tuple[Figure, pd.DataFrame]:
    """The residual's mean square in each subdomain, of the methods that group their residual; a panel for each."""
    grouped = [run for run in runs if run.record.spec.grouping]
    kept, shown = _shown(grouped)
    names = list(dict.fromkeys(term for run in shown for term in _terms(run) if term.startswith(GROUP)))
    rows = by_panel(shown)
    hues, lines = colours(list(rows)), styles(shown)
    figure, axes = panels(1, len(names), 2.6, sharey=True, sharex=True)
    for axis, name in zip(axes.flat, names, strict=False):
        axis.set_yscale("log")
        axis.set_title(name.removeprefix(GROUP), fontsize="medium")
        axis.set_xlabel("iteration")
        for title, members in rows.items():
            for run in (run for run in members if name in _terms(run)):
                look = {"color": hues[title], "linestyle": lines[run.record.spec.backend]}
                axis.plot(run.history.iteration, VALUE(run, name), **look)
    axes[0, 0].set_ylabel("mean square of the residual")
    legend(figure, hues, lines)
    note(figure, grouped, kept, "history")
    table = _long(shown, {"mean square": VALUE})
    return figure, table[table.term.astype(str).str.startswith(GROUP)]
