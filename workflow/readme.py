"""What README.md says of the archived runs: its tables between markers, and its figures in ``docs``.

``python -m workflow.readme`` makes them anew. A test fails when they differ from what the archive gives.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from solvers import backends
from solvers.configuration import Catalogue
from solvers.record import read_run, sha256
from solvers.spec import RunSpec
from workflow.analysis.figures import draw_overview, read_runs
from workflow.analysis.figures.fields import ERRORS, VALUES, coordinates, error_scale, field_table, show_map
from workflow.analysis.figures.style import panels
from workflow.analysis.summary import AXES, summarise
from workflow.analysis.verdicts import Verdict, verdict_counts, verdicts
from workflow.sweep import Sweep

__all__ = ["FIGURES", "archived", "blocks", "with_blocks", "write_figures"]

ROOT = Path(__file__).resolve().parent.parent
README, FIGURE_FOLDER = "README.md", "docs"
MAPPED = ("helmholtz-1-8", "mmpinn-mff")
DPI = 150
TIMES = "archived: seconds (iterations)"
BLOCK = "<!-- generated: {} -->\n"
END = "<!-- end -->"


def archived() -> pd.DataFrame:
    """The summary of the archived runs at the paper's scale and numerics, in any number of seeds and backends."""
    return summarise(Sweep.from_config({"scale": "paper", "runs": "archive"}).folders())


def blocks(summary: pd.DataFrame, catalogue: Catalogue) -> dict[str, str]:
    """The README's generated parts by name, as Markdown."""
    return {
        "verdicts": f"{_answer(summary, catalogue)}\n\n{_markdown(_verdicts(summary, catalogue))}",
        "durations": f"{_conditions(summary)}\n\n{_markdown(_durations(summary, catalogue))}",
    }


def with_blocks(text: str, parts: Mapping[str, str]) -> str:
    """``text`` with what stands between the markers of each part replaced; ``ValueError`` if one is not there
    exactly once."""
    for name, part in parts.items():
        start = BLOCK.format(name)
        pattern = re.compile(f"(?<={re.escape(start)})(?:(?!<!-- generated).)*?(?={re.escape(END)})", re.S)
        text, found = pattern.subn(lambda _, part=part: f"\n{part}\n\n", text)
        if found != 1:
            raise ValueError(f"{README}: {start.strip()} ... {END}: stands there {found} times, must be once")
    return text


def _markdown(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True)


def _answer(summary: pd.DataFrame, catalogue: Catalogue) -> str:
    """How many of the paper's rows have which verdict, and on how many seeds that rests."""
    lines = []
    for row in verdict_counts(summary, catalogue).to_dict("records"):
        found = ", ".join(f"{row[verdict]} {verdict}" for verdict in Verdict if row[verdict])
        lines.append(
            f"* `{row['backend']}`, {row['conditions']} conditions: {row['rows run']} of the paper's"
            f" {row['rows of the paper']} rows are run: **{found}**."
        )
    lines += [f"* `{name}`: no row yet." for name in backends.names() if name not in set(summary.backend)]
    seeds = summary.groupby(AXES).seed.nunique()
    if alone := int((seeds == 1).sum()):
        lines.append(f"* {alone} of these {len(seeds)} have a single seed, which tells nothing of the spread.")
    return "\n".join(lines)


def _verdicts(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The authors' relative L2 error beside ours, which links to the runs."""
    rows = []
    for row in verdicts(summary, catalogue).to_dict("records"):
        ours = _range([row["minimum"], row["maximum"]], ".2e")
        rows.append(
            {name: row[name] for name in ("experiment", "method", "backend")}
            | {
                "authors": "unknown" if np.isnan(row["authors"]) else f"{row['authors']:.2e}",
                "ours": f"[{ours}]({row['folder']})",
                "seeds": row["seeds"],
                "verdict": _verdict(row["verdict"], row["conditions"]),
            }
        )
    return pd.DataFrame(rows)


def _verdict(verdict: str, conditions: str) -> str:
    return verdict if conditions == "the paper's" else f"{verdict} ({conditions})"


def _range(values: Iterable[float], form: str) -> str:
    """``minimum to maximum``, or the one value that all have."""
    values = list(values)
    return " to ".join(dict.fromkeys(f"{value:{form}}" for value in (min(values), max(values))))


def _conditions(summary: pd.DataFrame) -> str:
    """What the numbers of the durations are."""
    machines = dict.fromkeys(_machine(Path(folder)) for folder in summary.folder)
    return (
        "Iterations that a run takes at most, Adam's and L-BFGS's of all levels together, as configured; and the"
        " seconds of training and the iterations that the archived runs at the paper's scale took, each on one"
        f" core of {'; '.join(machines)}."
    )


def _machine(folder: Path) -> str:
    machine = read_run(folder).provenance.machine
    return f"{machine.processor}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, {machine.device}"


def _durations(summary: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The budget of a run by experiment and scale, the time of those archived, and how many runs make a sweep."""
    scales = sorted(catalogue.names("scales"), key=lambda name: catalogue.scale(name).seeds)
    sweeps = {scale: Sweep.from_config({"scale": scale}, catalogue) for scale in scales}
    rows = []
    for experiment in sweeps[scales[0]].experiments:
        runs = {s: [spec for spec in sweep.specs if spec.experiment == experiment] for s, sweep in sweeps.items()}
        rows.append(
            {"experiment": experiment, "methods": _count(runs[scales[0]])}
            | {f"`{scale}`": _range(map(_budget, specs), ",") for scale, specs in runs.items()}
            | {TIMES: _seconds(summary[summary.experiment == experiment])}
        )
    total = {"experiment": f"all, on {' and '.join(backends.names())}", "methods": _count(sweeps[scales[0]].specs)}
    total |= {f"`{scale}`": _size(sweep) for scale, sweep in sweeps.items()}
    return pd.DataFrame([*rows, total | {TIMES: f"{len(summary)} runs"}])


def _size(sweep: Sweep) -> str:
    seeds = len({spec.seed for spec in sweep.specs})
    return f"{len(sweep.specs)} runs, {seeds} seed{'s' * (seeds > 1)}"


def _count(specs: Iterable[RunSpec]) -> int:
    return len({(spec.experiment, spec.method) for spec in specs})


def _budget(spec: RunSpec) -> int:
    """Iterations of all stages of all levels, if none stops before its limit."""
    return sum(stage["iterations"] for level in spec.model_dump()["levels"] for stage in level["stages"])


def _seconds(runs: pd.DataFrame) -> str:
    """Training seconds and iterations of each method, on each backend."""
    cells = [
        f"{method}, {backend}: {_range(own.training_seconds, '.0f')} ({_range(own.iterations, ',')})"
        for (method, backend), own in runs.groupby(["method", "backend"], sort=False)
    ]
    return "; ".join(cells) or "-"


def draw_map(summary: pd.DataFrame, catalogue: Catalogue) -> tuple[Figure, pd.DataFrame]:
    """Exact solution, prediction and pointwise error of the first archived run of ``MAPPED``."""
    own = summary[(summary.experiment == MAPPED[0]) & (summary.method == MAPPED[1])]
    (run,) = read_runs([Path(own.folder.iloc[0])])
    exact, predicted = (run.fields[name].astype(float) for name in ("exact", "predicted"))
    error, axes = np.abs(predicted - exact), coordinates(run)
    figure, (row,) = panels(1, 3, 2.4)
    values = Normalize(exact.min(), exact.max())
    show_map(row[0], axes, exact, values, VALUES, f"{MAPPED[0]}, exact")
    figure.colorbar(show_map(row[1], axes, predicted, values, VALUES, run.label), ax=row[:2], pad=0.02)
    mesh = show_map(row[2], axes, error, error_scale([error]), ERRORS, "|error|")
    figure.colorbar(mesh, ax=row[2], pad=0.04, extend="min")
    return figure, field_table(axes, {"exact": exact, "predicted": predicted, "error": error})


FIGURES: Mapping[str, Callable[[pd.DataFrame, Catalogue], tuple[Figure, pd.DataFrame]]] = {
    "overview": draw_overview,
    MAPPED[0]: draw_map,
}


def write_figures(folder: Path, summary: pd.DataFrame, catalogue: Catalogue) -> None:
    """Each figure as PNG, the numbers behind it as CSV; the picture names the SHA-256 of its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        figure, table = draw(summary, catalogue)
        numbers = table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
        (folder / f"{name}.csv").write_bytes(numbers)
        told = {"Description": f"numbers: SHA-256 {sha256(numbers)}", "Software": None}
        figure.savefig(folder / f"{name}.png", dpi=DPI, metadata=told)


def main() -> None:
    """Write the figures and the README's generated parts."""
    summary, catalogue = archived(), Catalogue()
    write_figures(ROOT / FIGURE_FOLDER, summary, catalogue)
    readme = ROOT / README
    text = readme.read_text(encoding="utf-8")
    readme.write_text(with_blocks(text, blocks(summary, catalogue)), encoding="utf-8")


if __name__ == "__main__":
    main()
