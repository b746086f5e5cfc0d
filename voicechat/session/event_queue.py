"""The bounded queue between a session and the loop over its events."""

from __future__ import annotations

import asyncio
from collections import deque

from voicechat.errors import VoicechatError
from voicechat.session.client_events import AudioChunk, ClientEvent

LIMIT = 5_000
"""Largest number of queued events, several minutes of them; then the oldest are dropped."""


class EventQueue:
    """A queue of events. When it is full, the oldest event is dropped and counted."""

    def __init__(self) -> None:
        self.dropped = 0
        """Events dropped so far."""
        self.failure: VoicechatError | None = None
        """The error that ended the session, if one did."""
        self.ended = False
        """No more events will come."""
        self._waiting: deque[ClientEvent] = deque()
        self._more = asyncio.Event()

    def put(self, event: ClientEvent) -> None:
        """Append an event; never waits."""
        if len(self._waiting) >= LIMIT:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(event)
        self._more.set()

    def put_audio(self, item_id: str, pcm: bytes, rate: int) -> None:
        """Append audio of a message."""
        self.put(AudioChunk(item_id, pcm, rate))

    def drop_audio(self) -> None:
        """Remove all queued audio, which must no longer be played."""
        self._waiting = deque(e for e in self._waiting if not isinstance(e, AudioChunk))

    def end(self, failure: VoicechatError | None) -> None:
        """End the queue; queued events can still be read."""
        self.ended, self.failure = True, failure
        self._more.set()

    async def get(self) -> ClientEvent:
        """Return the next event.

        Raises the failure of the session, or `StopAsyncIteration` at its end.
        """
        while not self._waiting:
            if self.ended:
                raise self.failure or StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._waiting.popleft()
