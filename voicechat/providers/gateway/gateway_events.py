"""What the AI Gateway says: normalized events, read into the vocabulary.

They are those of whichever provider stands behind the gateway, and some of these leave things
out: ids of the person's items, the beginning of a response, the end of one that called tools.
`Memory` mends that. Frames are not checked by the gateway, so any field may hold anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from voicechat.core.commands import UpdateSession
from voicechat.core.events import (
    AudioDelta,
    AudioDone,
    Event,
    InputCommitted,
    ItemAdded,
    ItemKind,
    OutputItemAdded,
    OutputItemDone,
    ProviderError,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    ToolArgumentsDelta,
    ToolCallReady,
    Unmapped,
    UsageReported,
    UserTranscript,
)
from voicechat.core.items import Usage
from voicechat.providers.json_fields import (
    Samples,
    Stream,
    count,
    fields,
    message,
    number,
    sound,
    word,
    words,
)
from voicechat.providers.openai.openai_frames import kind_of, text_of

Message = dict[str, object]

_REMEMBERED = 512


@dataclass(slots=True)
class Piece:
    """What later frames of an item need to know of earlier ones."""

    samples: Samples = field(default_factory=Samples)
    spoken: Stream = field(default_factory=Stream)
    written: Stream = field(default_factory=Stream)
    arguments: Stream = field(default_factory=Stream)
    heard: bool = False
    """The person's final words were reported."""


@dataclass(slots=True)
class Memory:
    """The state of one connection: bounded, the oldest item is forgotten first."""

    calls_end: bool = False
    """The provider behind says no end of a response that called tools: a call ends it."""
    created: bool = False
    running: str = ""
    """The response, as the wire calls it, that is being given; empty if none is."""
    split: int = 0
    """How often that response was ended by a call: what follows is another one."""
    unnamed: str = ""
    """The person's item that was begun without an id."""
    items: dict[str, Piece] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    tag: str = field(default_factory=lambda: secrets.token_hex(3))
    number: int = 0

    def piece(self, item_id: str) -> Piece:
        """The memory of the item, made if there is none."""
        known = self.items.get(item_id)
        if known is None:
            if len(self.items) >= _REMEMBERED:
                del self.items[next(iter(self.items))]
            known = self.items[item_id] = Piece()
        return known

    def response(self, frame: Message) -> str:
        """The id under which we know the response of a frame."""
        wire_id = words(frame.get("responseId"))
        if wire_id != self.running:
            self.running, self.split = wire_id, 0
        own = self._own(wire_id)
        return f"{own}+{self.split}" if self.split else own

    def item(self, frame: Message) -> str:
        """The id under which we know the item of a frame."""
        return self._own(words(frame.get("itemId")))

    def _own(self, wire_id: str) -> str:
        # The ids of a provider that has none are counted anew on every connection.
        return f"{wire_id}_{self.tag}" if self.calls_end and wire_id else wire_id

    def spoken_item(self, wire_id: object) -> str:
        """The id of a person's item; one that was begun without an id gets its id now."""
        known = self._own(words(wire_id))
        if not known:
            if not self.unnamed:
                self.number += 1
                self.unnamed = f"user_{self.tag}_{self.number}"
            return self.unnamed
        if self.unnamed and known not in self.items and known not in self.aliases:
            if len(self.aliases) >= _REMEMBERED:
                del self.aliases[next(iter(self.aliases))]
            self.aliases[known], self.unnamed = self.unnamed, ""
        return self.aliases.get(known, known)


def read(memory: Memory, text: str | bytes) -> list[Event]:
    """The events in one frame. A frame that cannot be read is `Unmapped`."""
    frame = message(text)
    if frame is None:
        return [Unmapped("")]
    kind = words(frame.get("type"))
    reader = TABLE.get(kind)
    return [Unmapped(kind)] if reader is None else list(reader(memory, frame))


# --------------------------------------------------------------------------- session


def _created(memory: Memory, frame: Message) -> Iterator[Event]:
    if memory.created:
        yield Unmapped(words(frame.get("type")))
        return
    memory.created = True
    yield SessionCreated(words(frame.get("sessionId")))


def _updated(memory: Memory, frame: Message) -> Iterator[Event]:
    """Where no session was created before, it is now."""
    if not memory.created:
        yield from _created(memory, frame)
    yield SessionUpdated()


def _error(memory: Memory, frame: Message) -> Iterator[Event]:
    code = word(frame.get("code"))
    at_fault = words(frame.get("clientEventId")).partition("-")[0]
    name = UpdateSession.__name__
    said = word(frame.get("message")) or code
    yield ProviderError(
        said or "The provider reported an error without saying which.",
        code,
        command=name if at_fault == name else None,
    )


def _custom(memory: Memory, frame: Message) -> Iterator[Event]:
    usage = usage_of(frame.get("usage"))
    yield Unmapped(words(frame.get("rawType"))) if usage is None else UsageReported(usage)


# --------------------------------------------------------------------------- the person


def _speech_started(memory: Memory, frame: Message) -> Iterator[Event]:
    yield SpeechStarted(memory.spoken_item(frame.get("itemId")))


def _speech_stopped(memory: Memory, frame: Message) -> Iterator[Event]:
    yield SpeechStopped(memory.spoken_item(frame.get("itemId")))


def _committed(memory: Memory, frame: Message) -> Iterator[Event]:
    before = word(frame.get("previousItemId"))
    yield InputCommitted(memory.spoken_item(frame.get("itemId")), before)


def _heard(memory: Memory, frame: Message) -> Iterator[Event]:
    """Some providers complete the same words again and again, each time with more of them."""
    item_id = memory.spoken_item(frame.get("itemId"))
    known = memory.piece(item_id)
    first, known.heard = not known.heard, True
    usage = usage_of(frame.get("usage"))
    text = words(frame.get("transcript"))
    yield UserTranscript(item_id, text, final=first, replace=True, usage=usage)


def _item_added(memory: Memory, frame: Message) -> Iterator[Event]:
    item = fields(frame.get("item"))
    item_id = words(frame.get("itemId")) or words(item.get("id"))
    done = item.get("status") == "completed"
    yield ItemAdded(item_id, kind_of(item), words(item.get("role")), text_of(item), done=done)


# --------------------------------------------------------------------------- responses


def _response_created(memory: Memory, frame: Message) -> Iterator[Event]:
    yield ResponseCreated(memory.response(frame))


_STATUSES = {status.value: status for status in ResponseStatus}


def _response_done(memory: Memory, frame: Message) -> Iterator[Event]:
    status = _STATUSES.get(words(frame.get("status")), ResponseStatus.COMPLETED)
    response_id = memory.response(frame)
    memory.running, memory.split = "", 0
    yield ResponseDone(response_id, status, usage=usage_of(frame.get("usage")))


def _output_item_added(memory: Memory, frame: Message) -> Iterator[Event]:
    item = fields(fields(frame.get("raw")).get("item"))
    kind = kind_of(item) if item else ItemKind.OTHER
    yield OutputItemAdded(
        memory.response(frame),
        memory.item(frame),
        kind,
        word(item.get("call_id")),
        word(item.get("name")),
    )


def _output_item_done(memory: Memory, frame: Message) -> Iterator[Event]:
    yield OutputItemDone(memory.response(frame), memory.item(frame))


def _audio_piece(memory: Memory, frame: Message) -> Iterator[Event]:
    item_id = memory.item(frame)
    pcm = sound(frame.get("delta"))
    if pcm is None:
        yield Unmapped(words(frame.get("type")), broken=True)
    elif pcm := memory.piece(item_id).samples.piece(pcm):
        yield AudioDelta(memory.response(frame), item_id, pcm)


def _audio_done(memory: Memory, frame: Message) -> Iterator[Event]:
    yield AudioDone(memory.response(frame), memory.item(frame))


def _text_piece(memory: Memory, frame: Message) -> Iterator[Event]:
    item_id, spoken = memory.item(frame), frame.get("type") == "audio-transcript-delta"
    known = memory.piece(item_id)
    if text := (known.spoken if spoken else known.written).piece(frame.get("delta")):
        yield TextDelta(memory.response(frame), item_id, text, spoken)


def _text_done(memory: Memory, frame: Message) -> Iterator[Event]:
    spoken = frame.get("type") == "audio-transcript-done"
    whole = frame.get("transcript" if spoken else "text")
    text = words(whole) if isinstance(whole, str) else None
    yield TextDone(memory.response(frame), memory.item(frame), text, spoken)


# --------------------------------------------------------------------------- tool calls


def _arguments_piece(memory: Memory, frame: Message) -> Iterator[Event]:
    item_id = memory.item(frame)
    if text := memory.piece(item_id).arguments.piece(frame.get("delta")):
        call_id = words(frame.get("callId"))
        yield ToolArgumentsDelta(memory.response(frame), item_id, call_id, text)


def _arguments_done(memory: Memory, frame: Message) -> Iterator[Event]:
    call_id, name = words(frame.get("callId")), words(frame.get("name"))
    if not (call_id and name):
        yield Unmapped(words(frame.get("type")))
        return
    response_id = memory.response(frame)
    arguments = words(frame.get("arguments"))
    yield ToolCallReady(response_id, memory.item(frame), call_id, name, arguments)
    if memory.calls_end:
        memory.split += 1
        yield ResponseDone(response_id)


Reader = Callable[[Memory, Message], Iterator[Event]]

TABLE: dict[str, Reader] = {
    "session-created": _created,
    "session-updated": _updated,
    "error": _error,
    "custom": _custom,
    "speech-started": _speech_started,
    "speech-stopped": _speech_stopped,
    "audio-committed": _committed,
    "input-transcription-completed": _heard,
    "conversation-item-added": _item_added,
    "response-created": _response_created,
    "response-done": _response_done,
    "output-item-added": _output_item_added,
    "output-item-done": _output_item_done,
    "audio-delta": _audio_piece,
    "audio-done": _audio_done,
    "audio-transcript-delta": _text_piece,
    "audio-transcript-done": _text_done,
    "text-delta": _text_piece,
    "text-done": _text_done,
    "function-call-arguments-delta": _arguments_piece,
    "function-call-arguments-done": _arguments_done,
}
"""How each normalized event is read. What is not listed here is `Unmapped`."""

KNOWN_UNMAPPED = frozenset({
    "content-part-added", "content-part-done",
    "session-started", "session-closed", "session-usage", "audio-chunk", "transcript-fragment",
    "delegation-created", "command-acknowledged",
})  # fmt: skip
"""Events that have no meaning here: said already by another one, or of continuous sessions."""


def usage_of(value: object) -> Usage | None:
    """The usage of a response or a transcription; None if there is none."""
    told = fields(value)
    if not told:
        return None
    inward, outward = count(told.get("inputTokens")), count(told.get("outputTokens"))
    return Usage(
        total_tokens=inward + outward,
        input_tokens=inward,
        output_tokens=outward,
        input_text_tokens=count(told.get("inputTextTokens")),
        input_audio_tokens=count(told.get("inputAudioTokens")),
        cached_tokens=count(told.get("cachedInputTokens")),
        output_text_tokens=count(told.get("outputTextTokens")),
        output_audio_tokens=count(told.get("outputAudioTokens")),
        seconds=max(0.0, number(told.get("seconds"))),
        cached_text_tokens=count(told.get("cachedInputTextTokens")),
        cached_audio_tokens=count(told.get("cachedInputAudioTokens")),
    )
