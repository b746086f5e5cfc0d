"""The header of a WAV file with PCM16.

Source: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0".
"""

from __future__ import annotations

import struct
from typing import Final

WAV_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_UNKNOWN_SIZE = 0xFFFF_FFFF


def wav_header(rate: int, size: int | None = None, channels: int = 1) -> bytes:
    """Return the header for `size` bytes of samples at `rate` Hz; None for an unknown length."""
    whole = _UNKNOWN_SIZE if size is None else WAV_HEADER.size - 8 + size
    frame = 2 * channels
    return WAV_HEADER.pack(
        *(b"RIFF", whole, b"WAVE", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 16),
        *(b"data", _UNKNOWN_SIZE if size is None else size),
    )
