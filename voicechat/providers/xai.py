"""xAI's voice models: the OpenAI Realtime wire with ways of its own.

Its session object mixes both generations, so it has a writer here. It speaks today's names, with
differences that `TABLE` mends:

* a reply that the person talks into before their turn was committed never ends;
* there is no `conversation.item.done`;
* with turn detection off it still tells where it hears speech, which then means nothing;
* the seconds it bills are a running total of the conversation.

With turn detection off a commit alone starts the reply, and sound sent during a reply would break
it off without ending it; the codec holds that sound back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from voicechat.core.commands import (
    ClearOutput,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    RetrieveItem,
    TruncateItem,
)
from voicechat.core.events import (
    Event,
    ItemAdded,
    ItemKind,
    ResponseDone,
    ResponseStatus,
    SpeechStarted,
    Unmapped,
)
from voicechat.core.settings import (
    Capabilities,
    McpServer,
    SemanticVad,
    ServerVad,
    SessionSettings,
    Transcription,
    TurnDetection,
)
from voicechat.providers.json_fields import fields, number, words
from voicechat.providers.openai import openai_events
from voicechat.providers.openai import openai_parts as parts
from voicechat.providers.openai import openai_responses as replies
from voicechat.providers.openai.openai_codec import Dialect
from voicechat.providers.openai.openai_frames import Frame, Memory, kind_of, text_of
from voicechat.providers.openai.openai_parts import Message, everything, ignored, lacks, said
from voicechat.providers.openai.openai_session import (
    WRITERS,
    Writers,
    audio_format,
    create_message,
    odd_rates,
)

NAME = "xai"

TRANSCRIBER = "grok-transcribe"

RATES = (24_000, 16_000, 48_000, 44_100, 32_000, 22_050, 8_000)
"""Rates of PCM16, in Hz, the best for this use first."""

_EFFORTS = ("none", "high")

_LACKING = (
    "noise_reduction",
    "max_output_tokens",
    "parallel_tool_calls",
    "temperature",
    "tracing",
    "truncation",
    "prompt",
    "include",
    "transcription.prompt",
    "transcription.delay",
)


def session_object(settings: SessionSettings) -> Message:
    """The whole session object; a setting that is None is left out."""
    effort = settings.reasoning_effort
    spoken = {"format": audio_format(settings.output_format), **said({"speed": settings.speed})}
    heard = {
        "format": audio_format(settings.input_format),
        **said({"transcription": _transcription(settings.transcription)}),
    }
    return {
        "turn_detection": _turn_detection(settings.turn_detection),
        "audio": {"input": heard, "output": spoken},
        "tools": parts.tools(replace(settings, mcp_servers=_reachable(settings))),
        **said({
            "instructions": settings.instructions,
            "voice": settings.voice,
            "tool_choice": parts.tool_choice(settings.tool_choice),
            "reasoning": {"effort": effort} if effort in _EFFORTS else None,
        }),
    }  # fmt: skip


def _transcription(wanted: Transcription | None) -> Message | None:
    if wanted is None:
        return None
    languages = wanted.languages or (wanted.language,)
    return said({
        "model": wanted.model or TRANSCRIBER,
        "language_hint": languages[0],
        "keyterms": list(wanted.keywords) or None,
    })  # fmt: skip


def _turn_detection(wanted: TurnDetection) -> Message | None:
    if isinstance(wanted, SemanticVad):
        wanted = ServerVad(interrupt_response=wanted.interrupt_response)
    return parts.turn_detection(wanted)


def _reachable(settings: SessionSettings) -> tuple[McpServer, ...]:
    return tuple(server for server in settings.mcp_servers if server.url)


def unsupported(provider: str, settings: SessionSettings) -> list[str]:
    """A sentence for each setting that `session_object` cannot carry, or that has no effect."""
    wanted = settings.transcription
    detection = settings.turn_detection
    effort = settings.reasoning_effort
    instead = {
        "turn_detection semantic_vad": isinstance(detection, SemanticVad)
        and "a silence ends the turn",
        "turn_detection.create_response": detection is not None
        and not detection.create_response
        and "every turn is answered",
        "output text": settings.output == "text" and "it always speaks",
        "transcription.languages": wanted is not None
        and len(wanted.languages) > 1
        and "the first one is used",
        f"reasoning_effort {effort}": effort not in (None, *_EFFORTS)
        and "it knows none and high, and its own default counts",
        "mcp_servers.connector": len(_reachable(settings)) < len(settings.mcp_servers)
        and "only servers with a url are used",
    }
    return [
        *ignored(provider, settings, _LACKING),
        *(lacks(provider, name, what) for name, what in instead.items() if what),
        *odd_rates(provider, settings, RATES),
    ]


# --------------------------------------------------------------------------- what it says


def _created(memory: Memory, frame: Frame) -> Iterable[Event]:
    memory.answered = memory.turn
    return replies.response_created(memory, frame)


def _speech_started(memory: Memory, frame: Frame) -> Iterable[Event]:
    if memory.manual:
        yield Unmapped(words(frame.type))
        return
    item_id = words(frame.item_id)
    if memory.running and item_id == memory.turn == memory.answered:
        # The same turn goes on: the reply that had begun is dropped and will never end.
        memory.given_up, memory.running = memory.running, ""
        yield ResponseDone(memory.given_up, ResponseStatus.CANCELLED, "turn_detected")
    memory.turn = item_id
    yield SpeechStarted(item_id, number(frame.audio_start_ms))


def _speech_stopped(memory: Memory, frame: Frame) -> Iterable[Event]:
    if memory.manual:
        return [Unmapped(words(frame.type))]
    return openai_events.TABLE["input_audio_buffer.speech_stopped"](memory, frame)


def _done(memory: Memory, frame: Frame) -> Iterable[Event]:
    if memory.given_up and fields(frame.response).get("id") == memory.given_up:
        yield Unmapped(words(frame.type))
        return
    for event in replies.response_done(memory, frame):
        if isinstance(event, ResponseDone) and event.usage:
            billed = number(fields(frame.usage).get("billable_audio_seconds"))
            seconds = max(0.0, billed - memory.billed_seconds)
            memory.billed_seconds = max(billed, memory.billed_seconds)
            event = replace(event, usage=replace(event.usage, seconds=seconds))
        yield event


def _item_added(memory: Memory, frame: Frame) -> Iterable[Event]:
    done = fields(frame.item).get("status") == "completed"
    name = "conversation.item.done" if done else "conversation.item.added"
    return openai_events.TABLE[name](memory, frame)


def _output_item_done(memory: Memory, frame: Frame) -> Iterable[Event]:
    item = fields(frame.item)
    item_id, kind = words(item.get("id")), kind_of(item)
    parts_told = memory.item(item_id).parts
    text = text_of(item) or "".join(parts_told[index] for index in sorted(parts_told))
    yield from replies.output_item_done(memory, frame)
    role = "assistant" if kind is ItemKind.MESSAGE else ""
    yield ItemAdded(item_id, kind, role, text, done=True)


TABLE = {
    **openai_events.TABLE,
    "response.created": _created,
    "response.done": _done,
    "response.output_item.done": _output_item_done,
    "conversation.item.added": _item_added,
    "input_audio_buffer.speech_started": _speech_started,
    "input_audio_buffer.speech_stopped": _speech_stopped,
}
"""How each wire type is read."""


# --------------------------------------------------------------------------- what it is told


def _create_message(command: CreateMessage) -> Message:
    # Items have ids of the server's own making here.
    message = create_message(command)
    item = {name: value for name, value in fields(message["item"]).items() if name != "id"}
    return {**message, "item": item}


def _create_response(command: CreateResponse) -> Message:
    modalities = ["text", "audio"] if command.output == "audio" else ["text"]
    asked = said({
        "instructions": command.instructions,
        "modalities": modalities if command.output else None,
    })  # fmt: skip
    return {"response": asked} if asked else {}


_WRITERS: Writers = {
    **WRITERS,
    CreateMessage: ("conversation.item.create", _create_message),
    CreateResponse: ("response.create", _create_response),
}
# It could delete items, but nobody here knows the ids that it gave to what was typed.
_UNKNOWN = {TruncateItem, RetrieveItem, DeleteItem, ClearOutput}

XAI = Dialect(
    name=NAME,
    capabilities=Capabilities(
        speed_range=(0.7, 1.5),
        truncate=False,
        semantic_vad=False,
        text_output=False,
        commit_starts_response=True,
        out_of_band=False,
        retrieve=False,
        delete=False,
        clear_output=False,
        pictures=(),
        input_rates=RATES,
        output_rates=RATES,
    ),
    session=session_object,
    updates=everything,
    unsupported=unsupported,
    writers={name: _WRITERS[name] for name in _WRITERS if name not in _UNKNOWN},
    table=TABLE,
    fixed=("purpose",),
    half_duplex=True,
    clears_first=True,
)
"""xAI."""
