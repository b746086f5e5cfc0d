"""FIFO of item-tagged sound that spills to a temporary file.

The first five minutes wait in memory, the rest in a file: a provider may send an hour at once, and
nothing is dropped. If no file can be written, everything waits in memory.
"""

from __future__ import annotations

import errno
import sys
import tempfile
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Final


@dataclass(frozen=True, slots=True)
class SoundPiece:
    """Consecutive PCM16 of one item; `last` marks the end of the item."""

    item_id: str
    pcm: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class _Spilled:
    item_id: str
    offset: int
    size: int


class SpillQueue:
    """First in, first out, for a single thread. `close` removes the temporary file."""

    def __init__(self, memory_bytes: int) -> None:
        self._limit = memory_bytes
        self.pieces: Final[deque[SoundPiece | _Spilled]] = deque()
        """Waiting sound, oldest first; to look at only."""
        self._files = ExitStack()
        self._file: IO[bytes] | None = None
        self._end = 0
        self.memory_bytes = 0
        self.spilled_bytes = 0

    def __len__(self) -> int:
        return len(self.pieces)

    def push(self, item_id: str, pcm: bytes) -> None:
        """Append PCM16 of an item."""
        if self.memory_bytes + len(pcm) > self._limit:
            try:
                self._spill(item_id, pcm)
            except OSError:
                self._limit = sys.maxsize
            else:
                return
        self.memory_bytes += len(pcm)
        self.pieces.append(SoundPiece(item_id, pcm))

    def end(self, item_id: str) -> None:
        """Append the end of an item."""
        self.pieces.append(SoundPiece(item_id, b"", last=True))

    def pop(self) -> SoundPiece | None:
        """Remove and return the oldest sound, or None."""
        if not self.pieces:
            return None
        piece = self.pieces.popleft()
        if isinstance(piece, SoundPiece):
            self.memory_bytes -= len(piece.pcm)
            return piece
        return self._unspill(piece)

    def clear(self) -> None:
        """Drop everything."""
        self.pieces.clear()
        self.memory_bytes = self.spilled_bytes = self._end = 0
        if self._file is not None:
            self._file.truncate(0)

    def close(self) -> None:
        """Drop everything and remove the file."""
        self.pieces.clear()
        if self._file is not None:
            self._files.close()
            self._file = None

    def _spill(self, item_id: str, pcm: bytes) -> None:
        if self._file is None:
            spilled = tempfile.TemporaryFile  # closed by `close`
            self._file = self._files.enter_context(spilled(prefix="voicechat-", buffering=0))
        self._file.seek(self._end)
        if self._file.write(pcm) < len(pcm):
            raise OSError(errno.ENOSPC, "no room for sound")
        self.pieces.append(_Spilled(item_id, self._end, len(pcm)))
        self._end += len(pcm)
        self.spilled_bytes += len(pcm)

    def _unspill(self, piece: _Spilled) -> SoundPiece:
        assert self._file is not None
        self._file.seek(piece.offset)
        pcm = self._file.read(piece.size)
        self.spilled_bytes -= piece.size
        if not self.spilled_bytes:
            self._file.truncate(0)
            self._end = 0
        return SoundPiece(piece.item_id, pcm)
