"""The thread that writes to the terminal, which may take no output for a while."""

from __future__ import annotations

import os
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import IO

from textual.drivers._writer_thread import WriterThread

MAX_PIECES = 1_000
"""Most pieces of output that wait for the terminal; later ones are dropped."""

BEHIND = 20
"""Pieces of output that wait for a terminal that is behind."""

STOP_S = 0.5
"""Longest wait (s) at the end of the app for the terminal to take the rest of the output."""


class TerminalWriter(WriterThread):
    """Textual's thread, but `write` never waits: that would stop the event loop.

    Drawings must not be added while `is_behind`, so that only short commands can be dropped.
    """

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self._queue: Queue[str | None] = Queue(MAX_PIECES)

    def write(self, text: str) -> None:
        """Queue a piece of output."""
        with suppress(Full):
            self._queue.put_nowait(text)

    @property
    def is_behind(self) -> bool:
        """True while too much output waits for the terminal."""
        return self._queue.qsize() >= BEHIND

    @property
    def is_idle(self) -> bool:
        """True if no output waits."""
        return self._queue.empty()

    def run(self) -> None:
        """Write until `stop`. A terminal that is gone takes everything."""
        # Not through the file: its lock, held by a thread that waits, blocks the end of Python.
        descriptor = self._file.fileno()
        while (text := self._queue.get()) is not None:
            rest = memoryview(text.encode("utf-8", "backslashreplace"))
            with suppress(OSError):
                while rest:
                    rest = rest[os.write(descriptor, rest) :]

    def stop(self) -> None:
        """End the thread, within `STOP_S` if the terminal takes no output."""
        with suppress(Empty):
            while self._queue.full():
                self._queue.get_nowait()
        self._queue.put(None)
        self.join(STOP_S)
