"""Sound that came faster than it can be played: in order, item-tagged, without a limit in time.

The first five minutes wait in memory, what comes beyond them in a temporary file, so that a
provider may send an hour at once and nothing of it is dropped. Where no file can be written it
all waits in memory.
"""

from __future__ import annotations

import errno
import sys
import tempfile
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive sound of one item. `last` says that the item ends with it."""

    item_id: str
    pcm: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class _Spilled:
    item_id: str
    offset: int
    size: int


class Backlog:
    """First in, first out; used by one thread. `close` removes the temporary file."""

    def __init__(self, memory_bytes: int) -> None:
        self._limit = memory_bytes
        self._pieces: deque[Piece | _Spilled] = deque()
        self._files = ExitStack()
        self._file: IO[bytes] | None = None
        self._end = 0
        self.memory_bytes = 0
        self.spilled_bytes = 0

    def __len__(self) -> int:
        return len(self._pieces)

    def push(self, item_id: str, pcm: bytes) -> None:
        """Queue sound of an item."""
        if self.memory_bytes + len(pcm) > self._limit:
            try:
                self._spill(item_id, pcm)
            except OSError:
                self._limit = sys.maxsize
            else:
                return
        self.memory_bytes += len(pcm)
        self._pieces.append(Piece(item_id, pcm))

    def end(self, item_id: str) -> None:
        """Queue the end of an item."""
        self._pieces.append(Piece(item_id, b"", last=True))

    def pop(self) -> Piece | None:
        """The oldest piece, or None."""
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        if isinstance(piece, Piece):
            self.memory_bytes -= len(piece.pcm)
            return piece
        return self._unspill(piece)

    def clear(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self.memory_bytes = self.spilled_bytes = self._end = 0
        if self._file is not None:
            self._file.truncate(0)

    def close(self) -> None:
        """Forget everything and remove the file."""
        self._pieces.clear()
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
        self._pieces.append(_Spilled(item_id, self._end, len(pcm)))
        self._end += len(pcm)
        self.spilled_bytes += len(pcm)

    def _unspill(self, piece: _Spilled) -> Piece:
        assert self._file is not None
        self._file.seek(piece.offset)
        pcm = self._file.read(piece.size)
        self.spilled_bytes -= piece.size
        if not self.spilled_bytes:
            self._file.truncate(0)
            self._end = 0
        return Piece(piece.item_id, pcm)
