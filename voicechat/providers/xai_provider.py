"""xAI's voice models: a dialect of the OpenAI Realtime wire, and the catalog entry.

The session object mixes the GA and beta shapes, so it has a writer here. Events have GA names,
with differences that `TABLE` corrects:

* a response that the user interrupts before their turn is committed never ends;
* there is no `conversation.item.done`;
* with turn detection off, speech events still arrive and mean nothing;
* billed seconds are a running total of the conversation.

With turn detection off, a commit alone starts the response, and audio sent during a response
would abort it without an end; the codec holds that audio back.

Sources: xAI docs, "Voice Agent API" (session parameters, client and server events, ephemeral
tokens), "Text to Speech" (list of voices) and "Models and Pricing"; the differences were recorded
from its sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

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
from voicechat.core.price import Price
from voicechat.core.settings import (
    Capabilities,
    McpServer,
    SemanticVad,
    ServerVad,
    SessionSettings,
    Transcription,
    TurnDetection,
)
from voicechat.errors import Secret
from voicechat.providers.base_url import realtime_url
from voicechat.providers.codec import Codec
from voicechat.providers.json_fields import as_text, fields, number
from voicechat.providers.openai import openai_events
from voicechat.providers.openai import openai_parts as parts
from voicechat.providers.openai import openai_responses as replies
from voicechat.providers.openai.openai_codec import Dialect, OpenAICodec
from voicechat.providers.openai.openai_frames import Frame, OpenAIState, kind_of, text_of
from voicechat.providers.openai.openai_parts import (
    CONTINUOUS,
    Message,
    everything,
    ignored,
    no_setting,
    without_none,
)
from voicechat.providers.openai.openai_session import (
    WRITERS,
    Writers,
    audio_format,
    create_message,
    odd_rates,
)
from voicechat.providers.provider import ConnectionRequest, Provider
from voicechat.providers.rest import (
    HttpRequest,
    TokenEndpoint,
    TokenRequest,
    bearer,
    below_socket,
    post,
)
from voicechat.system.dial_target import DialTarget

TRANSCRIBER = "grok-transcribe"

RATES = (24_000, 16_000, 48_000, 44_100, 32_000, 22_050, 8_000)
"""Rates of PCM16, in Hz, the preferred one first."""

_EFFORTS = ("none", "high")

_UNSUPPORTED = (
    *CONTINUOUS,
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
    """Return the whole session object; a setting that is None is left out."""
    effort = settings.reasoning_effort
    spoken = {
        "format": audio_format(settings.output_format),
        **without_none({"speed": settings.speed}),
    }
    heard = {
        "format": audio_format(settings.input_format),
        **without_none({"transcription": _transcription(settings.transcription)}),
    }
    return {
        "turn_detection": _turn_detection(settings.turn_detection),
        "audio": {"input": heard, "output": spoken},
        "tools": parts.tools(replace(settings, mcp_servers=_reachable(settings))),
        **without_none({
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
    return without_none({
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
    """Return a sentence for each setting that is not supported or has no effect."""
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
        and "it accepts none and high; its default is used",
        "mcp_servers.connector": len(_reachable(settings)) < len(settings.mcp_servers)
        and "only servers with a url are used",
    }
    return [
        *ignored(provider, settings, _UNSUPPORTED),
        *(no_setting(provider, name, what) for name, what in instead.items() if what),
        *odd_rates(provider, settings, RATES),
    ]


# --------------------------------------------------------------------------- server events


def _created(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    state.answered = state.turn
    return replies.response_created(state, frame)


def _speech_started(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    if state.manual:
        yield Unmapped(as_text(frame.type))
        return
    item_id = as_text(frame.item_id)
    if state.running and item_id == state.turn == state.answered:
        # The turn continues: the server drops the response that began and never ends it.
        state.abandoned, state.running = state.running, ""
        yield ResponseDone(state.abandoned, ResponseStatus.CANCELLED, "turn_detected")
    state.turn = item_id
    yield SpeechStarted(item_id, number(frame.audio_start_ms))


def _speech_stopped(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    if state.manual:
        return [Unmapped(as_text(frame.type))]
    return openai_events.TABLE["input_audio_buffer.speech_stopped"](state, frame)


def _done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    if state.abandoned and fields(frame.response).get("id") == state.abandoned:
        yield Unmapped(as_text(frame.type))
        return
    for event in replies.response_done(state, frame):
        if isinstance(event, ResponseDone) and event.usage:
            billed = number(fields(frame.usage).get("billable_audio_seconds"))
            seconds = max(0.0, billed - state.billed_seconds)
            state.billed_seconds = max(billed, state.billed_seconds)
            event = replace(event, usage=replace(event.usage, seconds=seconds))
        yield event


def _item_added(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    done = fields(frame.item).get("status") == "completed"
    name = "conversation.item.done" if done else "conversation.item.added"
    return openai_events.TABLE[name](state, frame)


def _output_item_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    item = fields(frame.item)
    item_id, kind = as_text(item.get("id")), kind_of(item)
    known = state.item(item_id).parts
    text = text_of(item) or "".join(known[index] for index in sorted(known))
    yield from replies.output_item_done(state, frame)
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
"""Reader of each wire type."""


# --------------------------------------------------------------------------- client events


def _create_message(command: CreateMessage) -> Message:
    # The server chooses the ids of items.
    message = create_message(command)
    item = {name: value for name, value in fields(message["item"]).items() if name != "id"}
    return {**message, "item": item}


def _create_response(command: CreateResponse) -> Message:
    modalities = ["text", "audio"] if command.output == "audio" else ["text"]
    asked = without_none({
        "instructions": command.instructions,
        "modalities": modalities if command.output else None,
    })  # fmt: skip
    return {"response": asked} if asked else {}


_WRITERS: Writers = {
    **WRITERS,
    CreateMessage: ("conversation.item.create", _create_message),
    CreateResponse: ("response.create", _create_response),
}
# The server could delete items, but does not report the ids it gives to typed ones.
_UNKNOWN = {TruncateItem, RetrieveItem, DeleteItem, ClearOutput}

XAI = Dialect(
    name="xai",
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
    short_ids=False,
    half_duplex=True,
    clears_first=True,
)
"""The dialect of xAI."""


# --------------------------------------------------------------------------- catalog entry

URL = "wss://api.x.ai/v1/realtime"

_DEFAULT_TOKEN_S = 600


def _connect(request: ConnectionRequest) -> Callable[[], Codec]:
    url = realtime_url(request.base_url or URL, request.model)
    return partial(OpenAICodec, url, request.key, XAI)


def _token_request(request: TokenRequest) -> HttpRequest:
    seconds = _DEFAULT_TOKEN_S if request.seconds is None else request.seconds
    body = {"expires_after": {"seconds": seconds}}
    return post(below_socket(request.socket, "client_secrets"), bearer(request.key), body)


def _dial(url: str, token: Secret) -> DialTarget:
    # A browser cannot set headers, so xAI takes its tokens as a subprotocol.
    return DialTarget(url, {}, (Secret(f"xai-client-secret.{token.reveal()}"),))


PROVIDER = Provider(
    name=XAI.name,
    default_model="grok-voice-latest",
    models=("grok-voice-latest", "grok-voice-think-fast-2.0", "grok-voice-think-fast-1.0"),
    voices=("ara", "eve", "rex", "sal", "leo"),
    voice_list="tts/voices",
    prices={
        "grok-voice-latest": Price(minute=0.08, dated="2026-09-24"),
        "grok-voice-think-fast-2.0": Price(minute=0.08, dated="2026-09-24"),
        "grok-voice-think-fast-1.0": Price(minute=0.05, dated="2026-04-06"),
    },
    key_variables=("XAI_API_KEY",),
    url=URL,
    connect=_connect,
    tokens=TokenEndpoint(_token_request, 1, 7_200, dial=_dial),
    order=30,
)
