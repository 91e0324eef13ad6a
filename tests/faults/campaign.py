"""SIGKILL at random moments to runs, to their supervisors and to Snakemake: is anything lost or different then?
Beside random moments there are chosen ones: the first second of a run, and while a finished run is replaced.

The pipeline runs twice in two copies of the project, once undisturbed. In the other, one process after the
other is killed, and Snakemake started again whenever it has ended, until all results exist and enough kills were
made. A result is the same if its history but for the clock, its weights and its fields are, to the last bit; of a
run whose L-BFGS had to start anew inside a stage, the history up to there.
"""

import argparse
import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from safetensors.numpy import load_file

from solvers.configuration.catalogue import Catalogue
from solvers.runs.command import command_line
from solvers.runs.contents import check_run
from solvers.runs.files import folder_beside
from solvers.runs.record import RecordError, check_files, read_fields, read_history, read_run
from solvers.runs.supervisor import RESTARTS
from tests.conftest import ROOT, copy_project
from tests.pipelines import make_runs
from workflow.sweep import Sweep

__all__ = ["Campaign", "Outcome", "compare", "main"]

KINDS = ("run", "supervisor", "snakemake")
EARLY = """
import os, signal, threading, time
def kill():
    time.sleep({0})
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill, daemon=True).start()
from solvers.cli import main
main()
"""
"""A run that is killed within its first second."""
SWITCHING = """
import os, pathlib, shutil, signal
from solvers.runs import files, record
left = int({0} * 7) + 1
def dying(step):
    def stepped(*arguments, **options):
        global left
        if ".checkpoint/new" in str(arguments):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments, **options)
    return stepped
for module, name in ((os, "replace"), (pathlib.Path, "rename"), (files, "_exchange"), (shutil, "rmtree")):
    setattr(module, name, dying(getattr(module, name)))
from solvers.cli import main
main()
"""
"""A run that is killed before one of the seven steps by which it takes the place of another."""
PATIENCE = 3600.0


@dataclass
class Outcome:
    """What a campaign came to: kills by what was killed and, of workers, by their supervisor; seconds of work that
    each kill of a run undid; and of the results how many there are, were taken up again (and started L-BFGS anew),
    are lost, and are different."""

    kills: Counter[str] = field(default_factory=Counter)
    undone: list[float] = field(default_factory=list)
    workers: Counter[int] = field(default_factory=Counter)
    results: int = 0
    resumed: int = 0
    anew: int = 0
    lost: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        undone = "nothing"
        if self.undone:
            undone = f"median {np.median(self.undone):.2f} s, most {max(self.undone):.2f} s"
        kills = ", ".join(f"{count} of {what}" for what, count in sorted(self.kills.items()))
        resumed = f"resumed {self.resumed} ({self.anew} with L-BFGS anew)"
        results = f"{self.results}, {resumed}, lost {len(self.lost)}, different {len(self.different)}"
        return f"kills {self.kills.total()} ({kills}); work repeated {undone}; results {results}"


@dataclass
class Campaign:
    """A pipeline's configuration, how many kills at random moments, how many in the first second of a run and how
    many while a finished run is replaced, and the seed of all these moments."""

    config: list[str]
    kills: int
    seed: int = 0
    cores: int = 2
    checkpoint_interval: float = 0.5
    shortest_pause: float = 1.0
    longest_pause: float = 8.0
    early: int = 0
    switching: int = 0
    in_one_process: bool = False
    """Whether the undisturbed runs are made in one process, without Snakemake: the same, and soon done if they are
    few and short."""

    def run(self, root: Path) -> Outcome:
        """Both pipelines below ``root``, and the comparison."""
        trees = [root / name for name in ("undisturbed", "disturbed")]
        for tree in trees:
            tree.mkdir(parents=True)
            copy_project(tree, self.checkpoint_interval)
        if self.in_one_process:
            make_runs(trees[0], *self.config, left=0)
        elif self._snakemake(trees[0]).wait() != 0:
            raise RuntimeError(
                f"the undisturbed pipeline failed: {(trees[0] / 'snakemake.log').read_text()[-3000:]}"
            )
        outcome = Outcome()
        draw = random.Random(self.seed)
        while True:
            self._disturbed(trees[1], draw, outcome)
            compare(trees[0] / "results", trees[1] / "results", outcome)
            if outcome.kills.total() >= self.kills:
                break
            for name in ("results", "reports"):  # Snakemake makes nothing anew for a table that is there
                shutil.rmtree(trees[1] / name)

        if self.early or self.switching:
            self._chosen(trees[1], draw, outcome)
            compare(trees[0] / "results", trees[1] / "results", outcome)
        return outcome

    def _chosen(self, tree: Path, draw: random.Random, outcome: Outcome) -> None:
        """Train finished runs anew and kill at chosen moments. A run must be whole after each kill: the old one
        or, behind the switch, the new one."""
        environment = os.environ | {"PYTHONPATH": str(tree)}
        records = sorted((tree / "results").glob("*/*/*/*/*/*/run.json"))
        moments = [("first second", EARLY)] * self.early + [("switch", SWITCHING)] * self.switching
        attacked = {}
        for kind, code in moments:
            folder = draw.choice(records).parent
            command = [*shlex.split(command_line(read_run(folder).spec)), "--quiet"]
            attacked[folder] = command
            killed = [sys.executable, "-c", code.format(draw.random()), *command[3:], "--force"]
            done = subprocess.run(killed, cwd=tree, env=environment, capture_output=True, text=True)
            outcome.kills[kind] += done.returncode == -signal.SIGKILL
            try:
                check_run(folder)
            except RecordError as error:
                outcome.lost.append(f"{kind}: {error}")
            if draw.random() < 0.5:  # the next one finds what this one has left, or it is finished first
                subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=True)
        for command in attacked.values():
            subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=True)

    def _snakemake(self, tree: Path) -> subprocess.Popen:
        environment = os.environ | {
            "PYTHONPATH": str(tree),
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache/jax-tests"),
        }
        # The summary needs every run, and nothing that takes long beside them.
        target = f"reports/{Sweep.from_command_line(Catalogue(), self.config).name}/summary.csv"
        command = ["snakemake", "--cores", str(self.cores), target, "--config", *self.config]
        with (tree / "snakemake.log").open("w") as log:
            return subprocess.Popen(
                command, cwd=tree, env=environment, stdout=log, stderr=log, start_new_session=True, text=True
            )

    def _disturbed(self, tree: Path, draw: random.Random, outcome: Outcome) -> None:
        """Start the pipeline and kill, until it ends well."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            process = self._snakemake(tree)
            while process.poll() is None:
                time.sleep(draw.uniform(self.shortest_pause, self.longest_pause))
                if outcome.kills.total() < self.kills and process.poll() is None:
                    _kill(tree, process.pid, draw, outcome)
            if process.returncode == 0:
                return
            unlock = ["snakemake", "--unlock", "--config", *self.config]
            subprocess.run(unlock, cwd=tree, capture_output=True, env=os.environ | {"PYTHONPATH": str(tree)})
        raise RuntimeError(f"not done after {PATIENCE:g} s: {(tree / 'snakemake.log').read_text()[-3000:]}")


def _kill(tree: Path, main: int, draw: random.Random, outcome: Outcome) -> None:
    """Kill one process of a kind drawn at random, if there is one."""
    kind = draw.choice(KINDS)
    if kind == "snakemake":
        os.kill(main, signal.SIGKILL)
        outcome.kills[kind] += 1
        return
    found = [
        (process, worker) for process in psutil.process_iter() if (worker := _is_run(process, tree)) is not None
    ]
    chosen = [
        process for process, worker in found if worker == (kind == "run") and _may_die(process, worker, outcome)
    ]
    if chosen:
        process = draw.choice(chosen)
        with contextlib.suppress(psutil.Error):
            undone = _undone(process, tree)
            supervisor = process.ppid()
            process.kill()
            outcome.kills[kind] += 1
            outcome.workers[supervisor] += kind == "run"
            outcome.undone.append(undone)


def _may_die(process: psutil.Process, worker: bool, outcome: Outcome) -> bool:
    """A worker more than its supervisor starts again would make the run one that is recorded as killed: right, but
    another result. (Another test is of that.)"""
    with contextlib.suppress(psutil.Error):
        return not worker or outcome.workers[process.ppid()] < RESTARTS
    return False


def _is_run(process: psutil.Process, tree: Path) -> bool | None:
    """Whether a process of this tree's runs is a worker, else its supervisor; ``None`` for other processes."""
    try:
        words = process.cmdline()
        if "solvers" not in words or "run" not in words or Path(process.cwd()) != tree or "-c" in words:
            return None
        parent = process.parent()
        return parent is not None and "solvers" in parent.cmdline() and "-c" not in parent.cmdline()
    except (psutil.Error, OSError):
        return None


def _undone(process: psutil.Process, tree: Path) -> float:
    """Seconds since the run's last checkpoint, or since it started."""
    words = process.cmdline()
    place = words.index("run")

    def option(name: str) -> str:
        return words[words.index(f"--{name}") + 1]

    folder = tree / "results" / option("scale") / words[place + 1] / words[place + 2]
    made = folder / option("backend") / option("numerics") / option("seed")
    state = folder_beside(made) / "state.safetensors"
    saved = state.stat().st_mtime if state.exists() else 0.0
    return time.time() - max(saved, process.create_time())


def compare(expected: Path, found: Path, outcome: Outcome) -> None:
    """Count the results in ``found`` beside those in ``expected``."""
    for path in sorted(expected.glob("*/*/*/*/*/*/run.json")):
        place = path.parent.relative_to(expected)
        outcome.results += 1
        try:
            record = read_run(found / place)
            check_files(found / place, record)
        except RecordError as error:
            outcome.lost.append(str(error))
            continue
        outcome.resumed += bool(record.restarts)
        inexact = [restart.iteration for restart in record.restarts if not restart.exact]
        outcome.anew += bool(inexact)
        same = _same_until(inexact[0]) if inexact else _same
        if not same(path.parent, found / place):
            outcome.different.append(f"{place}: {record.status}, restarts {record.restarts}")


def _same(one: Path, other: Path) -> bool:
    weights = [load_file(folder / "weights.safetensors") for folder in (one, other)]
    fields = [read_fields(folder) for folder in (one, other)]
    records = [json.loads((folder / "run.json").read_text()) for folder in (one, other)]
    equal = all(
        a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)
        for a, b in (weights, fields)
    )
    keys = ("status", "reason", "iterations", "function_evaluations", "last", "best", "terms")
    return equal and _same_until(None)(one, other) and all(records[0][key] == records[1][key] for key in keys)


def _same_until(iteration: int | None) -> Callable[[Path, Path], bool]:
    def same(one: Path, other: Path) -> bool:
        first, second = (read_history(folder).drop(columns="seconds") for folder in (one, other))
        rows = None if iteration is None else int((first.iteration <= iteration).sum())
        return first[:rows].reset_index(drop=True).equals(second[:rows].reset_index(drop=True))

    return same


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign; 1 if a result was lost or is different."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--early", type=int, default=0, help="kills in the first second of a run (default: 0)")
    parser.add_argument("--switching", type=int, default=0, help="kills while a run is replaced (default: 0)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--checkpoint-interval", type=float, default=0.5)
    parser.add_argument("config", nargs="*", default=["scale=smoke", "seeds=1"], help="of the pipeline, key=value")
    options = parser.parse_args(arguments)
    campaign = Campaign(
        options.config,
        options.kills,
        options.seed,
        options.cores,
        options.checkpoint_interval,
        early=options.early,
        switching=options.switching,
    )
    with tempfile.TemporaryDirectory(prefix="faults-") as root:
        outcome = campaign.run(Path(root))
    print(outcome, *outcome.lost, *outcome.different, sep="\n")
    return int(bool(outcome.lost or outcome.different))


if __name__ == "__main__":
    sys.exit(main())
