"""Continuous sessions in the normalized model: OpenAI Live, and translation sessions.

They have events of their own instead of turns: `audio-chunk`, `transcript-fragment`,
`delegation-created` and others. Each server frame is one event, so no state is kept except for
characters and samples that are cut in two.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4` (capability `conversation:
"continuous"`), and `@ai-sdk/openai`, its Live model.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping

from voicechat.errors import UsageError
from voicechat.providers.json_fields import (
    Samples,
    Stream,
    as_text,
    base64_bytes,
    cleaned,
    count,
    encode,
    fields,
    number,
    text_or_none,
)
from voicechat.providers.openai.openai_parts import without_none

Message = dict[str, object]

CHANNELS = ("thinking", "commentary", "instructions")
"""Kinds of context that an application adds to a session; the first is the default."""


class ContinuousEvents:
    """Server frames of one connection as normalized events."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._samples = Samples()

    def read(self, raw: Message) -> Message | None:
        """Return the event of a frame; None if it has none."""
        kind = as_text(raw.get("type"))
        if kind == "session.output_audio.delta":
            return self._audio(raw)
        speaker = _SPEAKERS.get(kind)
        if speaker is not None:
            return self._fragment(speaker, raw)
        if kind in _ACKNOWLEDGED:
            return {"type": "command-acknowledged", "command": _ACKNOWLEDGED[kind], **_about(raw)}
        write = _TABLE.get(kind)
        return None if write is None else write(raw)

    def _audio(self, raw: Message) -> Message | None:
        sound = base64_bytes(raw.get("delta"))
        if sound is None:
            return None
        whole = b2a_base64(self._samples.piece(sound), newline=False).decode("ascii")
        return {"type": "audio-chunk", "delta": whole}

    def _fragment(self, speaker: str, raw: Message) -> Message:
        elapsed = number(raw.get("elapsed_ms"))
        return {
            "type": "transcript-fragment",
            "speaker": speaker,
            "delta": self._streams.setdefault(speaker, Stream()).piece(raw.get("delta")),
            "startMs": number(raw.get("start_ms")) or elapsed,
            "endMs": number(raw.get("end_ms")) or elapsed,
        }


_SPEAKERS = {
    "session.input_transcript.delta": "user",
    "session.output_transcript.delta": "assistant",
}

_ACKNOWLEDGED = {
    "session.thinking.appended": "session.thinking.append",
    "session.commentary.appended": "session.commentary.append",
    "session.instructions.appended": "session.instructions.append",
    "session.input_audio.muted": "session.input_audio.mute",
    "session.input_audio.unmuted": "session.input_audio.unmute",
}


def _about(raw: Message) -> Message:
    return without_none({"clientEventId": text_or_none(raw.get("client_event_id"))})


def _started(raw: Message) -> Message:
    session = fields(raw.get("session"))
    owner = as_text(fields(session.get("delegation")).get("type"))
    mode = "client" if owner == "client" else "provider"
    return {"type": "session-started", "sessionId": as_text(session.get("id")),
            "delegationMode": mode}  # fmt: skip


def _created(raw: Message) -> Message:
    session_id = text_or_none(fields(raw.get("session")).get("id"))
    return {"type": "session-created", **without_none({"sessionId": session_id})}


def _updated(raw: Message) -> Message:
    return {"type": "session-updated"}


def _seconds(raw: Message) -> Message:
    return {"seconds": max(0.0, number(fields(raw.get("usage")).get("seconds")))}


def _usage(raw: Message) -> Message:
    window = fields(raw.get("context_window"))
    ratio = number(window.get("usage_ratio")) if "usage_ratio" in window else None
    return {
        "type": "session-usage",
        "usage": _seconds(raw),
        **without_none({"contextWindowUsageRatio": ratio}),
    }


def _closed(raw: Message) -> Message:
    session_id = text_or_none(fields(raw.get("session")).get("id"))
    return {
        "type": "session-closed",
        **without_none({"sessionId": session_id}),
        "usage": _seconds(raw),
        "reason": as_text(raw.get("reason")),
    }


def _delegated(raw: Message) -> Message:
    delegation = fields(raw.get("delegation"))
    target = as_text(delegation.get("target"))
    return {
        "type": "delegation-created",
        "delegationId": as_text(delegation.get("id")),
        "target": "provider" if target == "responses" else target,
        "offsetMs": count(raw.get("offset_ms")),
        **without_none({"responseId": text_or_none(delegation.get("response_id"))}),
    }


def _error(raw: Message) -> Message:
    error = fields(raw.get("error"))
    about = text_or_none(error.get("client_event_id")) or text_or_none(error.get("event_id"))
    optional = without_none({"code": text_or_none(error.get("code")), "clientEventId": about})
    return {"type": "error", "message": as_text(error.get("message")), **optional}


_TABLE: Mapping[str, Callable[[Message], Message]] = {
    "session.started": _started,
    "session.created": _created,
    "session.updated": _updated,
    "session.usage.updated": _usage,
    "session.closed": _closed,
    "session.delegation.created": _delegated,
    "error": _error,
}


# --------------------------------------------------------------------------- client events


def frame_of(event: Message) -> str | None:
    """Return the frame of a client event that only continuous sessions have; None for others.

    Raises `UsageError` for context of an unknown kind.
    """
    kind = as_text(event.get("type"))
    if kind == "context-append":
        return encode(_context(event))
    wire_type = _PLAIN.get(kind)
    if wire_type is None:
        return None
    return encode({"type": wire_type, **_event_id(event)})


_PLAIN = {
    "session-close": "session.close",
    "input-audio-mute": "session.input_audio.mute",
    "input-audio-unmute": "session.input_audio.unmute",
}


def _event_id(event: Message) -> Message:
    return without_none({"event_id": text_or_none(event.get("eventId"))})


def _context(event: Message) -> Message:
    options = fields(fields(event.get("providerOptions")).get("openai"))
    channel = as_text(options.get("channel")) or CHANNELS[0]
    if channel not in CHANNELS:
        raise UsageError(f"There is no channel {channel[:40]!r}.", f"Known: {', '.join(CHANNELS)}.")
    return {
        "type": f"session.{channel}.append",
        **_event_id(event),
        "content": as_text(event.get("content")),
        "delegation_id": cleaned(event.get("delegationId")),
    }
