"""What a shell may offer at the cursor: names in the catalogue, read as far as they must be and never in doubt.

argcomplete calls these with what is typed so far. What has no completer of its own is completed as a file.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from solvers.plugins import plugin_names

__all__ = ["backends", "experiments", "methods", "names", "offer"]

Completer = Callable[..., list[str]]


def offer(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completion, and end; do nothing otherwise, or where argcomplete is missing."""
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)


def names(kind: str) -> Completer:
    """Completer for the names of the catalogue's files of one kind, ``scales`` say."""

    def found(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        return sorted(path.stem for path in (parsed_args.catalogue / kind).glob("*.yaml"))

    return found


experiments = names("experiments")


def methods(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The methods of the experiment that is typed already, its own and those that experiments share."""
    folder: Path = parsed_args.catalogue
    own = _read(folder / "experiments" / f"{parsed_args.experiment}.yaml").get("methods", {})
    shared = {path.stem: _read(path).get("experiments") for path in (folder / "methods").glob("*.yaml")}
    return sorted({*own, *(name for name, of in shared.items() if of is None or parsed_args.experiment in of)})


def backends(**_: Any) -> list[str]:
    """The backends' names."""
    return plugin_names("solvers.backends")


def _read(path: Path) -> dict[str, Any]:
    """A file's mapping, or nothing: what is wrong with it is said when the command is run."""
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return data if isinstance(data, dict) else {}
