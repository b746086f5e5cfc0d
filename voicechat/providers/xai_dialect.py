"""xAI's voice models: a dialect of the OpenAI Realtime wire.

Events have GA names, with differences that `TABLE` corrects:

* a response that the user interrupts before their turn is committed never ends;
* there is no `conversation.item.done`;
* with turn detection off, speech events still arrive and mean nothing;
* billed seconds are a running total of the conversation;
* an error does not always name the event that caused it.

Detected speech does not always end the running response, so an interruption cancels it and then
truncates its item. Older servers refuse to truncate; a server that refused it once is not asked
again.

With turn detection off, a commit alone starts the response, and audio sent during a response
would abort it without an end; the codec holds that audio back.

Sources: xAI docs, "Voice Agent API" (client and server events, `force_message`, ephemeral
tokens), "Text to Speech" and "Custom Voices" (lists of voices) and "Models and Pricing"; pipecat,
pull request 5255 of xAI (cancel and truncate at an interruption, and the texts of errors); the
other differences were recorded from its sockets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from voicechat.core.commands import (
    ClearOutput,
    CommandName,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    RetrieveItem,
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
from voicechat.core.settings import CONVERSATION_ONLY
from voicechat.providers.json_fields import as_text, fields, number
from voicechat.providers.openai import openai_events
from voicechat.providers.openai import openai_responses as replies
from voicechat.providers.openai.openai_client_events import GENERAL_EVENTS
from voicechat.providers.openai.openai_codec import Dialect
from voicechat.providers.openai.openai_frames import Frame, OpenAIState, kind_of, text_of
from voicechat.providers.openai.openai_parts import Message, everything, without_none
from voicechat.providers.openai.openai_session import WRITERS, Writers, create_message
from voicechat.providers.xai_session import RATES, session_object, unsupported

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
    text = text_of(item) or state.item(item_id).text
    yield from replies.output_item_done(state, frame)
    role = "assistant" if kind is ItemKind.MESSAGE else ""
    yield ItemAdded(item_id, kind, role, text, done=True)


_REFUSALS = {
    "trunca": CommandName.TRUNCATE_ITEM,
    "no active response": CommandName.CANCEL_RESPONSE,
}
"""Texts in errors about commands that need no success."""


def _error(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    for error in openai_events.error_event(state, frame):
        text = error.message.lower()
        named = (name for part, name in _REFUSALS.items() if part in text)
        command = error.command or next(named, None)
        if command is CommandName.TRUNCATE_ITEM:
            state.refused.add(command)
        yield replace(error, command=command)


TABLE = {
    **openai_events.TABLE,
    "response.created": _created,
    "response.done": _done,
    "response.output_item.done": _output_item_done,
    "conversation.item.added": _item_added,
    "input_audio_buffer.speech_started": _speech_started,
    "input_audio_buffer.speech_stopped": _speech_stopped,
    "error": _error,
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


def _verbatim(text: str) -> Message:
    """Return the item that the server speaks by itself: no `response.create` follows."""
    content = [{"type": "output_text", "text": text}]
    return {"type": "force_message", "role": "assistant", "content": content}


_WRITERS: Writers = {
    **WRITERS,
    CreateMessage: ("conversation.item.create", _create_message),
    CreateResponse: ("response.create", _create_response),
}
# The server could delete items, but does not report the ids it gives to typed ones.
_UNKNOWN = {RetrieveItem, DeleteItem, ClearOutput}
_NO_EVENTS = {"conversation.item.retrieve", "output_audio_buffer.clear"}

XAI = Dialect(
    name="xai",
    capabilities=replace(
        CONVERSATION_ONLY,
        speed_range=(0.7, 1.5),
        cancels_on_speech=False,
        verbatim=True,
        semantic_vad=False,
        text_output=False,
        commit_starts_response=True,
        input_rates=RATES,
        output_rates=RATES,
    ),
    session=session_object,
    updates=everything,
    unsupported=unsupported,
    writers={name: _WRITERS[name] for name in _WRITERS if name not in _UNKNOWN},
    table=TABLE,
    fixed=("purpose",),
    client_events=tuple(each for each in GENERAL_EVENTS if each.name not in _NO_EVENTS),
    short_ids=False,
    half_duplex=True,
    verbatim=_verbatim,
    clears_first=True,
    bills_connection=True,
)
"""The dialect of xAI."""
