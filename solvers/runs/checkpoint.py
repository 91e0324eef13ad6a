"""Checkpoints: what a run needs to go on where it was killed, in a hidden folder beside the run's own.

Of a run in ``3`` that is ``.3.checkpoint``. ``state.safetensors`` in it holds arrays and, as JSON in its metadata,
everything else, with a checksum of both. It is written beside its place, brought to the disk and moved into it, so
that a run can be killed at any moment. ``progress.json`` says how far a run is, for whoever looks on.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from solvers.runs.counted import check_counted
from solvers.runs.files import folder_beside, replace_file
from solvers.runs.record import RecordError
from solvers.training.records import Snapshot

try:
    import fcntl
except ImportError:  # not a POSIX system: no lock
    fcntl = None  # type: ignore[assignment]

__all__ = ["INTERVAL", "Checkpoints", "sole_writer"]

INTERVAL = 60.0
"""Seconds between checkpoints; one is also made at the end of each stage."""
PROGRESS_INTERVAL = 2.0
LOCK, ANEW = "lock", "anew"
log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoint of the run in ``folder``.

    ``identity`` is what must be the same for a checkpoint to be used: specification, code, versions, device.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str], interval: float = INTERVAL) -> None:
        self.folder = folder_beside(folder)
        self.path = self.folder / "state.safetensors"
        self.identity, self.interval = dict(identity), interval
        self._saved = self._noted = time.monotonic()

    def load(self) -> Snapshot | None:
        """The state to go on from; ``None``, with a word in the log, if there is none that fits."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="np") as file:
                text, checksum = (file.metadata()[key] for key in ("state", "sha256"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
            if _checksum(text, arrays) != checksum:
                raise ValueError("its checksum differs")
            state = json.loads(text)
            made_by, data = dict(state["identity"]), state["data"]
            check_counted(data)
        except (
            OSError,
            SafetensorError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            log.warning("%s: not a readable checkpoint, not used: %s", self.path, error)
            return None
        for name, wanted in self.identity.items():
            if (was := made_by.get(name)) != wanted:
                log.warning("%s: checkpoint of another %s, not used: %s, now %s", self.path, name, was, wanted)
                return None
        return Snapshot(data, arrays)

    def due(self) -> bool:
        """Whether the interval has passed since the last checkpoint."""
        return time.monotonic() - self._saved >= self.interval

    def save(self, snapshot: Snapshot) -> None:
        """Put ``snapshot`` in the place of the last; a full disk loses the checkpoint, not the run."""
        state = json.dumps({"identity": self.identity, "data": snapshot.data})
        metadata = {"state": state, "sha256": _checksum(state, snapshot.arrays)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, save(dict(snapshot.arrays), metadata=metadata))
        except OSError as error:
            log.warning("%s: no checkpoint written: %s", self.path, error.strerror)
        self._saved = time.monotonic()

    def note(self, iteration: int, planned: int, seconds: float) -> None:
        """Say how far the run is, every two seconds at most."""
        if time.monotonic() - self._noted < PROGRESS_INTERVAL:
            return
        self._noted = time.monotonic()
        said = {
            "iteration": iteration,
            "planned_iterations": planned,
            "seconds": round(seconds, 3),
            "updated": datetime.now(UTC).isoformat(timespec="seconds"),
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self.folder / "progress.json", json.dumps(said).encode(), durable=False)

    def start_anew(self) -> None:
        """Nothing is left to go on from, and a finished run that is there is not taken until one is made."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in (self.path, self.folder / "progress.json"):
                path.unlink(missing_ok=True)
            (self.folder / ANEW).touch()
        except OSError as error:
            raise RecordError(f"{self.folder}: cannot be written: {error.strerror}") from None

    @property
    def anew(self) -> bool:
        """Whether the run is being made though a finished one may be there."""
        return (self.folder / ANEW).exists()

    def clear(self) -> None:
        """Nothing is left to go on from; only the lock of its holder stays."""
        for path in self.folder.glob("*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != LOCK:
                path.unlink(missing_ok=True)


def _checksum(state: str, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the state's text and of names, types, shapes and bytes of all arrays."""
    digest = hashlib.sha256(state.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[bool]:
    """Wait until no other process makes the run in ``folder``; whether one had to be waited for.

    A pipeline that is killed leaves its runs going; started again, it must not write the same files. The lock is
    the system's own, and ends with the process that holds it. Raises :class:`~solvers.runs.record.RecordError` if
    the folder cannot be written: before training, not after it.
    """
    if fcntl is None:
        yield False
        return
    beside = folder_beside(folder)
    waited = False
    while True:
        try:
            beside.mkdir(parents=True, exist_ok=True)
            stream = (beside / LOCK).open("a")
        except FileNotFoundError:
            continue  # its holder has removed the folder meanwhile
        except OSError as error:
            raise RecordError(f"{folder}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("%s: another process is making this run; waiting for it", folder)
            waited = True
            fcntl.flock(stream, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat((beside / LOCK).stat(), os.fstat(stream.fileno())):
                break
        stream.close()  # its holder has removed it meanwhile
    try:
        yield waited
    finally:
        (beside / LOCK).unlink(missing_ok=True)
        stream.close()
        with contextlib.suppress(OSError):  # a checkpoint is left
            beside.rmdir()
