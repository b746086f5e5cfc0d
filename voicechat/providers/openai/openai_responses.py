"""Server events about a response: its items, audio, text and tool calls.

Each reader takes the state of the connection and a frame whose fields may hold anything.

Sources: OpenAI Realtime API reference, "Server events", `response.*`; guide "Realtime
conversations" (function calling, out-of-band responses).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from voicechat.core.events import (
    AudioDelta,
    AudioDone,
    Event,
    ItemKind,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    TextDelta,
    TextDone,
    ToolArgumentsDelta,
    ToolCallReady,
    Unmapped,
)
from voicechat.providers.json_fields import (
    Samples,
    as_list,
    as_text,
    base64_bytes,
    count,
    fields,
    parse,
    text_or_none,
)
from voicechat.providers.openai import openai_mcp
from voicechat.providers.openai.openai_frames import Frame, OpenAIState, kind_of, text_of, usage_of
from voicechat.speech import g711

OUT_OF_BAND_KEY = "voicechat_out_of_band"
"""Metadata key that marks an out-of-band response."""


_MOST_PARTS = 16
"""Largest number of content parts of one item that are tracked."""


def _part(frame: Frame) -> int:
    return min(count(frame.content_index), _MOST_PARTS - 1)


def _metadata(response: dict[str, object]) -> dict[str, str]:
    return {as_text(key): as_text(value) for key, value in fields(response.get("metadata")).items()}


def response_created(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read `response.created`."""
    response = fields(frame.response)
    metadata = _metadata(response)
    # Some servers send null for every response, so null alone does not mean out-of-band.
    no_conversation = "conversation_id" in response and response["conversation_id"] is None
    out_of_band = OUT_OF_BAND_KEY in metadata or (no_conversation and state.out_of_band_requested)
    response_id = as_text(response.get("id"))
    if not out_of_band:
        state.running = response_id
    yield ResponseCreated(response_id, metadata, out_of_band=out_of_band)


class _Arguments(msgspec.Struct):
    """Any JSON object."""


_STATUSES = {status.value: status for status in ResponseStatus}


def response_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read `response.done`; text and calls that no earlier frame reported come first."""
    response = fields(frame.response)
    response_id = as_text(response.get("id"))
    if response_id == state.running:
        state.running = ""
    status = _STATUSES.get(as_text(response.get("status")), ResponseStatus.COMPLETED)
    details = fields(response.get("status_details"))
    error = fields(details.get("error"))
    for number, item in enumerate(map(fields, as_list(response.get("output")))):
        item_id = as_text(item.get("id")) or f"{response_id}-{number}"
        if not state.item(item_id).parts:
            yield from _text_of(state, response_id, item_id, item)
        if status is ResponseStatus.COMPLETED:
            yield from _call_of(state, response_id, item)
            if kind_of(item) is ItemKind.OTHER:
                yield from openai_mcp.of_item(state, item, response_id, done=True)
        if known := state.items.get(item_id):
            known.samples.clear()
            known.streams.clear()
            known.parts.clear()
    yield ResponseDone(
        response_id,
        status,
        text_or_none(details.get("reason"))
        or text_or_none(error.get("code"))
        or text_or_none(error.get("type")),
        text_or_none(error.get("message")),
        usage_of(response.get("usage")) or usage_of(frame.usage),
        _metadata(response),
    )


def output_item_added(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read `response.output_item.added`."""
    item = fields(frame.item)
    item_id = as_text(item.get("id"))
    call_id, name = text_or_none(item.get("call_id")), text_or_none(item.get("name"))
    known = state.item(item_id)
    known.call_id, known.name = call_id or "", name or ""
    response_id = as_text(frame.response_id)
    yield OutputItemAdded(response_id, item_id, kind_of(item), call_id, name)
    if kind_of(item) is ItemKind.OTHER:
        yield from openai_mcp.of_item(state, item, response_id)


def output_item_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read `response.output_item.done`; text and calls not reported yet come first."""
    item = fields(frame.item)
    response_id, item_id = as_text(frame.response_id), as_text(item.get("id"))
    yield from _call_of(state, response_id, item)
    yield from _text_of(state, response_id, item_id, item)
    if kind_of(item) is ItemKind.OTHER:
        yield from openai_mcp.of_item(state, item, response_id, done=True)
    yield OutputItemDone(response_id, item_id, complete=item.get("status") != "incomplete")


def _text_of(
    state: OpenAIState, response_id: str, item_id: str, item: dict[str, object]
) -> Iterable[Event]:
    """Read the text of a finished item, if it is a message whose text was not reported yet."""
    text = text_of(item)
    if text and kind_of(item) is ItemKind.MESSAGE and not state.item(item_id).text_reported:
        state.item(item_id).text_reported = True
        last = fields(as_list(item.get("content"))[-1])
        yield TextDone(response_id, item_id, text, spoken="transcript" in last)


def audio_delta(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read audio of an item, in whole PCM16 samples."""
    item_id, part = as_text(frame.item_id), _part(frame)
    pcm = base64_bytes(frame.delta)
    if pcm is None:
        yield Unmapped(as_text(frame.type), broken=True)
        return
    state.spoke = True
    if state.output == "pcm16":
        pcm = state.item(item_id).samples.setdefault(part, Samples()).piece(pcm)
    else:
        pcm = g711.to_pcm16(pcm, "pcma" if state.output == "pcma" else "pcmu")
    if pcm:
        yield AudioDelta(as_text(frame.response_id), item_id, pcm, part)


def audio_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read the end of an item's audio."""
    yield AudioDone(as_text(frame.response_id), as_text(frame.item_id))


def text_delta(state: OpenAIState, frame: Frame, spoken: bool = False) -> Iterable[Event]:
    """Read text of an item, written or spoken."""
    item_id, part = as_text(frame.item_id), _part(frame)
    item = state.item(item_id)
    text = item.stream(f"{'spoken' if spoken else 'written'} {part}").piece(frame.delta)
    if not text:
        return
    item.parts.setdefault(part, []).append(text)
    response_id = as_text(frame.response_id)
    if part < max(item.parts):
        # A later part is shown already: this text belongs before it.
        yield TextDone(response_id, item_id, item.text, spoken)
    else:
        yield TextDelta(response_id, item_id, text, spoken)


def spoken_delta(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read text of the audio."""
    return text_delta(state, frame, spoken=True)


def text_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read the whole written text."""
    yield _text_so_far(state, frame, frame.text, spoken=False)


def spoken_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read the whole text of the audio."""
    yield _text_so_far(state, frame, frame.transcript, spoken=True)


def _text_so_far(state: OpenAIState, frame: Frame, whole: object, *, spoken: bool) -> Event:
    """Return the text so far: an item may have several content parts, joined in their order."""
    item_id = as_text(frame.item_id)
    item = state.item(item_id)
    text: str | None = None
    if isinstance(whole, str):
        item.text_reported = True
        item.parts[_part(frame)] = [as_text(whole)]
        text = item.text
    return TextDone(as_text(frame.response_id), item_id, text, spoken)


# --------------------------------------------------------------------------- tool calls


def arguments_delta(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read a piece of a call's arguments."""
    item_id = as_text(frame.item_id)
    item = state.item(item_id)
    call_id = as_text(frame.call_id) or item.call_id
    if text := item.stream("arguments").piece(frame.delta):
        yield ToolArgumentsDelta(as_text(frame.response_id), item_id, call_id, text)


def arguments_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read a complete call, unless only its item can tell that it is complete."""
    item_id = as_text(frame.item_id)
    item = state.item(item_id)
    call_id, name = as_text(frame.call_id) or item.call_id, as_text(frame.name) or item.name
    arguments = as_text(frame.arguments)
    # A cancelled call ends like a finished one, with truncated arguments. Invalid JSON waits for
    # the item, whose status tells whether the call was completed.
    if not (call_id and name and parse(arguments, _Arguments) is not None):
        return
    response_id = as_text(frame.response_id) or state.running
    if state.item(call_id).reports_call(response_id):
        yield ToolCallReady(response_id, item_id, call_id, name, arguments)


def _call_of(state: OpenAIState, response_id: str, item: dict[str, object]) -> Iterable[Event]:
    """Read the call in a finished item, if it is one and was not reported yet."""
    if kind_of(item) is not ItemKind.TOOL_CALL or item.get("status") == "incomplete":
        return
    item_id = as_text(item.get("id"))
    known = state.item(item_id or as_text(item.get("call_id")))
    call_id = as_text(item.get("call_id")) or known.call_id
    if not state.item(call_id or item_id).reports_call(response_id):
        return
    yield ToolCallReady(
        response_id,
        item_id,
        call_id,
        as_text(item.get("name")) or known.name,
        as_text(item.get("arguments")),
    )
