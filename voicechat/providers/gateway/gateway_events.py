"""Normalized events of the AI Gateway, read into the vocabulary.

Most follow the table in `normalized_shapes`. The gateway passes on what the provider behind it
sends, and some providers leave things out: ids of the user's items, the start of a response, the
end of a response that called tools. `GatewayState` fills these gaps. The gateway does not check
frames, so any field may hold anything.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4` (server events), and the
providers' packages, which show what each of them leaves out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from voicechat.core.commands import CommandName, named_in
from voicechat.core.events import (
    AudioDelta,
    Event,
    InputCommitted,
    ItemAdded,
    ItemKind,
    OutputItemAdded,
    ProviderError,
    ResponseDone,
    ResponseStatus,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    Unmapped,
    UsageReported,
    UserTranscript,
)
from voicechat.providers.gateway.normalized_shapes import BY_KIND, EventShape, usage_from
from voicechat.providers.json_fields import (
    Samples,
    as_text,
    base64_bytes,
    fields,
    message,
    text_or_none,
)
from voicechat.providers.openai.openai_frames import ItemState, kind_of, remembered, text_of
from voicechat.providers.openai.openai_refusals import setting_of

Message = dict[str, object]

_MOST_ALIASES = 512


@dataclass(slots=True)
class GatewayState:
    """The state of one connection, bounded: the oldest item is forgotten first."""

    calls_end: bool = False
    """The provider sends no end of a response that called tools, so a call ends it."""
    created: bool = False
    running: str = ""
    """Wire id of the running response; empty if none runs."""
    split: int = 0
    """Times that response was ended by a call; what follows is another response."""
    unnamed: str = ""
    """The user's item that began without an id."""
    items: dict[str, ItemState] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    tag: str = field(default_factory=lambda: secrets.token_hex(3))
    number: int = 0

    def item_state(self, item_id: str) -> ItemState:
        """Return the state of an item; a new one if there is none."""
        return remembered(self.items, item_id)

    def response(self, frame: Message) -> str:
        """Return our id of a frame's response."""
        wire_id = as_text(frame.get("responseId"))
        if wire_id != self.running:
            self.running, self.split = wire_id, 0
        own = self._own(wire_id)
        return f"{own}+{self.split}" if self.split else own

    def item(self, frame: Message) -> str:
        """Return our id of a frame's item."""
        return self._own(as_text(frame.get("itemId")))

    def _own(self, wire_id: str) -> str:
        # A provider without ids counts them from 1 on every connection.
        return f"{wire_id}_{self.tag}" if self.calls_end and wire_id else wire_id

    def user_item(self, frame: Message) -> str:
        """Return our id of a frame's user item; an item that began without an id gets one now."""
        known = self.item(frame)
        if not known:
            if not self.unnamed:
                self.number += 1
                self.unnamed = f"user_{self.tag}_{self.number}"
            return self.unnamed
        if self.unnamed and known not in self.items and known not in self.aliases:
            if len(self.aliases) >= _MOST_ALIASES:
                del self.aliases[next(iter(self.aliases))]
            self.aliases[known], self.unnamed = self.unnamed, ""
        return self.aliases.get(known, known)


def read(state: GatewayState, text: str | bytes) -> list[Event]:
    """Return the events in one frame. An unreadable frame is `Unmapped`."""
    frame = message(text)
    if frame is None:
        return [Unmapped("")]
    kind = as_text(frame.get("type"))
    reader = TABLE.get(kind)
    return [Unmapped(kind)] if reader is None else list(reader(state, frame))


# --------------------------------------------------------------------------- by shape

_USER_EVENTS = (SpeechStarted, SpeechStopped, InputCommitted)


def _by_shape(shape: EventShape, state: GatewayState, frame: Message) -> Iterator[Event]:
    """Read a frame as its shape says; a delta without a complete character gives no event."""
    values: dict[str, object] = {} if shape.spoken is None else {"spoken": shape.spoken}
    if "delta" in shape.fields.values():
        stream = state.item_state(state.item(frame)).stream(shape.kind)
        values["text"] = stream.piece(frame.get("delta"))
        if not values["text"]:
            return
    for attribute, name in shape.fields.items():
        if name == "itemId" and shape.event in _USER_EVENTS:
            values[attribute] = state.user_item(frame)
        elif name != "delta":
            values[attribute] = _value(state, frame, name)
    yield cast("Event", shape.event(**values))


def _value(state: GatewayState, frame: Message, name: str) -> object:
    match name:
        case "responseId":
            return state.response(frame)
        case "itemId":
            return state.item(frame)
        case "previousItemId":
            return text_or_none(frame.get(name))
        case "text" | "transcript":
            text = frame.get(name)
            return as_text(text) if isinstance(text, str) else None
        case _:
            return as_text(frame.get(name))


# --------------------------------------------------------------------------- others


def _created(state: GatewayState, frame: Message) -> Iterator[Event]:
    if state.created:
        yield Unmapped(as_text(frame.get("type")))
        return
    state.created = True
    yield SessionCreated(as_text(frame.get("sessionId")))


def _updated(state: GatewayState, frame: Message) -> Iterator[Event]:
    """Some providers send no `session-created`; the first update stands in for it."""
    if not state.created:
        yield from _created(state, frame)
    yield SessionUpdated()


def _error(state: GatewayState, frame: Message) -> Iterator[Event]:
    code = text_or_none(frame.get("code"))
    text = text_or_none(frame.get("message")) or code
    command = named_in(as_text(frame.get("clientEventId")))
    param = as_text(fields(fields(frame.get("raw")).get("error")).get("param"))
    if command is None and param.startswith("session"):
        command = CommandName.UPDATE_SESSION
    yield ProviderError(
        text or "The provider reported an error without a message.",
        code,
        command=command,
        part=setting_of(param) if command is CommandName.UPDATE_SESSION else None,
    )


def _custom(state: GatewayState, frame: Message) -> Iterator[Event]:
    usage = usage_from(frame.get("usage"))
    yield Unmapped(as_text(frame.get("rawType"))) if usage is None else UsageReported(usage)


def _transcript(state: GatewayState, frame: Message) -> Iterator[Event]:
    """Some providers complete one transcript several times, each time with more of it."""
    item_id = state.user_item(frame)
    known = state.item_state(item_id)
    first, known.transcribed = not known.transcribed, True
    usage = usage_from(frame.get("usage"))
    text = as_text(frame.get("transcript"))
    yield UserTranscript(item_id, text, final=first, replace=True, usage=usage)


def _item_added(state: GatewayState, frame: Message) -> Iterator[Event]:
    item = fields(frame.get("item"))
    item_id = as_text(frame.get("itemId")) or as_text(item.get("id"))
    done = item.get("status") == "completed"
    yield ItemAdded(item_id, kind_of(item), as_text(item.get("role")), text_of(item), done=done)


_STATUSES = {status.value: status for status in ResponseStatus}


def _response_done(state: GatewayState, frame: Message) -> Iterator[Event]:
    status = _STATUSES.get(as_text(frame.get("status")), ResponseStatus.COMPLETED)
    response_id = state.response(frame)
    state.running, state.split = "", 0
    yield ResponseDone(response_id, status, usage=usage_from(frame.get("usage")))


def _output_item_added(state: GatewayState, frame: Message) -> Iterator[Event]:
    item = fields(fields(frame.get("raw")).get("item"))
    yield OutputItemAdded(
        state.response(frame),
        state.item(frame),
        kind_of(item) if item else ItemKind.OTHER,
        text_or_none(item.get("call_id")),
        text_or_none(item.get("name")),
    )


def _audio(state: GatewayState, frame: Message) -> Iterator[Event]:
    item_id = state.item(frame)
    pcm = base64_bytes(frame.get("delta"))
    if pcm is None:
        yield Unmapped(as_text(frame.get("type")), broken=True)
    elif pcm := state.item_state(item_id).samples.setdefault(0, Samples()).piece(pcm):
        yield AudioDelta(state.response(frame), item_id, pcm)


def _call(state: GatewayState, frame: Message) -> Iterator[Event]:
    shape = BY_KIND["function-call-arguments-done"]
    if not (as_text(frame.get("callId")) and as_text(frame.get("name"))):
        yield Unmapped(shape.kind)
        return
    response_id = state.response(frame)
    yield from _by_shape(shape, state, frame)
    if state.calls_end:
        state.split += 1
        yield ResponseDone(response_id)


Reader = Callable[[GatewayState, Message], Iterator[Event]]

TABLE: dict[str, Reader] = {
    **{kind: partial(_by_shape, shape) for kind, shape in BY_KIND.items()},
    "session-created": _created,
    "session-updated": _updated,
    "error": _error,
    "custom": _custom,
    "input-transcription-completed": _transcript,
    "conversation-item-added": _item_added,
    "response-done": _response_done,
    "output-item-added": _output_item_added,
    "audio-delta": _audio,
    "function-call-arguments-done": _call,
}
"""Reader of each normalized event. An event that is missing here is `Unmapped`."""

KNOWN_UNMAPPED = frozenset({
    "content-part-added", "content-part-done",
    "session-started", "session-closed", "session-usage", "audio-chunk", "transcript-fragment",
    "delegation-created", "command-acknowledged",
})  # fmt: skip
"""Events without a meaning here: another event says the same, or sessions are continuous."""
