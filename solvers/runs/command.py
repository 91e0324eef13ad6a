"""The command that makes a run, of its specification: in the text that a record has, anything may stand."""

import shlex

from solvers.configuration.spec import RunSpec

__all__ = ["command_line"]


def command_line(spec: RunSpec) -> str:
    """The command that makes this run, for a shell: every word of it is quoted that needs to be."""
    words = ["python", "-m", "solvers", "run", spec.experiment, spec.method]
    for axis in ("backend", "numerics", "scale", "seed"):
        words += [f"--{axis}", str(getattr(spec, axis))]
    for text in spec.overrides:
        words += ["--set", text]
    return shlex.join(words)
