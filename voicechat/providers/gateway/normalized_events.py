"""Our events as the normalized model's server events. `TABLE` at the end is the whole of it."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping
from typing import Any

from voicechat.core.events import (
    AudioDelta,
    AudioDone,
    Event,
    InputCommitted,
    ItemAdded,
    OutputItemAdded,
    OutputItemDone,
    ProviderError,
    ResponseCreated,
    ResponseDone,
    ResumptionHandle,
    SessionCreated,
    SessionEnding,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    ToolArgumentsDelta,
    ToolCallReady,
    ToolCallsCancelled,
    Unmapped,
    UsageReported,
    UserTranscript,
)
from voicechat.core.items import Usage
from voicechat.providers.json_fields import cleaned, count, fields, word, words
from voicechat.providers.openai.openai_parts import said

Message = dict[str, object]


def normalized(event: Event, raw: Message) -> Message:
    """The event as the model names it, with the frame it came from."""
    write = TABLE.get(type(event), _custom)
    told = write(event, raw)
    if told is None:
        told = _custom(event, raw)
    return {**told, "raw": cleaned(raw)}


def _custom(event: Event, raw: Message) -> Message:
    known = _NAMES.get(type(event))
    name = event.wire_type if isinstance(event, Unmapped) else words(raw.get("type")) or known
    usage = getattr(event, "usage", None)
    return {
        "type": "custom",
        "rawType": name or words(next(iter(raw), "")),
        **({"usage": usage_of(usage, raw)} if usage is not None else {}),
    }


_NAMES: Mapping[type[Event], str] = {
    UsageReported: "usageMetadata",
    ResumptionHandle: "sessionResumptionUpdate",
    SessionEnding: "goAway",
    ToolCallsCancelled: "toolCallCancellation",
    UserTranscript: "inputTranscription",
}
"""What events without a normalized one are called on a wire whose frames have no type."""


def _session_created(event: SessionCreated, raw: Message) -> Message:
    return {"type": "session-created", **said({"sessionId": event.session_id or None})}


def _committed(event: InputCommitted, raw: Message) -> Message:
    before = said({"previousItemId": event.previous_item_id})
    return {"type": "audio-committed", "itemId": event.item_id, **before}


def _item_added(event: ItemAdded, raw: Message) -> Message | None:
    if raw.get("type") == "conversation.item.done":
        return None
    item = cleaned(raw.get("item"))
    return {"type": "conversation-item-added", "itemId": event.item_id, "item": item}


def _heard(event: UserTranscript, raw: Message) -> Message | None:
    if not event.final or event.error is not None:
        return None
    return {
        "type": "input-transcription-completed",
        "itemId": event.item_id,
        "transcript": event.text,
        **({"usage": usage_of(event.usage, raw)} if event.usage else {}),
    }


def _response_done(event: ResponseDone, raw: Message) -> Message:
    return {
        "type": "response-done",
        "responseId": event.response_id,
        "status": event.status.value,
        **({"usage": usage_of(event.usage, raw)} if event.usage else {}),
    }


def _audio(event: AudioDelta, raw: Message) -> Message:
    delta = b2a_base64(event.pcm, newline=False).decode("ascii")
    return {"type": "audio-delta", **_ids(event), "delta": delta}


def _text(event: TextDelta, raw: Message) -> Message:
    kind = "audio-transcript-delta" if event.spoken else "text-delta"
    return {"type": kind, **_ids(event), "delta": event.text}


def _text_done(event: TextDone, raw: Message) -> Message:
    if event.spoken:
        whole = said({"transcript": event.text})
        return {"type": "audio-transcript-done", **_ids(event), **whole}
    return {"type": "text-done", **_ids(event), **said({"text": event.text})}


def _arguments(event: ToolArgumentsDelta, raw: Message) -> Message:
    return {
        "type": "function-call-arguments-delta",
        **_ids(event),
        "callId": event.call_id,
        "delta": event.text,
    }


def _call(event: ToolCallReady, raw: Message) -> Message:
    return {
        "type": "function-call-arguments-done",
        **_ids(event),
        "callId": event.call_id,
        "name": event.name,
        "arguments": event.arguments,
    }


def _error(event: ProviderError, raw: Message) -> Message:
    at_fault = word(fields(raw.get("error")).get("event_id"))
    told = said({"code": event.code, "clientEventId": at_fault})
    return {"type": "error", "message": event.message, **told}


def _part(event: Unmapped, raw: Message) -> Message | None:
    kind = _PARTS.get(event.wire_type)
    if kind is None:
        return None
    response_id, item_id = words(raw.get("response_id")), words(raw.get("item_id"))
    return {"type": kind, "responseId": response_id, "itemId": item_id}


_PARTS = {
    "response.content_part.added": "content-part-added",
    "response.content_part.done": "content-part-done",
}


def _ids(event: Any) -> Message:
    return {"responseId": event.response_id, "itemId": event.item_id}


def _item(kind: str) -> Callable[[Any, Message], Message]:
    return lambda event, raw: {"type": kind, "itemId": event.item_id}


def _both(kind: str) -> Callable[[Any, Message], Message]:
    return lambda event, raw: {"type": kind, **_ids(event)}


TABLE: Mapping[type[Event], Callable[[Any, Message], Message | None]] = {
    SessionCreated: _session_created,
    SessionUpdated: lambda event, raw: {"type": "session-updated"},
    SpeechStarted: _item("speech-started"),
    SpeechStopped: _item("speech-stopped"),
    InputCommitted: _committed,
    ItemAdded: _item_added,
    UserTranscript: _heard,
    ResponseCreated: lambda event, raw: {
        "type": "response-created",
        "responseId": event.response_id,
    },
    ResponseDone: _response_done,
    OutputItemAdded: _both("output-item-added"),
    OutputItemDone: _both("output-item-done"),
    AudioDelta: _audio,
    AudioDone: _both("audio-done"),
    TextDelta: _text,
    TextDone: _text_done,
    ToolArgumentsDelta: _arguments,
    ToolCallReady: _call,
    ProviderError: _error,
    Unmapped: _part,
}
"""How each event is written; one that is not listed is `custom`."""


def usage_of(usage: Usage, raw: Message) -> Message:
    """The usage as the model counts it; details only where the provider told any."""
    counted = fields(fields(raw.get("response")).get("usage")) or fields(raw.get("usage"))
    told: Message = {}
    if usage.total_tokens or usage.input_tokens or usage.output_tokens or "input_tokens" in counted:
        told = {"inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens}
        details = {
            "cachedInputTokens": usage.cached_tokens,
            "inputTextTokens": usage.input_text_tokens,
            "inputAudioTokens": usage.input_audio_tokens,
            "outputTextTokens": usage.output_text_tokens,
            "outputAudioTokens": usage.output_audio_tokens,
        }
        told |= details if any(details.values()) else {}
    if usage.seconds:
        told["seconds"] = usage.seconds
    cached = fields(fields(counted.get("input_token_details")).get("cached_tokens_details"))
    for name, kind in (("cachedInputTextTokens", "text"), ("cachedInputAudioTokens", "audio")):
        if f"{kind}_tokens" in cached:
            told[name] = count(cached[f"{kind}_tokens"])
    return told
