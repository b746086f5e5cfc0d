"""ONNX Runtime sessions that share two cores with sound and screen.

One thread for each session, no spinning, and no arena: an arena keeps 100 MB after a long sentence.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
"""Parameters of mallopt."""
_LARGE_BLOCK = 256 * 1024


def onnx_session(model: str | bytes) -> InferenceSession:
    """Load a model from a path or from its bytes.

    Raises an exception of onnxruntime when the model cannot be loaded.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


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
