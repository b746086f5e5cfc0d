"""Server events of the OpenAI Realtime family: `TABLE` maps each wire type to its reader.

GA names and beta names are read; older Azure endpoints and many compatible servers send the
latter. Every reader takes the state of the connection and a frame whose fields may hold anything.

Sources: OpenAI Realtime API reference, "Server events" (GA and beta); guide "Managing costs" for
rate limits; "Realtime transcription" for transcripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from voicechat.core.commands import CommandName, named_in
from voicechat.core.events import (
    Event,
    IdleTimeout,
    InputCleared,
    InputCommitted,
    ItemAdded,
    ItemDeleted,
    ItemKind,
    ItemRetrieved,
    ItemTruncated,
    ProviderError,
    RateLimit,
    RateLimits,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    Token,
    TranscriptSegment,
    Unmapped,
    UserTranscript,
)
from voicechat.providers.json_fields import (
    as_list,
    as_text,
    cleaned,
    count,
    fields,
    number,
    parse,
    text_or_none,
)
from voicechat.providers.openai import openai_mcp as mcp
from voicechat.providers.openai import openai_responses as replies
from voicechat.providers.openai.openai_frames import Frame, OpenAIState, kind_of, text_of, usage_of
from voicechat.providers.openai.openai_refusals import told_by

FATAL = frozenset({"session_expired", "max_duration", "invalid_api_key"})
"""Error codes (or types) after which the server closes the connection ("Error handling")."""

_TYPES_AS_CODES = FATAL | {"conversation_already_has_active_response"}
"""Error codes that some servers send as the type of an error without a code."""

Reader = Callable[[OpenAIState, Frame], Iterable[Event]]


def read(
    state: OpenAIState, text: str | bytes, table: Mapping[str, Reader] | None = None
) -> list[Event]:
    """Return the events in one frame, read by `table` (default: `TABLE`).

    An unreadable frame is `Unmapped`.
    """
    frame = parse(text, Frame)
    if frame is None:
        return [Unmapped("")]
    kind = as_text(frame.type)
    reader = (table or TABLE).get(kind)
    return [Unmapped(kind)] if reader is None else list(reader(state, frame))


# --------------------------------------------------------------------------- session

_ENCODINGS = {
    "audio/pcm": "pcm16", "pcm16": "pcm16",
    "audio/pcmu": "pcmu", "g711_ulaw": "pcmu",
    "audio/pcma": "pcma", "g711_alaw": "pcma",
}  # fmt: skip


def _note_format(state: OpenAIState, session: dict[str, object]) -> None:
    said = fields(fields(session.get("audio")).get("output")).get("format")
    name = said.get("type") if isinstance(said, dict) else session.get("output_audio_format")
    state.output = _ENCODINGS.get(as_text(name), state.output)


def session_created(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read `session.created`."""
    session = state.announced = fields(frame.session)
    _note_format(state, session)
    yield SessionCreated(as_text(session.get("id")), number(session.get("expires_at")) or None)


def session_updated(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read `session.updated`."""
    state.updates = max(0, state.updates - 1)
    _note_format(state, fields(frame.session))
    yield SessionUpdated()


def _rate_limits(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    limits = [fields(limit) for limit in as_list(frame.rate_limits)]
    yield RateLimits(
        tuple(
            RateLimit(
                as_text(limit.get("name")),
                count(limit.get("limit")),
                count(limit.get("remaining")),
                number(limit.get("reset_seconds")),
            )
            for limit in limits
        )
    )


def error_event(state: OpenAIState, frame: Frame) -> Iterable[ProviderError]:
    """Read `error`."""
    error = fields(frame.error)
    code = text_or_none(error.get("code")) or text_or_none(frame.code)
    kind = text_or_none(error.get("type"))
    message = (
        text_or_none(error.get("message"))
        or text_or_none(frame.error)
        or text_or_none(frame.message)
    )
    param = text_or_none(error.get("param"))
    command = named_in(as_text(error.get("event_id")))
    if command is None and code is None:
        command, code = told_by(message or "")
    if command is None and state.updates and (param or "").startswith("session"):
        command = CommandName.UPDATE_SESSION
    yield ProviderError(
        message or code or kind or "The provider reported an error without a message.",
        code=code or (kind if kind in _TYPES_AS_CODES else None),
        command=command,
        fatal=code in FATAL or kind in FATAL,
        part=param,
    )


# --------------------------------------------------------------------------- the user


def _speech_started(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    yield SpeechStarted(as_text(frame.item_id), number(frame.audio_start_ms))


def _speech_stopped(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    yield SpeechStopped(as_text(frame.item_id), number(frame.audio_end_ms))


def _committed(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    yield InputCommitted(as_text(frame.item_id), text_or_none(frame.previous_item_id))


def _cleared(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    yield InputCleared()


def _idle(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    yield IdleTimeout(as_text(frame.item_id))


def _transcript_delta(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    item_id = as_text(frame.item_id)
    if text := state.item(item_id).stream("transcript").piece(frame.delta):
        yield UserTranscript(item_id, text, tokens=_tokens(frame))


def transcript_update(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read a partial transcript that replaces the earlier ones."""
    if text := text_or_none(frame.transcript):
        yield UserTranscript(as_text(frame.item_id), text, replace=True)


def _transcript_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    if frame.status not in (None, "completed"):
        yield from transcript_update(state, frame)
    else:
        yield from _final_transcript(state, frame, as_text(frame.transcript), None)


def _transcript_failed(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    error = fields(frame.error)
    why = (
        text_or_none(error.get("message"))
        or text_or_none(error.get("code"))
        or "transcription failed"
    )
    yield from _final_transcript(state, frame, "", why)


def _final_transcript(
    state: OpenAIState, frame: Frame, text: str, error: str | None
) -> Iterable[Event]:
    item_id = as_text(frame.item_id)
    item = state.item(item_id)
    if item.transcribed:
        return
    item.transcribed = True
    yield UserTranscript(
        item_id,
        text,
        final=True,
        replace=error is None,
        error=error,
        usage=usage_of(frame.usage),
        tokens=_tokens(frame),
        languages=_languages(frame),
    )


def _tokens(frame: Frame) -> tuple[Token, ...]:
    found = map(fields, as_list(frame.logprobs))
    return tuple(Token(as_text(each.get("token")), number(each.get("logprob"))) for each in found)


def _languages(frame: Frame) -> tuple[str, ...]:
    found = as_list(frame.languages)
    codes = (as_text(each) or as_text(fields(each).get("code")) for each in found)
    return tuple(code for code in codes if code)


def _segment(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    yield TranscriptSegment(
        as_text(frame.item_id),
        as_text(frame.text),
        as_text(frame.speaker),
        number(frame.start),
        number(frame.end),
    )


# --------------------------------------------------------------------------- items


def _item_added(state: OpenAIState, frame: Frame, done: bool = False) -> Iterable[Event]:
    item = fields(frame.item)
    kind = kind_of(item)
    yield ItemAdded(
        as_text(item.get("id")),
        kind,
        as_text(item.get("role")) if kind is ItemKind.MESSAGE else "",
        text_of(item),
        text_or_none(frame.previous_item_id),
        done,
    )
    if kind_of(item) is ItemKind.OTHER:
        yield from mcp.of_item(state, item, done=done)


def _item_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    return _item_added(state, frame, done=True)


def _item_created(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    return _item_added(state, frame, done=fields(frame.item).get("status") == "completed")


def _item_retrieved(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    item = fields(cleaned(frame.item))
    yield ItemRetrieved(as_text(item.get("id")), item)


def _item_deleted(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    yield ItemDeleted(as_text(frame.item_id))


def _item_truncated(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    yield ItemTruncated(as_text(frame.item_id), number(frame.audio_end_ms))


# --------------------------------------------------------------------------- the table

_TRANSCRIPTION = "conversation.item.input_audio_transcription"

TABLE: dict[str, Reader] = {
    "session.created": session_created,
    "session.updated": session_updated,
    "transcription_session.created": session_created,
    "transcription_session.updated": session_updated,
    "rate_limits.updated": _rate_limits,
    "error": error_event,
    # the user
    "input_audio_buffer.speech_started": _speech_started,
    "input_audio_buffer.speech_stopped": _speech_stopped,
    "input_audio_buffer.committed": _committed,
    "input_audio_buffer.cleared": _cleared,
    "input_audio_buffer.timeout_triggered": _idle,
    f"{_TRANSCRIPTION}.delta": _transcript_delta,
    f"{_TRANSCRIPTION}.updated": transcript_update,
    f"{_TRANSCRIPTION}.completed": _transcript_done,
    f"{_TRANSCRIPTION}.segment": _segment,
    f"{_TRANSCRIPTION}.failed": _transcript_failed,
    # items
    "conversation.item.added": _item_added,
    "conversation.item.done": _item_done,
    "conversation.item.created": _item_created,
    "conversation.item.retrieved": _item_retrieved,
    "conversation.item.deleted": _item_deleted,
    "conversation.item.truncated": _item_truncated,
    # responses
    "response.created": replies.response_created,
    "response.done": replies.response_done,
    "response.output_item.added": replies.output_item_added,
    "response.output_item.done": replies.output_item_done,
    "response.output_audio.delta": replies.audio_delta,
    "response.audio.delta": replies.audio_delta,
    "response.output_audio.done": replies.audio_done,
    "response.audio.done": replies.audio_done,
    "response.output_audio_transcript.delta": replies.spoken_delta,
    "response.audio_transcript.delta": replies.spoken_delta,
    "response.output_audio_transcript.done": replies.spoken_done,
    "response.audio_transcript.done": replies.spoken_done,
    "response.output_text.delta": replies.text_delta,
    "response.text.delta": replies.text_delta,
    "response.output_text.done": replies.text_done,
    "response.text.done": replies.text_done,
    # tool calls
    "response.function_call_arguments.delta": replies.arguments_delta,
    "response.function_call_arguments.done": replies.arguments_done,
    # MCP calls, which the server runs
    "mcp_list_tools.in_progress": mcp.list_progress,
    "mcp_list_tools.completed": mcp.list_progress,
    "mcp_list_tools.failed": mcp.list_progress,
    "response.mcp_call_arguments.delta": mcp.arguments_delta,
    "response.mcp_call_arguments.done": mcp.arguments_done,
    "response.mcp_call.in_progress": mcp.call_progress,
    "response.mcp_call.completed": mcp.call_progress,
    "response.mcp_call.failed": mcp.call_progress,
}
"""Reader of each wire type. A type that is missing here is `Unmapped`."""

KNOWN_UNMAPPED = frozenset({
    "conversation.created",
    "response.content_part.added", "response.content_part.done",
    "input_audio_buffer.dtmf_event_received",
    "output_audio_buffer.started", "output_audio_buffer.stopped", "output_audio_buffer.cleared",
    "ping",
})  # fmt: skip
"""Documented wire types without an event: another one says the same, or it has no use here."""
