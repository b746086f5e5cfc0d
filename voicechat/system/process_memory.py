"""Memory of this process: how the C library keeps and returns it. Only glibc needs this."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
"""Parameters of mallopt."""
_LARGE_BLOCK = 256 * 1024


def limit_memory() -> None:
    """Let the C library return large blocks at once, and use one heap for all threads (glibc)."""
    _call_glibc("mallopt", _ARENA_MAX, 1)
    _call_glibc("mallopt", _MMAP_THRESHOLD, _LARGE_BLOCK)


def release_memory() -> None:
    """Return freed memory to the system, where the C library keeps it (glibc)."""
    _call_glibc("malloc_trim", 0)


def _call_glibc(function: str, *arguments: int) -> None:
    with suppress(OSError, AttributeError):
        getattr(ctypes.CDLL("libc.so.6"), function)(*arguments)
