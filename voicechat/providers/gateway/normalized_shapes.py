"""The normalized model's server events as a table that is read both ways.

Each shape pairs an event of ours with a wire type, and its attributes with fields.
`gateway_events` reads frames by it, `normalized_events` writes events by it. What a provider
leaves out or tells twice needs code of its own, which is in those two modules.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4` (server events, usage).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voicechat.core.events import (
    AudioDelta,
    AudioDone,
    Event,
    InputCommitted,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    ToolArgumentsDelta,
    ToolCallReady,
    UserTranscript,
)
from voicechat.core.items import Usage
from voicechat.providers.json_fields import count, fields, number


@dataclass(frozen=True, slots=True)
class EventShape:
    """One normalized event."""

    kind: str
    """Its type on the wire."""
    event: Any
    """Class of our event."""
    fields: Mapping[str, str]
    """Field by attribute."""
    spoken: bool | None = None
    """The event's `spoken`, where two shapes share a class."""


_ITEM = {"item_id": "itemId"}
_RESPONSE = {"response_id": "responseId"}
_BOTH = {**_RESPONSE, **_ITEM}

SHAPES: tuple[EventShape, ...] = (
    EventShape("session-created", SessionCreated, {"session_id": "sessionId"}),
    EventShape("session-updated", SessionUpdated, {}),
    EventShape("speech-started", SpeechStarted, _ITEM),
    EventShape("speech-stopped", SpeechStopped, _ITEM),
    EventShape("audio-committed", InputCommitted, {**_ITEM, "previous_item_id": "previousItemId"}),
    EventShape(
        "input-transcription-completed",
        UserTranscript,
        {**_ITEM, "text": "transcript", "usage": "usage"},
    ),
    EventShape("response-created", ResponseCreated, _RESPONSE),
    EventShape("response-done", ResponseDone, {**_RESPONSE, "status": "status", "usage": "usage"}),
    EventShape("output-item-added", OutputItemAdded, _BOTH),
    EventShape("output-item-done", OutputItemDone, _BOTH),
    EventShape("audio-delta", AudioDelta, {**_BOTH, "pcm": "delta"}),
    EventShape("audio-done", AudioDone, _BOTH),
    EventShape("audio-transcript-delta", TextDelta, {**_BOTH, "text": "delta"}, spoken=True),
    EventShape("audio-transcript-done", TextDone, {**_BOTH, "text": "transcript"}, spoken=True),
    EventShape("text-delta", TextDelta, {**_BOTH, "text": "delta"}, spoken=False),
    EventShape("text-done", TextDone, {**_BOTH, "text": "text"}, spoken=False),
    EventShape(
        "function-call-arguments-delta",
        ToolArgumentsDelta,
        {**_BOTH, "call_id": "callId", "text": "delta"},
    ),
    EventShape(
        "function-call-arguments-done",
        ToolCallReady,
        {**_BOTH, "call_id": "callId", "name": "name", "arguments": "arguments"},
    ),
)

BY_KIND: Mapping[str, EventShape] = {shape.kind: shape for shape in SHAPES}
_BY_EVENT = {(shape.event, shape.spoken): shape for shape in SHAPES}


def shape_of(event: Event) -> EventShape | None:
    """Return the shape that writes this event; None if it has none."""
    return _BY_EVENT.get((type(event), getattr(event, "spoken", None)))


# --------------------------------------------------------------------------- usage

_TOTALS = {"input_tokens": "inputTokens", "output_tokens": "outputTokens"}
_DETAILS = {
    "cached_tokens": "cachedInputTokens",
    "input_text_tokens": "inputTextTokens",
    "input_audio_tokens": "inputAudioTokens",
    "output_text_tokens": "outputTextTokens",
    "output_audio_tokens": "outputAudioTokens",
}
_CACHED = {
    "cached_text_tokens": "cachedInputTextTokens",
    "cached_audio_tokens": "cachedInputAudioTokens",
}


def usage_from(value: object) -> Usage | None:
    """Read the usage of a response or a transcription; None if there is none."""
    found = fields(value)
    if not found:
        return None
    names = {**_TOTALS, **_DETAILS, **_CACHED}
    return Usage(
        **{attribute: count(found.get(name)) for attribute, name in names.items()},
        seconds=max(0.0, number(found.get("seconds"))),
        total_tokens=count(found.get("inputTokens")) + count(found.get("outputTokens")),
    )


def usage_to(usage: Usage, raw: Mapping[str, object]) -> dict[str, object]:
    """Write a usage; `raw` is the frame it came from.

    Details are written only if the provider reported any, a cached count only if the frame
    names it.
    """
    counted = fields(fields(raw.get("response")).get("usage")) or fields(raw.get("usage"))
    found: dict[str, object] = {}
    if usage.total_tokens or usage.input_tokens or usage.output_tokens or "input_tokens" in counted:
        found = {name: getattr(usage, attribute) for attribute, name in _TOTALS.items()}
        details = {name: getattr(usage, attribute) for attribute, name in _DETAILS.items()}
        found |= details if any(details.values()) else {}
    if usage.seconds:
        found["seconds"] = usage.seconds
    cached = fields(fields(counted.get("input_token_details")).get("cached_tokens_details"))
    for attribute, name in _CACHED.items():
        own_name = attribute.removeprefix("cached_")
        if own_name in cached:
            found[name] = count(cached[own_name])
    return found
