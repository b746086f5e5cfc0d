"""OpenAI Realtime: one connection's translation between its wire and the vocabulary.

Servers that speak the same wire with an accent are dialects: what they cannot do and how they
want their settings written is data in a `Dialect`. Reading is the same for all of them.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from voicechat.core.events import (
    AppendAudio,
    Command,
    CreateResponse,
    Event,
    ProviderError,
    UpdateSession,
)
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.errors import Secret
from voicechat.providers import g711, openai_events
from voicechat.providers.codec import Endpoint
from voicechat.providers.openai_frames import Memory
from voicechat.providers.openai_session import WRITERS, Message, changes, session_object
from voicechat.providers.wire import encode


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server of the family differs from OpenAI itself."""

    capabilities: Capabilities = field(default_factory=Capabilities)
    session: Callable[[SessionSettings], Message] = session_object
    """Settings as the session object of `session.update`."""
    headers: Callable[[Secret], dict[str, Secret]] = field(
        default=lambda key: {"Authorization": Secret(f"Bearer {key.reveal()}")}
    )
    """How the key is shown to the server."""


GENERAL = Dialect()
"""OpenAI Realtime as generally available, the embedded voice and most compatible servers."""


class OpenAICodec:
    """One connection. Make a new one for every connection."""

    def __init__(self, url: str, key: Secret | None = None, dialect: Dialect = GENERAL) -> None:
        """`url` is a complete ws(s) address with its query; without a key none is sent."""
        self.capabilities = dialect.capabilities
        self._dialect = dialect
        self._endpoint = Endpoint(url, dialect.headers(key) if key else {})
        self._memory = Memory()
        self._input = SessionSettings().input_format
        self._session: Message = {}
        self._numbers: Iterator[int] = count(1)

    def endpoint(self) -> Endpoint:
        """Where and how to dial."""
        return self._endpoint

    def opening(self, settings: SessionSettings) -> list[str | bytes]:
        """Nothing: the server speaks first, then `UpdateSession` carries the settings."""
        return []

    def decode(self, frame: str | bytes) -> list[Event]:
        """The events in one frame. Never raises: a frame that cannot be read is `Unmapped`."""
        events = openai_events.read(self._memory, frame)
        for event in events:
            if isinstance(event, ProviderError) and event.command == UpdateSession.__name__:
                # Nothing is known of the session any more: the next update says everything.
                self._session = {}
        return events

    def encode(self, command: Command) -> list[str | bytes]:
        """The one frame that carries out the command.

        Its event id begins with the command's class name, so that an error can tell which
        command it is about. Sound has no event id; nothing is ever said of one block.
        """
        if isinstance(command, AppendAudio):
            return [self._append(command.pcm)]
        if isinstance(command, UpdateSession):
            return [self._message(command, "session.update", self._update(command.settings))]
        if isinstance(command, CreateResponse) and command.out_of_band:
            self._memory.apart_asked = True
        wire_type, write = WRITERS[type(command)]
        return [self._message(command, wire_type, write(command))]

    def _append(self, pcm: bytes) -> str:
        if self._input.encoding != "pcm16":
            pcm = g711.from_pcm16(pcm, self._input.encoding)
        sound = b2a_base64(pcm, newline=False).decode("ascii")
        return f'{{"type":"input_audio_buffer.append","audio":"{sound}"}}'

    def _update(self, settings: SessionSettings) -> Message:
        before, self._session = self._session, self._dialect.session(settings)
        self._input = settings.input_format
        self._memory.output = settings.output_format.encoding
        return {"session": changes(before, self._session)}

    def _message(self, command: Command, wire_type: str, said: Message) -> str:
        event_id = f"{type(command).__name__}-{next(self._numbers)}"
        return encode({"type": wire_type, "event_id": event_id, **said})
