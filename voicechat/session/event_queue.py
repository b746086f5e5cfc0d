"""The bounded queue between a session and the loop over its events."""

from __future__ import annotations

import asyncio
from collections import deque

from voicechat.errors import VoicechatError
from voicechat.session.client_events import AudioChunk, ClientEvent

LIMIT = 5_000
"""Events that may wait, several minutes of them; then the oldest are dropped."""


class EventQueue:
    """Events in order. When it is full, the oldest event is dropped and counted."""

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
        """Append sound of a message."""
        self.put(AudioChunk(item_id, pcm, rate))

    def drop_audio(self) -> None:
        """Remove the sound that waits: it must not be played any more."""
        self._waiting = deque(e for e in self._waiting if not isinstance(e, AudioChunk))

    def end(self, failure: VoicechatError | None) -> None:
        """The session is over; what waits can still be taken."""
        self.ended, self.failure = True, failure
        self._more.set()

    async def get(self) -> ClientEvent:
        """The next event. Raises the failure of the session, or `StopAsyncIteration` at its end."""
        while not self._waiting:
            if self.ended:
                raise self.failure or StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._waiting.popleft()
