"""Lines of standard input, read by a thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

from voicechat.errors import UsageError

LINE_LIMIT = 1 << 20
"""Bytes of one line of input; a longer one ends the program."""

WAITING_LINES = 64
"""Lines read ahead; then the writer of the pipe waits."""


async def typed_lines(descriptor: int = 0) -> AsyncIterator[str]:
    """The lines of an open file, whatever kind it is, without their ends.

    Raises `UsageError` for a line longer than `LINE_LIMIT`.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    room = threading.BoundedSemaphore(WAITING_LINES)

    def put(line: str | None) -> None:
        room.acquire()
        loop.call_soon_threadsafe(queue.put_nowait, line)

    def read() -> None:
        # Not through sys.stdin: a thread waiting inside it would block the interpreter's end.
        # RuntimeError is the loop gone, which is the end of interest in lines.
        with suppress(RuntimeError):
            rest = b""
            while chunk := _read_some(descriptor):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    put(line.decode("utf-8", "replace").rstrip("\r"))
                if len(rest) > LINE_LIMIT:
                    put(None)
                    return
            if rest:
                put(rest.decode("utf-8", "replace"))
            put("\0")

    threading.Thread(target=read, name="typed-lines", daemon=True).start()
    while (line := await queue.get()) != "\0":
        room.release()
        if line is None:
            raise UsageError("A line of the input is longer than 1 MB.")
        yield line.replace("\0", "\ufffd")


def _read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""  # a terminal that went away
