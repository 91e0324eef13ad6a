"""Damaged checkpoints, and ones that are no state of training though their checksum is right."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save

from solvers.runs import checkpoint
from solvers.runs.checkpoint import Checkpoints
from tests.faults.documents import JUNK, places

__all__ = ["CHANGES", "PROGRESS", "TEXTS_OF_PROGRESS", "changed_states", "damaged_bytes", "signed", "snapshot_of"]


def snapshot_of(folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    with safe_open(Checkpoints(folder, {}).path, framework="np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
        return json.loads(file.metadata()["state"]), arrays


def signed(state: dict, arrays: dict[str, np.ndarray]) -> bytes:
    """A checkpoint with the right checksum."""
    text = json.dumps(state)
    return save(arrays, metadata={"state": text, "sha256": checkpoint._checksum(text, arrays)})


def without(key: str):
    return lambda state, arrays: state["data"].pop(key)


def cut_short(state, arrays):
    arrays["theta"] = arrays["theta"][:-1]


def not_a_vector(state, arrays):
    arrays["theta"] = arrays["theta"][None]


def other_points(state, arrays):
    arrays["points.0"] = np.zeros((3, 2))


def broken_row(state, arrays):
    state["data"]["monitor"]["rows"].append({"iteration": 3})


KEYS = ("monitor", "inside", "exact", "next_stage", "refreshed", "results", "restarts", "generators", "started")
CHANGES = {key: without(key) for key in (*KEYS, "clock")}
CHANGES |= {f.__name__: f for f in (cut_short, not_a_vector, other_points, broken_row)}
CHANGES |= {
    "no-theta": lambda state, arrays: arrays.pop("theta"),
    "stage-99": lambda state, arrays: state["data"].update(next_stage=99),
    "stage-text": lambda state, arrays: state["data"].update(next_stage="first"),
    "results-number": lambda state, arrays: state["data"].update(results=3),
    "no-generators": lambda state, arrays: state["data"].update(generators=[]),
    "data-list": lambda state, arrays: state.update(data=[]),
}

PROGRESS = {
    "host": "elsewhere",
    "pid": 1,
    "iteration": 10,
    "planned_iterations": 100,
    "seconds": 5.0,
    "updated": "2026-01-01T00:00:00+00:00",
}
TEXTS_OF_PROGRESS = [
    json.dumps(PROGRESS | {"seconds": float("nan")}),
    json.dumps(PROGRESS | {"seconds": float("inf")}),
    json.dumps(PROGRESS | {"seconds": -1}),
    json.dumps(PROGRESS | {"iteration": -3}),
    json.dumps(PROGRESS | {"planned_iterations": 10**300}),
    json.dumps(PROGRESS | {"updated": "yesterday"}),
    "[" * 200_000,
    '{"a":' * 200_000,
    "[]",
]
"""Contents of progress.json that no run can have."""


Change = Callable[[dict, dict[str, np.ndarray]], object]


@st.composite
def changed_states(draw: st.DrawFn, state: dict) -> tuple[str, Change]:
    """Junk at a place of a checkpoint's ``state``, whose checksum is then made to fit."""
    path = draw(st.sampled_from(list(places(state))))
    value = draw(st.sampled_from(JUNK))

    def change(state: dict, _: dict[str, np.ndarray]) -> None:
        *outer, last = path
        inner = state
        for part in outer:
            inner = inner[part]
        inner[last] = value

    return f"junk at {'.'.join(map(str, path))}: {value!r:.30}", change


def damaged_bytes() -> st.SearchStrategy[tuple[str, Callable[[bytes], bytes]]]:
    """A bit turned, or the end lost, at some part of a file."""

    def made(part: float, bit: int, cut: bool) -> tuple[str, Callable[[bytes], bytes]]:
        def damage(content: bytes) -> bytes:
            place = int(part * (len(content) - 1))
            return content[:place] + (b"" if cut else bytes([content[place] ^ bit]) + content[place + 1 :])

        return f"{'cut' if cut else f'bit {bit} turned'} at {part:.3f}", damage

    return st.builds(made, st.floats(0, 1), st.sampled_from([1, 4, 64, 128]), st.booleans())
