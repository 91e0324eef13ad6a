"""The command line. Each command is a module of this package, imported when it is asked for: what it does not need
is not waited for."""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from solvers.cli.complete import offer
from solvers.cli.mistakes import in_plugin, trace
from solvers.cli.parser import build
from solvers.cli.said import close_output, warn
from solvers.configuration.strict_yaml import ConfigurationError
from solvers.plugins import PluginError
from solvers.runs.files import RecordError

__all__ = ["main"]

INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None, pinned_core: int | None = None) -> int:
    """Run the command line; 2 for a mistake in the configuration, a plug-in that cannot be used, output that
    cannot be written, or a run that cannot be read, archived, merged or written; 1 for a plug-in that fails; 130
    if it is interrupted; else 0, also if the run failed."""
    parser = build()
    offer(parser)
    options = parser.parse_args(arguments)
    options.pinned_core = pinned_core
    try:
        code: int = import_module(f"solvers.cli.{options.command}").execute(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _end("interrupted; a run goes on from its last checkpoint when it is started again", INTERRUPTED)
    except (ConfigurationError, RecordError, PluginError) as error:
        return _tell(error, str(error), 2, options)
    except OSError as error:
        close_output()
        message = f"{error.filename or 'the output'}: cannot be read or written: {error.strerror or error}"
        return _tell(error, message, 2, options)
    except Exception as error:
        place = in_plugin(error)
        if place is None:
            raise
        return _tell(error, f"{place}: {type(error).__name__}: {error}; --debug shows the traceback", 1, options)


def _tell(error: Exception, message: str, code: int, options: argparse.Namespace) -> int:
    if options.debug:
        trace(error)
    return _end(message, code)


def _end(message: str, code: int) -> int:
    """Say why it ends, in one line, where that can be said."""
    warn(message)
    return code
