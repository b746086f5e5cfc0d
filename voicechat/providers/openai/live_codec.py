"""OpenAI Live: one connection's translation between its wire and the vocabulary.

A continuous session (`ContinuousCodec`). The voice delegates tool calls to a backing model
(`LiveBackend`); typed text goes there too, and to the voice as silent context, because the voice
takes no text of the user.

Nothing can be cancelled: an interruption tells the voice to stop, and the rest of its reply is
discarded here.

Sources: OpenAI API reference, `live/sessions`; guides "WebSockets", "Managing GPT-Live sessions"
and "Delegation and tools in GPT-Live".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count

from voicechat.core.commands import (
    COMMAND_NAMES,
    AnswerApproval,
    AppendAudio,
    CancelResponse,
    Command,
    CreateMessage,
    CreateResponse,
    SeedCall,
    SeedResult,
    ToolResult,
    UpdateSession,
)
from voicechat.core.events import Event, ProviderError, SessionEnding, Unmapped, UsageReported
from voicechat.core.items import Usage
from voicechat.core.settings import SessionSettings
from voicechat.errors import Secret
from voicechat.providers.call_messages import CallMessages
from voicechat.providers.json_fields import as_text, encode, fields, number
from voicechat.providers.openai import live_session
from voicechat.providers.openai.continuous_codec import (
    CAPABILITIES,
    ContinuousCodec,
    ContinuousFrame,
)
from voicechat.providers.openai.duplex_turns import DuplexTurns
from voicechat.providers.openai.live_backend import LiveBackend
from voicechat.providers.openai.openai_client_events import LIVE_EVENTS
from voicechat.providers.openai.openai_parts import Message
from voicechat.providers.rest import bearer
from voicechat.system.dial_target import DialTarget

STOP = "The user interrupted you. Stop speaking at once, and wait for the user."


class LiveCodec(ContinuousCodec):
    """One connection. Make a new one for every connection."""

    client_events = LIVE_EVENTS

    def __init__(
        self,
        url: str,
        model: str,
        key: Secret | None = None,
        *,
        provider: str = "openai",
        headers: Callable[[Secret], dict[str, Secret]] = bearer,
        key_variable: str = "OPENAI_API_KEY",
        tag: str | None = None,
    ) -> None:
        """Prepare a connection to `url`; `headers` returns those with the key.

        `tag` becomes part of all ids of this connection.
        """
        super().__init__(
            DialTarget(url, headers(key) if key else {}, key_variable=key_variable),
            replace(CAPABILITIES, input_rates=live_session.RATES, output_rates=live_session.RATES),
            DuplexTurns(tag or secrets.token_hex(3)),
            "session.input_audio.append",
        )
        self._readers |= {
            "session.started": self._started,
            "session.delegation.created": self._delegated,
            "response.event": self._backend_event,
            "session.usage.updated": self._usage,
            "session.paused": self._paused,
        }
        self._model = model
        self._provider = provider
        self._backend = LiveBackend(self._turns)
        self._calls = CallMessages()
        self._settings = SessionSettings()
        self._due: list[Event] = []
        """Events that a command caused; the next frame brings them."""
        self._used = Usage()
        """Running total of the session."""
        self._numbers: Iterator[int] = count(1)

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return the start of the session, which must be the first frame."""
        self._take(settings)
        started = live_session.session_object(self._model, settings)
        return [self._message("session.start", UpdateSession, {"session": started})]

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that this provider does not support."""
        return live_session.unsupported(self._provider, settings)

    def deferred(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that needs a new connection."""
        return [
            f"{name} changes between two turns, with a new connection."
            for name in ("voice", "input_format")
            if self._sent.started and getattr(self._settings, name) != getattr(settings, name)
        ]

    def _take(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._input_format, self._output_format = settings.input_format, settings.output_format
        self._turns.ms_per_byte = settings.output_format.decoded.ms(1)
        self._turns.shows_words = settings.transcription is not None

    # ----------------------------------------------------------------- decoding

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events of the last commands and those in one frame. Never raises."""
        due, self._due = self._due, []
        return [*due, *super().decode(frame)]

    def _delegated(self, frame: ContinuousFrame) -> Iterable[Event]:
        if fields(frame.delegation).get("target") != "responses":
            return [Unmapped(as_text(frame.type))]
        return self._turns.opened()

    def _backend_event(self, frame: ContinuousFrame) -> Iterable[Event]:
        return self._backend.read(as_text(frame.delegation_id), fields(frame.event))

    def _usage(self, frame: ContinuousFrame) -> Iterable[Event]:
        """Read the running total and report what is new."""
        usage = fields(frame.usage)
        total = Usage(
            seconds=max(self._used.seconds, number(usage.get("seconds"))),
            paused_seconds=max(self._used.paused_seconds, number(usage.get("paused_seconds"))),
        )
        before, self._used = self._used, total
        self._reported_s = total.seconds
        if total != before:
            yield UsageReported(
                Usage(
                    seconds=total.seconds - before.seconds,
                    paused_seconds=total.paused_seconds - before.paused_seconds,
                )
            )

    def _paused(self, frame: ContinuousFrame) -> Iterable[Event]:
        yield from self._turns.finish()

    def _closed(self, frame: ContinuousFrame) -> Iterable[Event]:
        yield from self._usage(frame)
        if frame.usage is not None:  # the whole
            self._reported_s = max(self._reported_s, self._sent.seconds)
        yield from super()._closed(frame)
        if frame.reason == "expired":
            yield SessionEnding(0.0)
        elif frame.reason == "content":
            yield ProviderError("The provider's content filter ended the session.", "content")

    # ----------------------------------------------------------------- encoding

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out one command; empty if the wire has no such command.

        Event ids begin with the command's class name, so that an error names its command.
        """
        match command:
            case AppendAudio(pcm):
                return self._append_audio(pcm)
            case UpdateSession(settings):
                return self._update(settings)
            case CreateMessage():
                return self._create(command)
            case CreateResponse() if not command.out_of_band:
                return [self._message("response.create", CreateResponse)]
            case SeedCall() | SeedResult():
                message = self._calls.add(command)
                return self._create(message) if message is not None else []
            case CancelResponse():
                self._due += self._turns.cancel()
                return self._append("instructions", STOP, CancelResponse)
            case ToolResult() | AnswerApproval():
                return self._answer(command)
            case _:
                return []

    def _update(self, settings: SessionSettings) -> list[str | bytes]:
        """Change the backing model; instructions for the voice are added to those it has."""
        before = self._settings
        self.stale = live_session.fixed(before) != live_session.fixed(settings)
        self._settings = settings if not self.stale else before
        self._turns.shows_words = settings.transcription is not None
        changed = live_session.backing_changes(before, settings)
        frames: list[str | bytes] = []
        if changed and not self.stale:
            delegation: Message = {"delegation": {"type": "responses", "responses": changed}}
            update = self._message("session.update", UpdateSession, {"session": delegation})
            frames.append(update)
        if settings.instructions and settings.instructions != before.instructions:
            frames += self._append("instructions", settings.instructions, UpdateSession)
        return frames

    def _create(self, message: CreateMessage) -> list[str | bytes]:
        role = "developer" if message.role == "system" else message.role
        # Parts of a message of the assistant would need ids.
        item: Message = {"type": "message", "role": role, "content": message.text}
        said = _CONTEXT[role].format(message.text)
        return [self._item(CreateMessage, item), *self._append("thinking", said, CreateMessage)]

    def _answer(self, command: ToolResult | AnswerApproval) -> list[str | bytes]:
        if isinstance(command, ToolResult):
            output = {"call_id": command.call_id, "output": command.output}
            return [self._item(ToolResult, {"type": "function_call_output", **output})]
        reply = {"approval_request_id": command.request_id, "approve": command.approve}
        reason = {"reason": command.reason} if command.reason else {}
        item = {"type": "mcp_approval_response", **reply, **reason}
        # The backing model waits for a request after an item.
        return [self._item(AnswerApproval, item), self._message("response.create", AnswerApproval)]

    def _item(self, command: type[Command], item: Message) -> str:
        return self._message("response.item.create", command, {"item": item})

    def _append(self, channel: str, text: str, command: type[Command]) -> list[str | bytes]:
        return [
            self._message(
                f"session.{channel}.append", command, {"content": piece, "delegation_id": None}
            )
            for piece in live_session.appendable(text)
        ]

    def _message(self, kind: str, command: type[Command], said: Message | None = None) -> str:
        event_id = f"{COMMAND_NAMES[command]}-{next(self._numbers)}"
        return encode({"type": kind, "event_id": event_id, **(said or {})})


_CONTEXT = {
    "user": "The user typed: {}",
    "assistant": "You said: {}",
    "developer": "{}",
}
"""A message as context for the voice, by role."""
