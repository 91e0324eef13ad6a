"""Files that are whole or not there: written beside their place, then moved into it."""

import os
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, content: bytes, durable: bool = True) -> None:
    """Put ``content`` at ``path`` in one step; if ``durable``, once it is on the disk.

    Raises ``OSError``; the old file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
