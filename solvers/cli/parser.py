"""All commands and their arguments, with a help for each. Imports of the suite only what costs next to nothing, so
that ``--help``, ``--version`` and a shell's completion answer at once."""

import argparse
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from solvers.cli import complete
from solvers.paths import ROOT
from solvers.plugins import unknown

__all__ = ["COMMANDS", "build"]

COMMANDS = ("run", "floor", "list", "show", "compare", "status", "archive", "merge", "schema", "completion")
"""Each is a module of this package with a function ``execute``."""
PACKAGE = "mmpinn-bench"
RESULTS = Path("results")
RUN_HELP = "a run's folder, or its place without the root, such as paper/heat-0.3/pinn/jax/paper/0"


class _Parser(argparse.ArgumentParser):
    """One that asks whether another name was meant. (Python does from 3.14 on.)"""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        names = list(action.choices or ())
        if names and value not in names:
            raise argparse.ArgumentError(action, unknown(f"name {value!r:.60}", value, names))

    def error(self, message: str) -> NoReturn:
        """What is wrong, and where to read more: no usage of many lines in between."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def build() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    called = Path(sys.argv[0]).stem
    parser = _Parser(
        prog=PACKAGE if called == PACKAGE else "python -m solvers",
        description="Make one run, or say what is known of runs. The pipeline (snakemake) makes sweeps of them,"
        " with tables, figures and a page.",
        epilog="Results go to standard output, progress and messages to standard error.",
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument(
        "--catalogue",
        type=Path,
        default=ROOT / "config",
        metavar="FOLDER",
        help="folder of experiments, methods, numerics, scales, studies (default: config of the project)",
    )
    _debug(parser, default=False)
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help="what to do; COMMAND --help has its arguments:"
    )
    for add in (_run, _floor, _list, _show, _compare, _status, _archive, _merge, _schema, _completion):
        _debug(add(commands), default=argparse.SUPPRESS)
    return parser


def _version() -> str:
    try:
        return f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:
        return f"{PACKAGE}, not installed: the files in {ROOT}"


def _debug(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show the traceback of a mistake, not one line alone"
    )


def _complete(action: argparse.Action, names: Any) -> None:
    """What a shell is to offer there, by argcomplete."""
    action.completer = names  # type: ignore[attr-defined]


def _results(parser: argparse.ArgumentParser, option: str = "--results") -> None:
    parser.add_argument(
        option,
        type=Path,
        default=RESULTS,
        metavar="FOLDER",
        help=f"root of the results (default: {RESULTS})",
    )


def _run(commands: Any) -> argparse.ArgumentParser:
    one = commands.add_parser(
        "run",
        help="train one method on one experiment and write its directory",
        description="Train one method on one experiment. A finished run of the same specification and code that is"
        " there already is taken, and a run that was interrupted goes on from its checkpoint.",
    )
    _complete(one.add_argument("experiment", help="a file of config/experiments: see list"), complete.experiments)
    _complete(one.add_argument("method", help="a method of the experiment: see list EXPERIMENT"), complete.methods)
    backend = one.add_argument("--backend", required=True, metavar="NAME", help="jax or torch")
    _complete(backend, complete.backends)
    numerics = one.add_argument(
        "--numerics", default="paper", metavar="NAME", help="precision and stop rule (default: paper)"
    )
    _complete(numerics, complete.names("numerics"))
    scale = one.add_argument("--scale", default="quick", metavar="NAME", help="how much of it (default: quick)")
    _complete(scale, complete.names("scales"))
    one.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="points and weights are drawn from it (default: 0)",
    )
    one.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change any key of the specification, e.g. problem.epsilon=0.2, levels.0.stages.1.iterations=50,"
        " 'points.residual={strategy: sobol, count: 512}' or optimizers.adam.learning_rate=0.01; repeatable",
    )
    _results(one)
    one.add_argument("--quiet", action="store_true", help="print nothing but what is wrong")
    one.add_argument(
        "--time-limit",
        type=_positive,
        metavar="SECONDS",
        help="end the run after so many seconds; with a longer limit it goes on from there",
    )
    one.add_argument(
        "--checkpoint-interval",
        type=_positive,
        metavar="SECONDS",
        help="seconds between checkpoints inside a stage (default: 60)",
    )
    one.add_argument(
        "--force", action="store_true", help="train anew; a run that is there stays until this one is finished"
    )
    one.add_argument("--give-up", metavar="REASON", help=argparse.SUPPRESS)  # see solvers.runs.supervisor
    return one


def _floor(commands: Any) -> argparse.ArgumentParser:
    one = commands.add_parser(
        "floor",
        help="solve an experiment's problem with a classical solver: the error to compare a network's with",
        description="Solve the problem of an experiment with a classical solver, and write its error and seconds."
        " One of the same specification and code that is there already is taken.",
    )
    _complete(one.add_argument("experiment", help="a file of config/experiments: see list"), complete.experiments)
    _results(one)
    one.add_argument("--force", action="store_true", help="solve anew")
    return one


def _list(commands: Any) -> argparse.ArgumentParser:
    shown = commands.add_parser(
        "list",
        help="show what there is: experiments, methods, plug-ins; or all of one experiment",
        description="Without an experiment: all of them with their methods, and the names of all plug-ins,"
        " numerics, scales and studies. With one: its methods, the authors' errors, and the levels of training.",
    )
    experiment = shown.add_argument("experiment", nargs="?", help="a file of config/experiments")
    _complete(experiment, complete.experiments)
    scale = shown.add_argument(
        "--scale", default="paper", metavar="NAME", help="of the levels' iterations (default: paper)"
    )
    _complete(scale, complete.names("scales"))
    return shown


def _show(commands: Any) -> argparse.ArgumentParser:
    one = commands.add_parser(
        "show",
        help="what a run is: errors, stop reasons, seconds, and the command that makes it again",
        description="What a run is, how it ended, and the command that makes it again.",
    )
    one.add_argument("run", metavar="RUN", help=RUN_HELP)
    _results(one)
    one.add_argument("--json", action="store_true", help="print the whole record, run.json of this schema")
    return one


def _compare(commands: Any) -> argparse.ArgumentParser:
    two = commands.add_parser(
        "compare",
        help="errors of two runs, two folders of runs or two reports side by side, with ratios",
        description="Two runs: errors, counts and seconds side by side, and the keys in which their specifications"
        " differ. Two folders of runs or two reports: medians over seeds, side by side, of what both have. Ratios"
        " are those of the second to the first.",
    )
    what = f"{RUN_HELP}; or a folder of runs, or of a report, such as reports/paper/quick"
    for name in ("first", "second"):
        two.add_argument(name, metavar=name.upper(), help=what)
    _results(two)
    two.add_argument("--csv", action="store_true", help="print comma-separated values, numbers in full")
    return two


def _status(commands: Any) -> argparse.ArgumentParser:
    far = commands.add_parser(
        "status",
        help="how far a study is: runs done, running, failed, left; time left",
        description="How far a study is, as the results on disk say: also while the pipeline runs elsewhere.",
    )
    _complete(
        far.add_argument("--scale", metavar="NAME", help="short for --config scale=NAME"), complete.names("scales")
    )
    far.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="the same as was given to snakemake"
    )
    _results(far)
    far.add_argument("--json", action="store_true", help="counts, seconds left and the state of each run, as JSON")
    return far


def _archive(commands: Any) -> argparse.ArgumentParser:
    kept = commands.add_parser(
        "archive",
        help="check finished runs, thin them and put them into the archive",
        description="Check finished runs, thin them and put them into the archive, under version control. Floors"
        " are put there as they are.",
    )
    kept.add_argument("folders", nargs="+", type=Path, metavar="RUN", help="a run's folder, or a floor's")
    kept.add_argument(
        "--to",
        type=Path,
        default=RESULTS / "archive",
        metavar="FOLDER",
        help=f"root of the archive (default: {RESULTS / 'archive'})",
    )
    kept.add_argument("--replace", action="store_true", help="put a run in the place of one that is there")
    kept.add_argument("--small", action="store_true", help="without weights, with a small history and field")
    return kept


def _merge(commands: Any) -> argparse.ArgumentParser:
    more = commands.add_parser(
        "merge",
        help="copy the finished runs of other results folders into one",
        description="Copy the finished runs of other results folders, of other machines say, into one.",
    )
    more.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="root of other results")
    _results(more, "--into")
    more.add_argument("--keep", choices=("ours", "theirs"), help="which run stays where two differ")
    return more


def _schema(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        "schema", help="print the JSON schema of run.json", description="Print the JSON schema of run.json."
    )
    return parser


def _completion(commands: Any) -> argparse.ArgumentParser:
    shell: argparse.ArgumentParser = commands.add_parser(
        "completion",
        help="print what makes a shell complete commands, options and names",
        description=f'In bash or zsh: eval "$({PACKAGE} completion bash)", there or in the shell\'s start file.'
        f" Then {PACKAGE} is completed, names of experiments and methods too.",
    )
    shell.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that reads it")
    return shell


def _positive(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0 seconds")
    return seconds
