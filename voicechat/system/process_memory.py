"""Memory of this process: how the C library keeps and returns it. Only glibc needs this."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1
"""Parameters of mallopt."""
_LARGE_BLOCK, _VERY_LARGE_BLOCK = 256 << 10, 2 << 20
_KEPT = 64 << 20


def limit_memory(*, reuses: bool = False) -> None:
    """Let the C library return large blocks at once, and use one heap for all threads (glibc).

    reuses: keep up to 64 MB, and blocks below 2 MB, until `release_memory`. A model that allocates
    such blocks in each step is twice as fast then.
    """
    _call_glibc("mallopt", _ARENA_MAX, 1)
    _call_glibc("mallopt", _MMAP_THRESHOLD, _VERY_LARGE_BLOCK if reuses else _LARGE_BLOCK)
    if reuses:
        _call_glibc("mallopt", _TRIM_THRESHOLD, _KEPT)


def release_memory() -> None:
    """Return freed memory to the system, where the C library keeps it (glibc)."""
    _call_glibc("malloc_trim", 0)


def _call_glibc(function: str, *arguments: int) -> None:
    with suppress(OSError, AttributeError):
        getattr(ctypes.CDLL("libc.so.6"), function)(*arguments)
