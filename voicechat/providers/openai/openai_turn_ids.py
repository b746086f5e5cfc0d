"""One item id for each turn of the user, at servers whose events name several or none.

LocalAI announces speech without an id, commits it under a new id and transcribes it under another
one. An event with an unknown id belongs to the latest turn that is not transcribed yet.

Source: LocalAI, `core/http/endpoints/openai/realtime.go`, `handleVAD` and `commitUtterance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from voicechat.core.events import Event
from voicechat.providers.json_fields import as_text
from voicechat.providers.openai.openai_events import Reader
from voicechat.providers.openai.openai_frames import Frame, OpenAIState

_MOST_TURNS = 16
"""Turns whose ids are known."""

_TRANSCRIPTION = "conversation.item.input_audio_transcription."


def with_turn_ids(table: Mapping[str, Reader]) -> dict[str, Reader]:
    """Return the readers, with the id of the turn in the events about the user's speech."""
    named: dict[str, Callable[[OpenAIState, str], str]] = {
        "input_audio_buffer.speech_started": _started,
        "input_audio_buffer.speech_stopped": _stopped,
        "input_audio_buffer.committed": _committed,
        **{kind: _transcribed for kind in table if kind.startswith(_TRANSCRIPTION)},
    }
    return {**table, **{kind: _renamed(table[kind], name) for kind, name in named.items()}}


def _renamed(read: Reader, name: Callable[[OpenAIState, str], str]) -> Reader:
    def renamed(state: OpenAIState, frame: Frame) -> Iterable[Event]:
        frame.item_id = name(state, as_text(frame.item_id))
        return read(state, frame)

    return renamed


def _begin(state: OpenAIState, item_id: str) -> str:
    state.turns = [*state.turns, item_id][-_MOST_TURNS:]
    return item_id


def _started(state: OpenAIState, item_id: str) -> str:
    if item_id:
        return _begin(state, item_id)
    state.unnamed_turns += 1
    # The id of the session keeps the turns of two connections apart.
    session = as_text((state.announced or {}).get("id"))
    state.uncommitted = _begin(state, f"turn_{session}_{state.unnamed_turns}")
    return state.uncommitted


def _stopped(state: OpenAIState, item_id: str) -> str:
    return item_id or state.uncommitted


def _committed(state: OpenAIState, item_id: str) -> str:
    turn, state.uncommitted = state.uncommitted, ""
    if item_id in state.turns:
        return item_id
    return turn or _begin(state, item_id)


def _transcribed(state: OpenAIState, item_id: str) -> str:
    latest = state.turns[-1] if state.turns else ""
    if item_id in state.turns or not latest or state.item(latest).transcribed:
        return item_id
    return latest
