"""A fair share of the event loop: connections that cost much time wait for the others.

Answers to invalid events cost the client nothing, so a client can send them without end. An
allowance covers what clients send in a conversation. Beyond it, each event makes its connection
wait for a multiple of the time that it took, and all such connections wait in one line.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

EVENTS = 256.0
"""Events without sound that a connection may send at once; a client may send its history."""
PER_SECOND = 100.0
"""Events without sound that a connection may send each second from then on."""
OPENINGS = 32.0
"""Connections that a server opens at once."""
OPENINGS_PER_SECOND = 20.0
OPENING_SECONDS = 0.001
"""Cost of a connection."""
MEANINGFUL_MS = 5.0
"""An event with this much sound is free: the audio itself limits the rate."""
_MULTIPLE = 5.0
"""An event beyond the allowance is paid for with this many times its own cost."""
_EVENT_SECONDS = 0.0001
"""Cost of an event outside of the measured part: to receive it, and to send the answer."""
_LEAST_SECONDS = 0.002
"""Shorter waits are added up."""


class Allowance:
    """A number of free events that grows with time, up to a limit. Times are in seconds."""

    def __init__(
        self, limit: float, per_second: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = self._left = limit
        self._per_second = per_second
        self._now = now
        self._since = now()

    def take(self) -> bool:
        """Use up one event; return False if none is left."""
        now = self._now()
        self._left = min(self._limit, self._left + (now - self._since) * self._per_second)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class FairShare:
    """The line of one server, for connections that are beyond their allowance."""

    def __init__(self) -> None:
        self._line = asyncio.Lock()
        self._owed = 0.0

    async def pay(self, seconds: float) -> None:
        """Wait for an event that took this time, in turn with the other connections."""
        self._owed += (seconds + _EVENT_SECONDS) * _MULTIPLE
        async with self._line:
            owed, self._owed = self._owed, 0.0
            if owed >= _LEAST_SECONDS:
                await asyncio.sleep(owed)
            else:
                self._owed += owed
