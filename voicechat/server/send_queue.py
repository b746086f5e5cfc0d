"""The queue of frames to one client: bounded, in order, with a deadline for each frame."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

MAX_BYTES = 512 * 1024
"""Above this size, `wait_for_space` waits."""
SEND_SECONDS = 2.0
"""Deadline for the client to take one frame."""


class SlowClient(Exception):
    """The client did not take a frame within the deadline."""


class SendQueue:
    """A queue of frames: `put` never waits, `wait_for_space` waits while the queue is full."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._filled = asyncio.Event()
        self._has_space = asyncio.Event()
        self._has_space.set()

    def put(self, frames: Iterable[bytes]) -> None:
        """Queue frames. The bound holds only if producers await `wait_for_space` regularly."""
        for frame in frames:
            self._frames.append(frame)
            self._size += len(frame)
        if self._frames:
            self._filled.set()
        if self._size > MAX_BYTES:
            self._has_space.clear()

    async def wait_for_space(self) -> None:
        """Wait until the client has taken enough frames."""
        await self._has_space.wait()

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
                self._size -= len(frame)
                if self._size <= MAX_BYTES:
                    self._has_space.set()
            self._filled.clear()
