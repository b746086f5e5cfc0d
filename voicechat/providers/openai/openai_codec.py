"""OpenAI Realtime: one connection's translation between its wire and the vocabulary.

Servers that deviate from OpenAI's wire are dialects: a `Dialect` holds their capabilities, how
they take settings and commands, and how their frames are read.

Sources: OpenAI Realtime API reference, "Client events" and "Server events"; the guides "Realtime
conversations" (which settings a running session keeps) and "Voice activity detection (VAD)".
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

import msgspec

from voicechat.core.commands import (
    COMMAND_NAMES,
    AnswerApproval,
    AppendAudio,
    ClearAudio,
    Command,
    CommandName,
    CommitAudio,
    CreateResponse,
    UpdateSession,
)
from voicechat.core.events import AudioDelta, Event, ProviderError, SessionCreated
from voicechat.core.items import Usage
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.errors import Secret
from voicechat.providers.client_frames import ClientFrame
from voicechat.providers.json_fields import encode
from voicechat.providers.openai import openai_events, openai_responses, openai_session
from voicechat.providers.openai.openai_client_events import GENERAL_EVENTS
from voicechat.providers.openai.openai_events import TABLE, Reader
from voicechat.providers.openai.openai_frames import OpenAIState
from voicechat.providers.openai.openai_parts import Message, changes, no_setting
from voicechat.providers.openai.openai_refusals import refused_part
from voicechat.providers.openai.openai_session import (
    WRITERS,
    ForeignIds,
    Writers,
    session_object,
)
from voicechat.providers.rest import bearer
from voicechat.speech import g711
from voicechat.system.dial_target import DialTarget

HELD = 10_000.0
"""Most milliseconds of audio held until a response ends; then the oldest is dropped."""
_RELEASED = 4
"""Held blocks that are sent with each new one, to catch up without a flood."""
_TYPE_WITHIN = 160
"""Characters at the start of a frame in which servers name its type."""


class _AudioFrame(msgspec.Struct):
    """Frame with audio of an item."""

    type: str
    response_id: str
    item_id: str
    delta: str
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class Dialect:
    """Differences of a server of the family from OpenAI."""

    name: str = "openai"
    """Name of the provider in messages."""
    capabilities: Capabilities = field(
        default_factory=partial(Capabilities, transcription_only=True)
    )
    session: Callable[[SessionSettings], Message] = session_object
    """Writes the session object of `session.update`."""
    update_type: Callable[[SessionSettings], str] = lambda settings: "session.update"
    """Returns the wire type that carries the session object."""
    updates: Callable[[Message, Message], Message] = changes
    """Returns the object that turns the session before into the session after."""
    unsupported: Callable[[str, SessionSettings], list[str]] = openai_session.unsupported
    """Returns a sentence for each setting that `session` cannot carry."""
    headers: Callable[[Secret], dict[str, Secret]] = bearer
    """Returns the headers with the key."""
    writers: Writers = field(default_factory=lambda: WRITERS, repr=False)
    table: Mapping[str, Reader] = field(default_factory=lambda: TABLE, repr=False)
    fixed: tuple[str, ...] = ("purpose", "tracing", "voice")
    """Settings that a running session cannot change: a purpose ever, tracing once it is on, a voice
    once it has spoken."""
    half_duplex: bool = False
    """Without turn detection, audio sent during a response would abort it."""
    verbatim: Callable[[str], Message] | None = None
    """Returns the item that makes the server speak a text; None if it has no such item."""
    clears_first: bool = False
    """Without turn detection, a response needs a change of the input buffer before it."""
    key_variable: str = ""
    """Environment variable that may hold the key; for messages."""
    recognize: Callable[[Message], Dialect] | None = None
    """Returns the dialect of the server that announced this session object."""
    adapt: Callable[[SessionSettings, Message], SessionSettings] = lambda settings, announced: (
        settings
    )
    """Returns the settings to request from a server that announced this session object."""
    first_update: Callable[[Message, Message], Message] = lambda announced, session: session
    """Returns the part of the first session object that differs from the announced one."""
    short_ids: bool = True
    """The server refuses long ids of items and calls."""
    client_events: tuple[ClientFrame, ...] = GENERAL_EVENTS
    """Client events that a user can write."""
    bills_connection: bool = False
    """The server bills the time of the connection, and reports a running total with its answers."""
    prompt: Message | None = None
    """A frame for a server that waits for one before it opens a session."""


GENERAL = Dialect()
"""The GA wire of OpenAI, which most compatible servers have."""


class OpenAICodec:
    """One connection. Make a new one for every connection."""

    def __init__(self, url: str, key: Secret | None = None, dialect: Dialect = GENERAL) -> None:
        """Prepare a connection to `url`, a complete ws(s) address with its query."""
        self.capabilities = dialect.capabilities
        self.stale = False
        self._dialect = dialect
        headers = dialect.headers(key) if key else {}
        self._endpoint = DialTarget(url, headers, key_variable=dialect.key_variable)
        self._state = OpenAIState()
        self._input = SessionSettings().input_format
        self._session: Message = {}
        """The session object that the server has; empty if that is unknown."""
        self._requested: Message = {}
        """The whole session object of the latest update."""
        self._settings: SessionSettings | None = None
        self._numbers: Iterator[int] = count(1)
        self._audio_types = frozenset(
            kind for kind, read in dialect.table.items() if read is openai_responses.audio_delta
        )
        self._latest: AudioDelta | None = None
        self._ids = ForeignIds()
        self._held: deque[str] = deque()
        self._held_ms = 0.0

    @property
    def client_events(self) -> tuple[ClientFrame, ...]:
        """Client event types of the server's wire."""
        return self._dialect.client_events

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return self._dialect.name

    def endpoint(self) -> DialTarget:
        """Return where and how to dial."""
        return self._endpoint

    def redirect(self, endpoint: DialTarget) -> None:
        """Dial this target instead, with a short-lived token."""
        self._endpoint = endpoint

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return nothing: the server sends the first frame, then `UpdateSession` the settings."""
        return []

    def prompting(self) -> list[str | bytes]:
        """Return the frames for a server that is silent after it accepted the connection."""
        return [] if self._dialect.prompt is None else [encode(self._dialect.prompt)]

    def unreported(self, connected_s: float) -> Usage:
        """Return the billed time of the connection that no event has reported."""
        if not self._dialect.bills_connection or self._state.announced is None:
            return Usage()
        return Usage(seconds=max(0.0, connected_s - self._state.billed_seconds))

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame. Never raises: an unreadable frame is `Unmapped`."""
        if isinstance(frame, str) and (delta := self._more_audio(frame)) is not None:
            return [delta]
        events = openai_events.read(self._state, frame, self._dialect.table)
        for at, event in enumerate(events):
            if isinstance(event, AudioDelta):
                self._latest = event
            if isinstance(event, SessionCreated) and self._dialect.recognize is not None:
                self._dialect = self._dialect.recognize(dict(self._state.announced or {}))
                self.capabilities = self._dialect.capabilities
            if isinstance(event, ProviderError) and event.command is not CommandName.UPDATE_SESSION:
                events[at] = replace(event, part=None)
            elif isinstance(event, ProviderError):
                # The state of the session is unknown now, so the next update sends all of it.
                self._session = {}
                self._state.updates -= bool(self._state.updates and not event.partial)
                events[at] = replace(event, part=refused_part(event.part or "", self._requested))
        return self._ids.incoming(events)

    def _more_audio(self, frame: str) -> AudioDelta | None:
        """Read whole PCM16 samples that continue the latest delta; None for any other frame.

        Audio is the most frequent frame. Its ids equal clean ones, so they need no cleaning.
        """
        latest = self._latest
        if latest is None or 'audio.delta"' not in frame[:_TYPE_WITHIN]:
            return None
        try:
            read = msgspec.json.decode(frame, type=_AudioFrame)
            pcm = a2b_base64(read.delta, strict_mode=True)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        place = (read.response_id, read.item_id, read.content_index)
        if read.type not in self._audio_types or not pcm or len(pcm) % 2:
            return None
        if place != (latest.response_id, latest.item_id, latest.content_index):
            return None
        item = self._state.items.get(read.item_id)
        samples = item.samples.get(read.content_index) if item else None
        if self._state.output != "pcm16" or samples is None or samples.odd:
            return None
        return AudioDelta(*place[:2], pcm, read.content_index)

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that this provider does not support."""
        found = self._dialect.unsupported(self._dialect.name, settings)
        speed, taken = settings.speed, self._speed(settings)
        if speed != taken:
            found.append(no_setting(self.provider, f"speed {speed:g}", f"{taken:g} is used"))
        return found

    def _speed(self, settings: SessionSettings) -> float | None:
        """The requested speed, clipped to the provider's range."""
        if settings.speed is None or self.capabilities.speed_range is None:
            return settings.speed
        slowest, fastest = self.capabilities.speed_range
        return min(fastest, max(slowest, settings.speed))

    def deferred(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that takes effect in the next session only."""
        return [f"{name} changes with the next session only." for name in self._kept(settings)]

    def _kept(self, settings: SessionSettings) -> dict[str, object]:
        """Return the fields that the running session cannot change, with their present values."""
        before = self._settings
        if before is None:
            return {}
        is_fixed = {
            "purpose": True,
            "tracing": before.tracing is not None,
            "voice": self._state.spoke,
        }
        return {
            name: getattr(before, name)
            for name in self._dialect.fixed
            if is_fixed[name] and getattr(before, name) != getattr(settings, name)
        }

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out the command; none if the wire has no such command.

        Event ids begin with the command's class name, so that an error names its command. Audio
        has no event ids: no error refers to a single block.
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
        if command.verbatim is not None and self._dialect.verbatim is not None:
            item = self._dialect.verbatim(command.verbatim)
            return [self._message(command, "conversation.item.create", {"item": item})]
        if command.out_of_band:
            if not self.capabilities.out_of_band:
                return []
            self._state.out_of_band_requested = True
        before: list[str | bytes] = []
        if self._dialect.clears_first and self._state.manual:
            before = self.encode(ClearAudio())
        return [*before, *self._plain(command)]

    def _plain(self, command: Command) -> list[str | bytes]:
        name = COMMAND_NAMES[type(command)]
        if type(command) not in self._dialect.writers or name in self._state.refused:
            return []
        if self._dialect.short_ids:
            command = self._ids.outgoing(command)
        wire_type, write = self._dialect.writers[type(command)]
        return [self._message(command, wire_type, write(command))]

    def _append(self, pcm: bytes) -> list[str | bytes]:
        size = len(pcm)
        if self._input.encoding != "pcm16":
            pcm = g711.from_pcm16(pcm, self._input.encoding)
        sound = b2a_base64(pcm, newline=False).decode("ascii")
        frame = f'{{"type":"input_audio_buffer.append","audio":"{sound}"}}'
        state = self._state
        waits = self._dialect.half_duplex and state.manual and state.running
        if not waits and not self._held:
            return [frame]
        self._held.append(frame)
        if not waits:
            return self._release(_RELEASED)
        if self._held_ms >= HELD:
            self._held.popleft()
        else:
            self._held_ms += self._input.decoded.ms(size)
        return []

    def _release(self, blocks: int) -> list[str | bytes]:
        released: list[str | bytes] = [
            self._held.popleft() for _ in range(min(blocks, len(self._held)))
        ]
        if not self._held:
            self._held_ms = 0.0
        return released

    def _update(self, settings: SessionSettings) -> Message:
        # The server refuses a whole update if one of its settings cannot change.
        settings = replace(settings, **self._kept(settings))  # type: ignore[arg-type]
        is_first, self._settings = self._settings is None, settings
        announced = dict(self._state.announced or {})
        asked = self._dialect.adapt(replace(settings, speed=self._speed(settings)), announced)
        before, self._session = self._session, self._dialect.session(asked)
        self._requested = self._session
        self._input = settings.input_format
        self._state.output = settings.output_format.encoding
        self._state.manual = settings.turn_detection is None
        self._state.updates += 1
        update = self._dialect.updates(before, self._session)
        return {"session": self._dialect.first_update(announced, update) if is_first else update}

    def _message(self, command: Command, wire_type: str, said: Message) -> str:
        event_id = f"{COMMAND_NAMES[type(command)]}-{next(self._numbers)}"
        return encode({"type": wire_type, "event_id": event_id, **said})
