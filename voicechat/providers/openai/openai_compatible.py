"""Servers of other people with OpenAI's wire, recognized by the session that they announce.

Such a server is a pipeline of models of its own: it knows its transcription model, voice and turn
detection, and it may refuse a whole update because of one value. So the first update leaves out
every value that the server announced, and names no model of OpenAI.

Sources: LocalAI, `core/http/endpoints/openai/realtime.go` and `types/types.go` (GA); Hugging Face
speech-to-speech, `api/openai_realtime/` (GA); speaches, `realtime/` and `types/realtime.py` (beta);
vLLM, `entrypoints/openai/realtime/protocol.py` (transcription only).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from voicechat.core.commands import CommandName
from voicechat.core.events import Event, ProviderError
from voicechat.core.settings import (
    SemanticVad,
    ServerVad,
    SessionSettings,
    Transcription,
    TurnDetection,
)
from voicechat.providers.json_fields import as_text, fields, number, text_or_none
from voicechat.providers.openai import openai_events
from voicechat.providers.openai.openai_beta import BETA
from voicechat.providers.openai.openai_codec import GENERAL, Dialect
from voicechat.providers.openai.openai_events import TABLE
from voicechat.providers.openai.openai_frames import Frame, OpenAIState
from voicechat.providers.openai.openai_parts import Message, silence
from voicechat.providers.openai.openai_turn_ids import with_turn_ids

_FLAT = frozenset({"modalities", "input_audio_format", "output_audio_format"})
"""Fields that only the flat session object of the beta has."""


def recognize(announced: Message) -> Dialect:
    """Return the dialect of the server that announced this session object.

    OpenAI itself, behind an address of the user's own, announces when the session expires.
    """
    if number(announced.get("expires_at")):
        return GENERAL
    is_nested = (
        as_text(announced.get("type")) in {"realtime", "transcription"} or "audio" in announced
    )
    return SERVER_BETA if not is_nested and _FLAT & announced.keys() else SERVER_GA


# --------------------------------------------------------------------------- settings


def adapt(settings: SessionSettings, announced: Message) -> SessionSettings:
    """Return the settings to request from a pipeline that announced this session object.

    It keeps its transcription model, without which it hears nothing, and detects turns by silence.
    """
    heard = fields(fields(announced.get("audio")).get("input"))
    transcription, said = settings.transcription, heard.get("transcription")
    model = text_or_none(fields(said or announced.get("input_audio_transcription")).get("model"))
    if model is not None and (transcription is None or not transcription.model):
        transcription = replace(transcription or Transcription(), model=model)
    detection = fields(heard.get("turn_detection") or announced.get("turn_detection"))
    return replace(
        settings,
        turn_detection=_by_silence(settings.turn_detection, detection),
        transcription=transcription,
    )


def _by_silence(wanted: TurnDetection, announced: Message) -> TurnDetection:
    """Return server VAD with the announced values where the user has none."""
    if isinstance(wanted, SemanticVad) and wanted.eagerness == "auto":
        wanted = ServerVad(
            create_response=wanted.create_response, interrupt_response=wanted.interrupt_response
        )
    if not isinstance(wanted, ServerVad) or announced.get("type") != "server_vad":
        return wanted
    # A server that replaces the whole object would otherwise use zero for a missing value.
    missing = (name for name, value in silence(wanted).items() if value is None)
    known = {name: announced[name] for name in missing if number(announced.get(name))}
    return replace(wanted, **known)  # type: ignore[arg-type]


def unannounced(announced: Message, session: Message) -> Message:
    """Return the session object without the values that the server announced.

    A server that merges updates keeps them, and so does one that replaces whole objects.
    """
    kept: Message = {}
    for name, value in session.items():
        known = announced.get(name)
        if name == "turn_detection" and isinstance(value, dict):
            if changed := _turn_detection(fields(known), value):
                kept[name] = changed
        elif name in {"audio", "input", "output"} and isinstance(value, dict):
            if inner := unannounced(fields(known), value):
                kept[name] = inner
        elif name == "type" or value is None or not _is_within(value, known):
            kept[name] = value
    return kept


def _is_within(value: object, known: object) -> bool:
    """True if the announced value is the same; an announced object may have more fields."""
    if isinstance(value, dict) and isinstance(known, dict):
        return value.items() <= known.items()
    return value == known


def _turn_detection(announced: Message, wanted: Message) -> Message | None:
    """Return the whole turn detection object; None if the server's own is as wanted."""
    if wanted.get("type") != announced.get("type"):
        return wanted
    # Both flags are on by default, so a server may leave them out.
    whole = {"create_response": True, "interrupt_response": True, **announced}
    changed = {name: value for name, value in wanted.items() if whole.get(name) != value}
    return {**announced, **changed} if changed else None


# --------------------------------------------------------------------------- frames


def _created(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    if not fields(frame.session) and as_text(frame.id):
        # vLLM announces an id without a session object.
        yield ProviderError(
            "The server only transcribes, like vLLM. To talk with a model of vLLM, use --chat-url"
            " instead of --base-url.",
            fatal=True,
        )
    else:
        yield from openai_events.session_created(state, frame)


def _updated(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    if state.announced is None:
        # The server waited for settings before it opened the session.
        yield from openai_events.session_created(state, frame)
    yield from openai_events.session_updated(state, frame)


def _error(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    for event in openai_events.error_event(state, frame):
        said = f"{event.code} {event.message}"
        if state.updates and event.command is None and "session" in said:
            # The server names no event that it refuses.
            event = replace(event, command=CommandName.UPDATE_SESSION)
        # Speaches reports each setting that it lacks, and applies the others.
        yield replace(event, partial=event.message.startswith("Specifying `session."))


_TABLE = with_turn_ids({
    **TABLE,
    "session.created": _created,
    "session.updated": _updated,
    "error": _error,
    "input_audio_buffer.partial_transcription": openai_events.transcript_update,
})  # fmt: skip


# --------------------------------------------------------------------------- dialects

SERVER_GA = replace(
    GENERAL,
    table=_TABLE,
    adapt=adapt,
    first_update=unannounced,
)
"""A pipeline with the GA wire, such as LocalAI or Hugging Face speech-to-speech."""

SERVER_BETA = replace(
    SERVER_GA,
    capabilities=replace(BETA.capabilities, out_of_band=False, retrieve=False),
    session=BETA.session,
    update_type=BETA.update_type,
    unsupported=BETA.unsupported,
    writers=BETA.writers,
)
"""A pipeline with the wire of the beta, such as speaches."""

ANY_SERVER = replace(
    SERVER_GA,
    recognize=recognize,
    prompt={"type": "session.update", "session": {"type": "realtime"}},
)
"""A server at the user's own address whose wire its first frame shows."""
