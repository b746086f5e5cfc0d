"""The queue of frames to one client: bounded, in order, with a deadline for each frame."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

HELD_BYTES = 512 * 1024
"""Above this size, `room` waits."""
SEND_SECONDS = 2.0
"""Deadline for the client to take one frame."""


class SlowClient(Exception):
    """The client did not take a frame within the deadline."""


class SendQueue:
    """`put` never waits, `room` waits while the queue is full, `drain` sends until canceled."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._held = 0
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()

    def put(self, frames: Iterable[bytes]) -> None:
        """Queue frames. The bound holds only if producers await `room` regularly."""
        for frame in frames:
            self._frames.append(frame)
            self._held += len(frame)
        if self._frames:
            self._filled.set()
        if self._held > HELD_BYTES:
            self._roomy.clear()

    async def room(self) -> None:
        """Wait until the client has taken enough frames."""
        await self._roomy.wait()

    async def drain(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send the queued frames in order. Raises `SlowClient` at the deadline."""
        while True:
            await self._filled.wait()
            while self._frames:
                frame = self._frames.popleft()
                try:
                    async with asyncio.timeout(SEND_SECONDS):
                        await send(frame)
                except TimeoutError as error:
                    raise SlowClient from error
                self._held -= len(frame)
                if self._held <= HELD_BYTES:
                    self._roomy.set()
            self._filled.clear()
