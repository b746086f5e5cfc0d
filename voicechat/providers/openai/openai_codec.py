"""OpenAI Realtime: one connection's translation between its wire and the vocabulary.

Servers that speak the same wire with an accent are dialects: what they cannot do and how they
want their settings written is data in a `Dialect`. Reading is the same for all of them.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

from voicechat.core.commands import (
    AnswerApproval,
    AppendAudio,
    ClearAudio,
    Command,
    CommitAudio,
    CreateResponse,
    UpdateSession,
)
from voicechat.core.events import Event, ProviderError
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.errors import Secret
from voicechat.providers.json_fields import encode
from voicechat.providers.openai import openai_events, openai_session
from voicechat.providers.openai.openai_events import TABLE, Reader
from voicechat.providers.openai.openai_frames import Memory
from voicechat.providers.openai.openai_parts import Message, changes, lacks
from voicechat.providers.openai.openai_session import WRITERS, Writers, session_object
from voicechat.speech import g711
from voicechat.system.dial_target import DialTarget

HELD = 10_000.0
"""Milliseconds of sound that may wait for the end of a reply; then the oldest is dropped."""
_RELEASED = 4
"""Blocks of held sound that go out with each new one: they catch up without a flood."""


def bearer(key: Secret) -> dict[str, Secret]:
    """The key as most servers want it."""
    return {"Authorization": Secret(f"Bearer {key.reveal()}")}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server of the family differs from OpenAI itself."""

    name: str = "openai"
    """What the provider is called in sentences."""
    capabilities: Capabilities = field(
        default_factory=partial(Capabilities, transcription_only=True)
    )
    session: Callable[[SessionSettings], Message] = session_object
    """Settings as the session object of `session.update`."""
    update_type: Callable[[SessionSettings], str] = lambda settings: "session.update"
    """The wire type that carries the session object."""
    updates: Callable[[Message, Message], Message] = changes
    """The object that turns the session before into the session after."""
    unsupported: Callable[[str, SessionSettings], list[str]] = openai_session.unsupported
    """A sentence for each setting that `session` cannot carry."""
    headers: Callable[[Secret], dict[str, Secret]] = bearer
    """How the key is shown to the server."""
    writers: Writers = field(default_factory=lambda: WRITERS, repr=False)
    table: Mapping[str, Reader] = field(default_factory=lambda: TABLE, repr=False)
    fixed: tuple[str, ...] = ("purpose", "tracing", "voice")
    """Settings that a running session keeps: a purpose always, tracing once it is on, a voice once
    it has been heard."""
    half_duplex: bool = False
    """Without turn detection, sound sent during a reply would break it off."""
    clears_first: bool = False
    """Without turn detection, a response is only given after the input buffer was touched."""


GENERAL = Dialect()
"""OpenAI Realtime as generally available and most compatible servers."""


class OpenAICodec:
    """One connection. Make a new one for every connection."""

    def __init__(self, url: str, key: Secret | None = None, dialect: Dialect = GENERAL) -> None:
        """`url` is a complete ws(s) address with its query; without a key none is sent."""
        self.capabilities = dialect.capabilities
        self.stale = False
        self._dialect = dialect
        self._endpoint = DialTarget(url, dialect.headers(key) if key else {})
        self._memory = Memory()
        self._input = SessionSettings().input_format
        self._session: Message = {}
        self._settings: SessionSettings | None = None
        self._numbers: Iterator[int] = count(1)
        self._held: deque[str] = deque()
        self._held_ms = 0.0

    @property
    def provider(self) -> str:
        """What the provider is called."""
        return self._dialect.name

    def endpoint(self) -> DialTarget:
        """Where and how to dial."""
        return self._endpoint

    def admit(self, endpoint: DialTarget) -> None:
        """Dial there instead: the way in with a short-lived token."""
        self._endpoint = endpoint

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Nothing: the server speaks first, then `UpdateSession` carries the settings."""
        return []

    def decode(self, frame: str | bytes) -> list[Event]:
        """The events in one frame. Never raises: a frame that cannot be read is `Unmapped`."""
        events = openai_events.read(self._memory, frame, self._dialect.table)
        for event in events:
            if isinstance(event, ProviderError) and event.command == UpdateSession.__name__:
                # Nothing is known of the session any more: the next update says everything.
                self._session = {}
        return events

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """A sentence for each of these settings that this provider lacks."""
        found = self._dialect.unsupported(self._dialect.name, settings)
        speed, taken = settings.speed, self._speed(settings)
        if speed != taken:
            found.append(lacks(self.provider, f"speed {speed:g}", f"{taken:g} is used"))
        return found

    def _speed(self, settings: SessionSettings) -> float | None:
        """The requested speed, clipped to the provider's range."""
        if settings.speed is None or self.capabilities.speed_range is None:
            return settings.speed
        slowest, fastest = self.capabilities.speed_range
        return min(fastest, max(slowest, settings.speed))

    def later(self, settings: SessionSettings) -> list[str]:
        """A sentence for each of these settings that will only hold for the next session."""
        return [f"{name} will only change with the next session." for name in self._kept(settings)]

    def _kept(self, settings: SessionSettings) -> dict[str, object]:
        """The fields that the running session keeps against these settings, as they are now."""
        before = self._settings
        if before is None:
            return {}
        is_fixed = {
            "purpose": True,
            "tracing": before.tracing is not None,
            "voice": self._memory.spoke,
        }
        return {
            name: getattr(before, name)
            for name in self._dialect.fixed
            if is_fixed[name] and getattr(before, name) != getattr(settings, name)
        }

    def encode(self, command: Command) -> list[str | bytes]:
        """The frames that carry out the command: none if the wire has no such command.

        Their event ids begin with the command's class name, so that an error can tell which
        command it is about. Sound has no event id; nothing is ever said of one block.
        """
        match command:
            case AppendAudio(pcm):
                return self._append(pcm)
            case CommitAudio():
                return [*self._release(len(self._held)), *self._plain(command)]
            case ClearAudio():
                self._release(len(self._held))
                return self._plain(command)
            case UpdateSession(settings):
                wire_type = self._dialect.update_type(settings)
                return [self._message(command, wire_type, self._update(settings))]
            case CreateResponse():
                return self._respond(command)
            case AnswerApproval() if not self.capabilities.remote_tools:
                return []
            case _:
                return self._plain(command)

    def _respond(self, command: CreateResponse) -> list[str | bytes]:
        if command.out_of_band:
            if not self.capabilities.out_of_band:
                return []
            self._memory.apart_asked = True
        before: list[str | bytes] = []
        if self._dialect.clears_first and self._memory.manual:
            before = self.encode(ClearAudio())
        return [*before, *self._plain(command)]

    def _plain(self, command: Command) -> list[str | bytes]:
        if type(command) not in self._dialect.writers:
            return []
        wire_type, write = self._dialect.writers[type(command)]
        return [self._message(command, wire_type, write(command))]

    def _append(self, pcm: bytes) -> list[str | bytes]:
        ms = self._input.decoded.ms(len(pcm))
        if self._input.encoding != "pcm16":
            pcm = g711.from_pcm16(pcm, self._input.encoding)
        sound = b2a_base64(pcm, newline=False).decode("ascii")
        frame = f'{{"type":"input_audio_buffer.append","audio":"{sound}"}}'
        memory = self._memory
        waits = self._dialect.half_duplex and memory.manual and memory.running
        if not waits and not self._held:
            return [frame]
        self._held.append(frame)
        if not waits:
            return self._release(_RELEASED)
        if self._held_ms >= HELD:
            self._held.popleft()
        else:
            self._held_ms += ms
        return []

    def _release(self, blocks: int) -> list[str | bytes]:
        released: list[str | bytes] = [
            self._held.popleft() for _ in range(min(blocks, len(self._held)))
        ]
        if not self._held:
            self._held_ms = 0.0
        return released

    def _update(self, settings: SessionSettings) -> Message:
        # One setting that cannot change any more would make the server refuse all of them.
        settings = replace(settings, **self._kept(settings))  # type: ignore[arg-type]
        self._settings = settings
        asked = replace(settings, speed=self._speed(settings))
        before, self._session = self._session, self._dialect.session(asked)
        self._input = settings.input_format
        self._memory.output = settings.output_format.encoding
        self._memory.manual = settings.turn_detection is None
        return {"session": self._dialect.updates(before, self._session)}

    def _message(self, command: Command, wire_type: str, said: Message) -> str:
        event_id = f"{type(command).__name__}-{next(self._numbers)}"
        return encode({"type": wire_type, "event_id": event_id, **said})
