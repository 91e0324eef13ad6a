"""The C library's allocator, told to keep what is freed.

An eager framework asks for a new array at every operation. glibc hands large arrays back to the system when they
are freed, so that the next one is made of pages that the kernel must clear first: a tenth of an evaluation.
"""

import ctypes
import sys

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, LARGEST = 512 * 2**20, 32 * 2**20


def keep_freed_memory() -> bool:
    """Keep up to 512 MiB of freed memory, and take arrays of up to 32 MiB from it; whether the allocator took it.

    Other allocators than glibc's are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, KEPT)) and bool(mallopt(M_MMAP_THRESHOLD, LARGEST))
