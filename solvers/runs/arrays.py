"""Reading the arrays of a run: ``history.parquet``, ``fields.npz``, ``weights.safetensors``.

The files may come from anyone. They are read by parsers that run no code, and what an array will take is read from
the file's header and bounded before it is made.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
from safetensors.numpy import load_file

from solvers.runs.files import MOST_BYTES, RecordError, check_plain

__all__ = ["read_fields", "read_history", "read_weights"]

MOST_ARRAYS = 100
"""Arrays in a file of fields: a problem has a coordinate or a few, a solution and a prediction."""
REALS = ("float32", "float64")
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_history(folder: Path) -> pd.DataFrame:
    """The history of the run in ``folder``, a row for each recorded iterate; :class:`RecordError` if the file is
    missing, damaged, or would take too much memory."""
    path = folder / "history.parquet"
    with _reading(path, "a readable history"), parquet.ParquetFile(path) as file:
        found = file.metadata
        groups = (found.row_group(i).total_byte_size for i in range(found.num_row_groups))
        _check_size(max(sum(groups), 8 * found.num_rows * found.num_columns))
        # What the file says of pandas is left aside: it could make an index of a column.
        return file.read().replace_schema_metadata(None).to_pandas()


def read_fields(folder: Path) -> dict[str, np.ndarray]:
    """Coordinates by name, ``exact`` (or the computed reference) and ``predicted`` of the run in ``folder``;
    :class:`RecordError` as for the history."""
    path = folder / "fields.npz"
    with _reading(path, "readable fields"), zipfile.ZipFile(path) as file:
        entries = file.infolist()
        if len({entry.filename for entry in entries}) < len(entries) or len(entries) > MOST_ARRAYS:
            raise ValueError(f"has {len(entries)} arrays, more than {MOST_ARRAYS} or two of one name")
        _check_size(sum(_bytes_of(file, entry) for entry in entries))
        return {entry.filename.removesuffix(".npy"): _array(file, entry) for entry in entries}


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Parameters of the last and the best iterate and frozen arrays, by name, of the run in ``folder``;
    :class:`RecordError` as for the history. (An array takes what it takes in the file.)"""
    path = folder / "weights.safetensors"
    with _reading(path, "readable weights"):
        found = load_file(path)
        for name, array in found.items():
            _check_real(name, array.dtype)
        return found


@contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    """Make a :class:`RecordError` that names the file of whatever is raised inside.

    A parser raises anything on foreign bytes: RuntimeError for an encrypted archive, zlib's and Arrow's own
    errors, KeyError for an unknown type, MemoryError.
    """
    try:
        check_plain(path)
        yield
    except Exception as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RecordError(f"{path}: not {what}: {cause or type(error).__name__}") from None


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise ValueError(f"would take {size} bytes of memory; at most {MOST_BYTES} are allowed")


def _bytes_of(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """What an array of an archive takes, by its header; ``ValueError`` if it is not one of real numbers."""
    with file.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"{entry.filename}: is an array of NumPy's format {version}, which is not read")
        shape, _, dtype = HEADERS[version](stream)
    _check_real(entry.filename, dtype)
    if min(shape, default=0) < 0:
        raise ValueError(f"{entry.filename}: has shape {shape}")
    return math.prod(shape) * dtype.itemsize


def _array(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with file.open(entry) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_real(name: str, dtype: np.dtype) -> None:
    if dtype.name not in REALS:
        raise ValueError(f"{name}: is of type {dtype}; must be {' or '.join(REALS)}")
