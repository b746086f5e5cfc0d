"""The session's link to the audio process, and the short path of a microphone block.

A thread reads the audio process. `SoundLine` brings its events to the event loop, in order; when
the loop stalls for long, the oldest events are dropped. `AudioReceiver` sends microphone blocks
straight to the connection and hands everything else to the session.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, Protocol

from voicechat.audio import messages as sound
from voicechat.audio.process import AudioProcess
from voicechat.core.conversation import Conversation
from voicechat.core.inputs import MicBlock
from voicechat.core.text import clean
from voicechat.session.event_stream import Direction, EventStream, RawFrame
from voicechat.session.reconnect import ConnectionLoop

MAILBOX = 2_000
"""Events queued for the loop, about 30 s of them; the oldest are dropped."""


_NAMING = (sound.Opened, sound.Switched, sound.Problem, sound.DigitalSilence)
"""Events that contain names of devices: texts of the hardware and of other programs."""


def cleaned(event: sound.AudioEvent) -> sound.AudioEvent:
    """Return an event whose texts are clean and one line each."""
    texts: dict[str, Any] = {
        field.name: " ".join(clean(value).split())
        for field in fields(event)
        if isinstance(value := getattr(event, field.name), str)
    }
    return replace(event, **texts)


class AudioLink(Protocol):
    """A link to an object that plays and captures audio."""

    def send(self, command: sound.AudioCommand) -> None:
        """Send a command; returns at once."""
        ...

    async def close(self) -> None:
        """Close the link."""
        ...


OpenAudio = Callable[[sound.AudioSettings, Callable[[sound.AudioEvent], None]], AudioLink]
"""Opens a link. It calls the callback on the loop for every event, never inside `send`."""


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
        """Send a command to the audio process; returns at once."""
        self._process.send(command)

    async def close(self) -> None:
        """End the process; a hanging sound server does not delay this."""
        await asyncio.to_thread(self._process.close)

    def _deliver(self, event: sound.AudioEvent) -> None:
        """Queue an event; called on the reader's thread."""
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


class AudioReceiver:
    """Receives the events of the audio process for a session.

    A microphone block comes up to a hundred times a second and changes nothing but what is sent.
    It passes `MicrophoneInput.block`, the codec and the socket, and is published only when a
    subscription wants it.
    """

    def __init__(
        self,
        conversation: Conversation,
        connections: ConnectionLoop,
        stream: EventStream,
        on_event: Callable[[sound.AudioEvent], None],
    ) -> None:
        """`on_event` is called for every event except microphone blocks."""
        self.conversation = conversation
        """The conversation that receives microphone blocks; replaced by each new one."""
        self._connections = connections
        self._stream = stream
        self._on_event = on_event

    def receive(self, event: sound.AudioEvent) -> None:
        """Process an event; call on the loop."""
        if isinstance(event, MicBlock):
            self._send(event)
        elif isinstance(event, _NAMING):
            self._on_event(cleaned(event))
        else:
            self._on_event(event)

    def _send(self, block: MicBlock) -> None:
        # `routes` is empty for a class that no subscription wants.
        if self._stream.routes.get(MicBlock, True):
            self._stream.publish(block, time.monotonic())
        command = self.conversation.microphone.block(block)
        connection, codec = self._connections.connection, self._connections.codec
        if command is None or connection is None or codec is None:
            return
        if not self._connections.outbox.empty():
            self._connections.send(command)  # keep the order
            return
        frames = codec.encode(command)
        if self._stream.routes.get(RawFrame, True):
            self._connections.trace(Direction.SENT, frames)
        for frame in frames:
            connection.send_audio(frame, keep=frame is not frames[-1])
