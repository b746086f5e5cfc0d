"""The last lines that a child process printed."""

from __future__ import annotations

from collections import deque

from voicechat.core.text import clean

_PIECE = 65_536
_LONGEST = 2_000


class OutputTail:
    """The last lines a child printed, cleaned: at most 100 of at most 300 characters."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=100)
        self._incomplete = b""

    def feed(self, data: bytes) -> None:
        """Add output as it is read; the last line may be incomplete."""
        *lines, self._incomplete = (self._incomplete + data[-_PIECE:]).split(b"\n")
        self._incomplete = self._incomplete[:_LONGEST]
        for line in lines[-100:]:
            self.add(line)

    def add(self, line: bytes) -> None:
        """Add one whole line."""
        if text := _readable(line):
            self._lines.append(text)

    @property
    def lines(self) -> tuple[str, ...]:
        """The complete lines, oldest first."""
        return tuple(self._lines)

    @property
    def last(self) -> str:
        """The last line, even when it is incomplete; empty when nothing was printed."""
        return _readable(self._incomplete) or (self._lines[-1] if self._lines else "")


def _readable(line: bytes) -> str:
    return clean(line[:_LONGEST].decode("utf-8", "replace")).strip()[:300]
