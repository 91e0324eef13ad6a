"""``python -m workflow.campaign``: make and archive the runs of ``config/campaign.yaml``, those that tell most
first.

It may be stopped at any time (Ctrl-C, SIGTERM, --seconds) and goes on where it was. Runs are archived only if the
code is committed: commit nothing while a run is in progress, and the archive when the campaign has ended.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.paths import ROOT
from solvers.plugins import unknown
from solvers.runs.archive import ARCHIVE
from solvers.runs.progress import duration
from solvers.runs.record import RecordError
from workflow.campaign.expected import Expectation, records_in
from workflow.campaign.plan import Task, left_out, plan_of, read_campaign
from workflow.campaign.work import Conditions, UncommittedError, work

INTERRUPTED = 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workflow.campaign",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be run, and the hours it takes")
    parser.add_argument("--cores", type=int, default=1, help="runs at a time (default: 1)")
    parser.add_argument(
        "--seconds", type=float, help="end after so many seconds, and begin no run that would take longer"
    )
    parser.add_argument("--groups", help="only these groups of the campaign, as a,b")
    parser.add_argument("--results", type=Path, default=Path("results"), help="root of the results")
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help=f"root of the archive (default: {ARCHIVE})")
    parser.add_argument("--catalogue", type=Path, default=ROOT / "config", help="folder with campaign.yaml")
    parser.add_argument("--checkpoint-interval", type=float, help="seconds between checkpoints of a run")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 0 if nothing is left, 130 if it was stopped, 2 for a mistake, else 1."""
    options = _parser().parse_args(arguments)
    try:
        return _campaign(options)
    except (ConfigurationError, RecordError, UncommittedError) as error:
        print(error, file=sys.stderr)
        return 2


def _campaign(options: argparse.Namespace) -> int:
    catalogue = Catalogue(options.catalogue)
    campaign = read_campaign(catalogue)
    if options.groups:
        wanted = options.groups.split(",")
        known = [group.name for group in campaign.groups]
        if wrong := [name for name in wanted if name not in known]:
            raise ConfigurationError("--groups", "", wrong[0], unknown("name", wrong[0], known))
    records = records_in([options.archive, options.results], campaign.scale)
    expected = Expectation(records, catalogue, lambda record: any(r.holds(record) for r in campaign.replace))
    tasks = plan_of(campaign, catalogue, options.archive, expected)
    if options.groups:
        tasks = [task for task in tasks if task.group in wanted]
    if options.dry_run:
        _show(tasks, expected)
        for experiment, method, because in left_out(campaign, catalogue):
            first = campaign.groups[0]
            names = (experiment, method, first.backends[0], first.numerics[0], campaign.scale)
            hours = expected(catalogue.resolve(*names)) / 3600
            print(f"left out: {experiment} {method} ({hours:.1f} hours a run): {because}")
        return 0
    conditions = Conditions(
        options.results,
        options.archive,
        options.cores,
        options.seconds,
        options.checkpoint_interval,
        lambda line: print(line, flush=True),
    )
    worked = work(tasks, expected, conditions)
    to_do = sum(not task.archived for task in tasks)
    left = to_do - len(worked.archived)
    print(
        f"{len(worked.archived)} of {to_do} runs archived ({duration(worked.cpu_seconds)} of CPU), {left} left"
        f" ({len(worked.too_long)} would take longer than the time left, {len(worked.failed)} failed)"
    )
    return INTERRUPTED if worked.stopped else int(left > 0)


def _show(tasks: Sequence[Task], expected: Expectation) -> None:
    """Every run with its expected time, then the sums by group."""
    for task in tasks:
        if not task.archived:
            again = f", again: {task.replaces}" if task.replaces else ""
            print(f"{task.group:<16} {duration(expected(task.spec)):>9}  {task}{again}")
    print(f"\n{'group':<16} {'runs':>5} {'archived':>9} {'to make':>8} {'again':>6} {'expected hours':>15}")
    for group, own in groupby(tasks, lambda task: task.group):
        _sum(group, list(own), expected)
    _sum("all", tasks, expected)


def _sum(name: str, tasks: Sequence[Task], expected: Expectation) -> None:
    left = [task for task in tasks if not task.archived]
    hours = sum(expected(task.spec) for task in left) / 3600
    again = sum(bool(task.replaces) for task in left)
    print(f"{name:<16} {len(tasks):>5} {len(tasks) - len(left):>9} {len(left):>8} {again:>6} {hours:>15.1f}")


if __name__ == "__main__":
    raise SystemExit(main())
