"""Lines of standard input, read by a thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

from voicechat.errors import UsageError

LINE_LIMIT = 1 << 20
"""Maximum bytes of a line of input; a longer one ends the program."""

MAX_WAITING_LINES = 64
"""Maximum number of lines that are read in advance; then the writer of the pipe waits."""


async def typed_lines(descriptor: int = 0) -> AsyncIterator[str]:
    """Yield the lines of a file descriptor of any kind, without their line endings.

    Raises `UsageError` for a line longer than `LINE_LIMIT`.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    free_slots = threading.BoundedSemaphore(MAX_WAITING_LINES)

    def put(line: str | None) -> None:
        free_slots.acquire()
        loop.call_soon_threadsafe(queue.put_nowait, line)

    def read() -> None:
        # Not through sys.stdin: a thread that waits in it would block the exit of the interpreter.
        # RuntimeError: the loop is closed.
        with suppress(RuntimeError):
            pending = b""
            while chunk := _read_some(descriptor):
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    put(line.decode("utf-8", "replace").rstrip("\r"))
                if len(pending) > LINE_LIMIT:
                    put(None)
                    return
            if pending:
                put(pending.decode("utf-8", "replace"))
            put("\0")

    threading.Thread(target=read, name="typed-lines", daemon=True).start()
    while (line := await queue.get()) != "\0":
        free_slots.release()
        if line is None:
            raise UsageError("A line of the input is longer than 1 MB.")
        yield line.replace("\0", "\ufffd")


def _read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""  # the terminal was closed
