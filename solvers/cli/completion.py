"""``completion``: what a shell reads to complete this command line."""

import argparse

from solvers.cli.parser import PACKAGE
from solvers.configuration.strict_yaml import ConfigurationError

__all__ = ["execute"]


def execute(options: argparse.Namespace) -> int:
    """Print it, in the language of the shell."""
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        problem = "completion needs argcomplete: pip install argcomplete"
        raise ConfigurationError("environment", "", None, problem) from None
    print(shellcode([PACKAGE], shell=options.shell))
    return 0
