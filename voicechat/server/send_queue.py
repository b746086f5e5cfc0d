"""Frames on their way to one client: bounded, in order, each with a deadline."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

HELD_BYTES = 512 * 1024
"""Above this, whoever makes frames waits."""
SEND_SECONDS = 2.0
"""A client that takes nothing for so long is given up."""


class SlowClient(Exception):
    """The client did not take a frame within the deadline."""


class Outbox:
    """`put` never waits; `room` waits while too much is held; `drain` sends until cancelled."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._held = 0
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()

    def put(self, frames: Iterable[bytes]) -> None:
        """Queue frames. Makers of many must await `room` now and then: that is the bound."""
        for frame in frames:
            self._frames.append(frame)
            self._held += len(frame)
        if self._frames:
            self._filled.set()
        if self._held > HELD_BYTES:
            self._roomy.clear()

    async def room(self) -> None:
        """Return when the client has taken enough."""
        await self._roomy.wait()

    async def drain(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send what comes in, in order. Raises `SlowClient` after the deadline."""
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
