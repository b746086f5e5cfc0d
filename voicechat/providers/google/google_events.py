"""Frames of Gemini Live, split into the facts that `GeminiTurns` turns into events.

A frame may hold several facts. A field without a meaning here is `Unmapped` under its own name.
Every reader takes the value of a field, which may be anything.

Sources: Gemini API reference, "Live API - WebSockets", `BidiGenerateContentServerMessage`; guide
"Session management" (`goAway`, resumption handles).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from voicechat.core.events import (
    Event,
    ProviderError,
    ResponseStatus,
    ResumptionHandle,
    SessionCreated,
    SessionEnding,
    ToolCallsCancelled,
    Unmapped,
    UsageReported,
)
from voicechat.core.items import Usage
from voicechat.providers.google.google_turns import GeminiTurns
from voicechat.providers.json_fields import (
    as_list,
    as_text,
    base64_bytes,
    cleaned,
    count,
    encode,
    fields,
    message,
    number,
    text_or_none,
)

Message = dict[str, object]

MOST_CALLS = 64
"""Most calls of one frame that are read."""


def read(turns: GeminiTurns, frame: str | bytes, *, spoken: bool, resumed: bool) -> list[Event]:
    """Return the events in one frame.

    With `spoken` the session speaks, so written parts are not its answer. An unreadable frame is
    `Unmapped`.
    """
    said = message(frame)
    if said is None:
        return [Unmapped("")]
    events: list[Event] = []
    if "setupComplete" in said:
        session_id = as_text(fields(said["setupComplete"]).get("sessionId"))
        events.append(SessionCreated(session_id, resumed=resumed))
    for name in _OTHERS:
        if name in said:
            events += _OTHERS[name](turns, fields(said[name]), name)
    usage = usage_of(said.get("usageMetadata"))
    events += _content(turns, fields(said.get("serverContent")), usage, spoken=spoken)
    events += _calls(turns, fields(said.get("toolCall")), usage)
    events += [Unmapped(as_text(name)) for name in said if name not in _KNOWN]
    if usage is not None and not any(getattr(event, "usage", None) for event in events):
        events.append(UsageReported(usage))
    return events or [Unmapped(as_text(next(iter(said), "")))]


# --------------------------------------------------------------------------- other fields


def _error(turns: GeminiTurns, error: Message, name: str) -> Iterator[Event]:
    code = text_or_none(error.get("status")) or (str(count(error.get("code"))) if error else None)
    said = text_or_none(error.get("message")) or code
    yield ProviderError(said or "The provider reported an error without a message.", code)


def _activity(turns: GeminiTurns, activity: Message, name: str) -> Iterator[Event]:
    kind = as_text(activity.get("type")) or as_text(activity.get("vadSignalType"))
    if kind.endswith(("_START", "_SOS")):
        yield from turns.speech_started()
    elif kind.endswith(("_END", "_EOS")):
        yield from turns.speech_stopped(seconds(activity.get("audioOffset")) * 1000)
    else:
        yield Unmapped(name)


def _handle(turns: GeminiTurns, update: Message, name: str) -> Iterator[Event]:
    handle = update.get("newHandle")
    if update.get("resumable") is True and isinstance(handle, str) and handle:
        # The handle is sent back unchanged, so one that cleaning would change is useless.
        yield ResumptionHandle(handle) if as_text(handle) == handle else Unmapped(name)
    else:
        yield Unmapped(name)


def _going_away(turns: GeminiTurns, away: Message, name: str) -> Iterator[Event]:
    yield SessionEnding(seconds(away.get("timeLeft")))


def _cancelled(turns: GeminiTurns, cancelled: Message, name: str) -> Iterator[Event]:
    ids = tuple(
        call_id for value in as_list(cancelled.get("ids")) if (call_id := text_or_none(value))
    )
    yield ToolCallsCancelled(ids) if ids else Unmapped(name)


_OTHERS: dict[str, Callable[[GeminiTurns, Message, str], Iterable[Event]]] = {
    "error": _error,
    "voiceActivity": _activity,
    "voiceActivityDetectionSignal": _activity,
    "sessionResumptionUpdate": _handle,
    "toolCallCancellation": _cancelled,
    "goAway": _going_away,
}
_KNOWN = {*_OTHERS, "setupComplete", "serverContent", "toolCall", "usageMetadata"}


# --------------------------------------------------------------------------- the conversation

_UNDERSTOOD = {
    "modelTurn", "generationComplete", "turnComplete", "turnCompleteReason", "interrupted",
    "inputTranscription", "interimInputTranscription", "outputTranscription",
}  # fmt: skip


def _content(
    turns: GeminiTurns, content: Message, usage: Usage | None, *, spoken: bool
) -> Iterator[Event]:
    yield from (Unmapped(as_text(name)) for name in content if name not in _UNDERSTOOD)
    interrupted = content.get("interrupted") is True
    if not interrupted:
        yield from _transcripts(turns, content)
    for part in as_list(fields(content.get("modelTurn")).get("parts")):
        yield from _part(turns, fields(part), spoken=spoken)
    spoken_text = fields(content.get("outputTranscription"))
    yield from turns.text(spoken_text.get("text"), spoken=True)
    if interrupted:
        yield from turns.interrupted()
        yield from _transcripts(turns, content)
    if content.get("generationComplete") is True:
        yield from turns.generated()
    if content.get("turnComplete") is True:
        reason = text_or_none(content.get("turnCompleteReason"))
        working = content.get("interactionStatus") == "IN_PROGRESS"
        status, said = _outcome(reason)
        yield from turns.ended(usage, status, said, background=working)


def _transcripts(turns: GeminiTurns, content: Message) -> Iterator[Event]:
    for name, interim in (("interimInputTranscription", True), ("inputTranscription", False)):
        if name in content:
            found = fields(content[name])
            finished = found.get("finished") is True
            yield from turns.transcript(found.get("text") or "", finished=finished, interim=interim)


def _part(turns: GeminiTurns, part: Message, *, spoken: bool) -> Iterator[Event]:
    """Read a part. Thoughts, and text in a session that speaks, are not the answer."""
    blob = fields(part.get("inlineData"))
    if as_text(blob.get("mimeType")).startswith("audio/"):
        pcm = samples(blob.get("data"))
        yield from turns.audio(pcm) if pcm is not None else [Unmapped("inlineData", broken=True)]
    elif part.get("thought") is True:
        yield Unmapped("thought")
    elif isinstance(part.get("text"), str) and not spoken:
        yield from turns.text(part["text"], spoken=False)
    else:
        yield Unmapped(as_text(next(iter(part), "part")))


_ENDS = {
    "TURN_COMPLETE_REASON_UNSPECIFIED": (ResponseStatus.COMPLETED, None),
    "NEED_MORE_INPUT": (ResponseStatus.COMPLETED, "NEED_MORE_INPUT"),
    "MALFORMED_FUNCTION_CALL": (ResponseStatus.INCOMPLETE, "the model wrote an invalid tool call"),
    "MAX_TOKENS": (ResponseStatus.INCOMPLETE, "max_output_tokens"),
    "INPUT_OTHER": (ResponseStatus.INCOMPLETE, "the provider refused the input"),
    "GENERATED_OTHER": (ResponseStatus.INCOMPLETE, "the provider refused the answer"),
    "MAX_REGENERATION_REACHED": (ResponseStatus.INCOMPLETE, "the model gave up"),
}
_FILTERS = ("REJECTED", "PROHIBITED", "SAFETY", "BLOCKLIST", "UNSAFE", "CELEBRITY", "PEOPLE")


def _outcome(reason: str | None) -> tuple[ResponseStatus, str | None]:
    """Return the status and the reason of a turn that ended with this `turnCompleteReason`."""
    if reason is None:
        return ResponseStatus.COMPLETED, None
    if reason in _ENDS:
        return _ENDS[reason]
    if any(word in reason for word in _FILTERS):
        return ResponseStatus.INCOMPLETE, "content_filter"
    return ResponseStatus.INCOMPLETE, reason.replace("_", " ").lower()


def _calls(turns: GeminiTurns, tool_call: Message, usage: Usage | None) -> Iterator[Event]:
    calls = [fields(call) for call in as_list(tool_call.get("functionCalls"))[:MOST_CALLS]]
    named = [
        (as_text(call.get("id")), turns.tool_names.get(name, name), arguments_of(call.get("args")))
        for call in calls
        if (name := as_text(call.get("name")))
    ]
    if named:
        yield from turns.calls(named, usage)


# --------------------------------------------------------------------------- fields


def arguments_of(value: object) -> str:
    """Return the arguments of a call as JSON text."""
    return encode(fields(cleaned(value)))


def samples(value: object) -> bytes | None:
    """Return the bytes of base64 in either alphabet; None for anything else."""
    if isinstance(value, str) and ("-" in value or "_" in value):
        value = value.replace("-", "+").replace("_", "/")
    return base64_bytes(value)


def seconds(value: object) -> float:
    """Return a duration in seconds; protobuf JSON writes it like `57.2s`."""
    try:
        found = float(value.removesuffix("s")) if isinstance(value, str) else value
    except ValueError:
        return 0.0
    return max(0.0, number(found))


def usage_of(value: object) -> Usage | None:
    """Read the usage of a turn: tool tokens count as input, thoughts as output."""
    said = fields(value)
    if not said:
        return None
    prompt, tools = count(said.get("promptTokenCount")), count(said.get("toolUsePromptTokenCount"))
    thoughts = count(said.get("thoughtsTokenCount"))
    answer = count(said.get("responseTokenCount")) or count(said.get("candidatesTokenCount"))
    inputs = _by_kind(said.get("promptTokensDetails"))
    outputs = _by_kind(said.get("responseTokensDetails") or said.get("candidatesTokensDetails"))
    return Usage(
        total_tokens=count(said.get("totalTokenCount")) or prompt + tools + answer + thoughts,
        input_tokens=prompt + tools,
        output_tokens=answer + thoughts,
        input_text_tokens=inputs.get("TEXT", 0),
        input_audio_tokens=inputs.get("AUDIO", 0),
        input_image_tokens=inputs.get("IMAGE", 0) + inputs.get("VIDEO", 0),
        cached_tokens=count(said.get("cachedContentTokenCount")),
        output_text_tokens=outputs.get("TEXT", 0),
        output_audio_tokens=outputs.get("AUDIO", 0),
    )


def _by_kind(value: object) -> dict[str, int]:
    found: dict[str, int] = {}
    for detail in map(fields, as_list(value)):
        kind = as_text(detail.get("modality"))
        found[kind] = found.get(kind, 0) + count(detail.get("tokenCount"))
    return found
