"""The session's line to the audio process: events come over on the loop, in order, bounded.

The audio process is read on a thread of its own. `SoundLine` carries what it says over to the
event loop; when the loop is stalled for long, the oldest events are dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from voicechat.audio import messages as sound
from voicechat.audio.process import AudioProcess

MAILBOX = 2_000
"""Events that may wait for the loop, about 30 s of them; the oldest are dropped."""


class AudioLink(Protocol):
    """A link to something that plays and captures sound."""

    def send(self, command: sound.AudioCommand) -> None:
        """Give it a command; returns at once."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


OpenAudio = Callable[[sound.AudioSettings, Callable[[sound.AudioEvent], None]], AudioLink]
"""Opens a link. It calls the callback on the loop for every event, never from inside `send`."""


class SoundLine:
    """An audio process whose events arrive on the event loop."""

    def __init__(
        self, settings: sound.AudioSettings, on_event: Callable[[sound.AudioEvent], None]
    ) -> None:
        """Start the process. Call on the loop; `on_event` is called there for every event."""
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._mailbox: deque[sound.AudioEvent] = deque(maxlen=MAILBOX)
        self._process = AudioProcess(settings, self._deliver)
        self._process.start()

    def send(self, command: sound.AudioCommand) -> None:
        """Give the audio process a command; returns at once."""
        self._process.send(command)

    async def close(self) -> None:
        """End the process; a sound server that hangs does not hold this up."""
        await asyncio.to_thread(self._process.close)

    def _deliver(self, event: sound.AudioEvent) -> None:
        """Called on the reader's thread."""
        idle = not self._mailbox
        self._mailbox.append(event)
        if idle:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        for _ in range(len(self._mailbox)):
            self._on_event(self._mailbox.popleft())
        if self._mailbox:
            self._loop.call_soon(self._empty)
