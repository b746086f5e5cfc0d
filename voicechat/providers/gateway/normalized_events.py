"""Our events written as the normalized model's server events.

Most follow the table in `normalized_shapes`; the others are below. An event without a normalized
one becomes `custom`.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4` (server events).
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping
from typing import Any

from voicechat.core.events import (
    Event,
    ItemAdded,
    ProviderError,
    ResumptionHandle,
    SessionEnding,
    ToolCallsCancelled,
    Unmapped,
    UsageReported,
    UserTranscript,
)
from voicechat.providers.gateway.normalized_shapes import shape_of, usage_to
from voicechat.providers.json_fields import as_text, cleaned, fields, text_or_none
from voicechat.providers.openai.openai_parts import without_none

Message = dict[str, object]


def normalized(event: Event, raw: Message) -> Message:
    """Write an event, with the frame it came from as `raw`."""
    write = _OTHERS.get(type(event), _by_shape)
    return {**(write(event, raw) or _custom(event, raw)), "raw": cleaned(raw)}


def _by_shape(event: Any, raw: Message) -> Message | None:
    shape = shape_of(event)
    if shape is None:
        return None
    values = {
        name: _VALUES.get(attribute, _plain)(getattr(event, attribute), raw)
        for attribute, name in shape.fields.items()
    }
    return {"type": shape.kind, **without_none(values)}


def _plain(value: Any, raw: Message) -> object:
    return value


_VALUES: Mapping[str, Callable[[Any, Message], object]] = {
    "session_id": lambda value, raw: value or None,
    "pcm": lambda value, raw: b2a_base64(value, newline=False).decode("ascii"),
    "status": lambda value, raw: value.value,
    "usage": lambda value, raw: usage_to(value, raw) if value else None,
}
"""How each attribute is written; one that is missing here is written as it is."""


# --------------------------------------------------------------------------- others


def _custom(event: Event, raw: Message) -> Message:
    known = _NAMES.get(type(event))
    name = event.wire_type if isinstance(event, Unmapped) else as_text(raw.get("type")) or known
    usage = getattr(event, "usage", None)
    return {
        "type": "custom",
        "rawType": name or as_text(next(iter(raw), "")),
        **({"usage": usage_to(usage, raw)} if usage is not None else {}),
    }


_NAMES: Mapping[type[Event], str] = {
    UsageReported: "usageMetadata",
    ResumptionHandle: "sessionResumptionUpdate",
    SessionEnding: "goAway",
    ToolCallsCancelled: "toolCallCancellation",
    UserTranscript: "inputTranscription",
}
"""The `rawType` of events of a wire whose frames have no type (Gemini Live)."""


def _item_added(event: ItemAdded, raw: Message) -> Message | None:
    if raw.get("type") == "conversation.item.done":
        return None
    item = cleaned(raw.get("item"))
    return {"type": "conversation-item-added", "itemId": event.item_id, "item": item}


def _transcript(event: UserTranscript, raw: Message) -> Message | None:
    return _by_shape(event, raw) if event.final and event.error is None else None


def _error(event: ProviderError, raw: Message) -> Message:
    client_event = text_or_none(fields(raw.get("error")).get("event_id"))
    optional = without_none({"code": event.code, "clientEventId": client_event})
    return {"type": "error", "message": event.message, **optional}


def _part(event: Unmapped, raw: Message) -> Message | None:
    kind = _PARTS.get(event.wire_type)
    if kind is None:
        return None
    response_id, item_id = as_text(raw.get("response_id")), as_text(raw.get("item_id"))
    return {"type": kind, "responseId": response_id, "itemId": item_id}


_PARTS = {
    "response.content_part.added": "content-part-added",
    "response.content_part.done": "content-part-done",
}

_OTHERS: Mapping[type[Event], Callable[[Any, Message], Message | None]] = {
    ItemAdded: _item_added,
    UserTranscript: _transcript,
    ProviderError: _error,
    Unmapped: _part,
}
