"""Length-prefixed frames on a pipe: a 4-byte big-endian length and a body."""

from __future__ import annotations

import struct
from typing import IO

FRAME_LIMIT = 64 * 1024 * 1024
"""Bytes of one body; a longer frame means that the stream is out of step."""

_HEADER = struct.Struct(">I")


def frame(body: bytes) -> bytes:
    """Prefix a body with its length. Raises ValueError when it exceeds `FRAME_LIMIT`."""
    if len(body) > FRAME_LIMIT:
        raise ValueError("The frame is too large.")
    return _HEADER.pack(len(body)) + body


def read_frame(pipe: IO[bytes]) -> bytes | None:
    """Wait for one frame; None at the end of the stream or when it is out of step."""
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    size = int(_HEADER.unpack(header)[0])
    if size > FRAME_LIMIT:
        return None
    body = pipe.read(size)
    return body if len(body) == size else None


class FrameBuffer:
    """Cuts a stream into frames."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies that this data completes. Raises ValueError when out of step."""
        self._received += data
        bodies: list[bytes] = []
        begin = 0
        while len(self._received) >= begin + _HEADER.size:
            size = int(_HEADER.unpack_from(self._received, begin)[0])
            if size > FRAME_LIMIT:
                raise ValueError("The stream is out of step.")
            end = begin + _HEADER.size + size
            if len(self._received) < end:
                break
            bodies.append(bytes(self._received[begin + _HEADER.size : end]))
            begin = end
        del self._received[:begin]
        return bodies
