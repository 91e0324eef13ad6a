"""``docs/studies.md``: what the studies have shown whose summaries are kept in ``reports/studies``."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from solvers.configuration.catalogue import Catalogue
from workflow.analysis.choices import choices
from workflow.analysis.entries import ENTRY
from workflow.analysis.leaderboard import ranks
from workflow.analysis.powers import POWERS, powers
from workflow.analysis.subject import mmpinn
from workflow.analysis.summary import axes_of, grouped_by, read_summary
from workflow.page.choices import choices_told
from workflow.page.leaderboard import board_told
from workflow.page.powers import powers_told
from workflow.page.rules import rules_in
from workflow.readme.blocks import markdown, wrapped
from workflow.sweep import REPORTS

__all__ = ["FOLDER", "kept", "studies_block"]

FOLDER = REPORTS / "studies"
SHOWN = 8
"""So many points of the smallest regret stand in the table."""


def kept(root: Path = Path()) -> dict[str, pd.DataFrame]:
    """The summaries that are kept below ``root``, by the study."""
    return {path.stem: read_summary(path) for path in sorted((root / FOLDER).glob("*.csv"))}


def studies_block(catalogue: Catalogue, root: Path = Path()) -> str:
    """A section for each study: its question, its runs, its conclusions by the rules of the tables ``choices`` and
    ``powers``, and these tables in short; what tables that were kept beside the summary say."""
    return "\n\n".join("\n".join(_section(name, own, catalogue, root)) for name, own in kept(root).items())


def _section(name: str, summary: pd.DataFrame, catalogue: Catalogue, root: Path) -> Iterator[str]:
    entry, found = catalogue.study(name), choices(summary, catalogue)
    yield f"## {entry.title}"
    yield ""
    yield wrapped(entry.description)
    yield ""
    minutes = (summary.cpu_seconds.sum() + summary.other_seconds.sum()) / 60
    problems, seeds = summary.experiment.nunique(), summary.groupby(grouped_by(summary)).seed.nunique()
    runs = f"{len(summary)} runs of {problems} problems" if len(summary) > 1 else "one run of one problem"
    yield wrapped(
        f"`snakemake --cores 2 --config study={name}`: {runs} with the budgets of the scale"
        f" {summary.scale.iloc[0]}, over {int(seeds.min())} seed{'s' if seeds.min() > 1 else ''};"
        f" {minutes:.0f} CPU minutes."
        f" A row for each run: [{name}.csv](../{(FOLDER / name).as_posix()}.csv)."
        + (f" More tables: [{name}](../{(FOLDER / name).as_posix()})." if (root / FOLDER / name).is_dir() else "")
    )
    yield ""
    exponents = set(POWERS) <= set(axes_of(summary))
    of_powers = powers(summary, catalogue) if exponents else pd.DataFrame()
    of_runs = sorted((root / FOLDER / name).glob("*.csv"))
    for text in [
        *_board(summary, catalogue),
        *choices_told(found),
        *(powers_told(of_powers) if exponents else []),
        *rules_in(of_runs),
    ]:
        yield wrapped(text, "* ")
    yield ""
    yield markdown(_in_short(found, axes_of(summary)))
    if exponents:
        yield ""
        yield markdown(_problems(of_powers))


def _board(summary: pd.DataFrame, catalogue: Catalogue) -> list[str]:
    """What a leaderboard of entries that are called ``rule+optimizer`` says."""
    if ENTRY not in axes_of(summary):
        return []
    return board_told({"mmpinn": mmpinn(summary, catalogue), "ranks": ranks(summary, catalogue)})


def _in_short(table: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """The points of the smallest regret."""
    rows = [
        {name: row[name] for name in ("numerics", "backend", *axes)}
        | {"regret": f"{row['regret']:.3g}{_between(row['regret, low'], row['regret, high'])}"}
        | {"largest": f"{row['regret, largest']:.3g}", "best on": f"{row['best on']} of {row['problems']}"}
        | {"runs lost": f"{row['lost']} of {row['runs']}"}
        for _, own in table.groupby(["numerics", "backend"], sort=False)
        for row in own.sort_values("regret", kind="stable").head(SHOWN).to_dict("records")
    ]
    return pd.DataFrame(rows)


def _between(low: float, high: float) -> str:
    return f" ({low:.3g} to {high:.3g})" if np.isfinite([low, high]).all() else ""


def _problems(table: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {name: row[name] for name in ("experiment", "numerics", "backend", "best pair")}
        | {"its error": f"{row['its error']:.1e}", "of (1, 1)": f"{row['error of (1, 1)']:.1e}"}
        | {"balancing pair": row["balancing pair"], "over the best": f"{row['balancing over best']:.3g}"}
        | {"failed": f"{row['failed']} of {row['runs']}"}
        for row in table.to_dict("records")
    ]
    return pd.DataFrame(rows)
