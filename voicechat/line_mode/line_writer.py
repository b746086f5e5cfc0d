"""Output of the line mode, written on a thread: a reader that pauses does not stop the session.

A terminal that takes no output (Ctrl+S), a slow pipe or a slow network then delays only the lines.
At most `MAX_WAITING` characters wait. After that the oldest lines that nothing has read are left
out, and a line says how many. A pipe loses no answer, because each turn waits for `drained`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Iterable
from typing import TextIO

from voicechat.system.text_table import counted

MAX_WAITING = 1 << 20
"""Most characters that wait for the reader."""


class LineWriter:
    """Writes lines to a stream. `write` returns at once; a failed write raises at the next call."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._pieces: deque[str] = deque()
        self._waiting = self._left_out = 0
        self._is_writing = False
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def write(self, text: str) -> None:
        """Queue a text of whole lines."""
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        with self._changed:
            self._raise_failure()
            self._pieces.append(text)
            self._waiting += len(text)
            while self._waiting > MAX_WAITING and len(self._pieces) > 1:
                dropped = self._pieces.popleft()
                self._waiting -= len(dropped)
                self._left_out += dropped.count("\n")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="line writer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def writelines(self, lines: Iterable[str]) -> None:
        """Queue lines."""
        for line in lines:
            self.write(line)

    async def drained(self) -> None:
        """Wait until everything is written. Raises the error of a failed write."""
        written = asyncio.Event()
        with self._changed:
            if self._pieces or self._is_writing:
                self._waiters.append((asyncio.get_running_loop(), written))
            else:
                written.set()
        await written.wait()
        self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                if not self._pieces:
                    self._wake_waiters()
                while not self._pieces:
                    self._changed.wait()
                text = self._next()
                self._is_writing = True
            try:
                self._put(text)
            except Exception as failure:
                with self._changed:
                    self._failure = self._failure or failure
                    self._pieces.clear()
                    self._waiting = 0

    def _next(self) -> str:
        text = self._pieces.popleft()
        self._waiting -= len(text)
        if self._left_out:
            text = f"({counted(self._left_out, 'line')} left out.)\n{text}"
            self._left_out = 0
        return text

    def _put(self, text: str) -> None:
        # Not through the stream: its lock, held by a thread that waits, blocks the end of Python.
        encoding = self._stream.encoding or "utf-8"
        rest = memoryview(text.encode(encoding, "backslashreplace"))
        guarded = getattr(self._stream, "guard", None)
        while rest:
            wanted = (self._descriptor, rest)
            size = guarded(os.write, *wanted) if guarded else os.write(*wanted)  # type: ignore[arg-type]
            if not size:  # the error was dropped
                return
            rest = rest[size:]

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for loop, written in waiters:
            try:
                loop.call_soon_threadsafe(written.set)
            except RuntimeError:  # the loop is closed
                continue


def _descriptor_of(stream: TextIO) -> int | None:
    """Return the file of a stream; None for one in memory, which never waits."""
    try:
        return stream.fileno()
    except (OSError, AttributeError):
        return None
