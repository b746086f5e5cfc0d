"""Servers with OpenAI's wire: how the first frame shows the dialect, and what an update says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voicechat.core import commands
from voicechat.core.commands import CommandName
from voicechat.core.events import ProviderError, SessionCreated, SessionUpdated
from voicechat.core.settings import SemanticVad, ServerVad, SessionSettings, Transcription
from voicechat.providers.openai.openai_codec import GENERAL, OpenAICodec
from voicechat.providers.openai.openai_compatible import (
    ANY_SERVER,
    SERVER_BETA,
    SERVER_GA,
    adapt,
    recognize,
    unannounced,
)

FLAT = {"id": "s", "modalities": ["audio", "text"], "input_audio_format": "pcm16"}
NESTED = {"id": "s", "type": "realtime", "audio": {"input": {}, "output": {}}}


def created(session: object) -> tuple[OpenAICodec, list[Any]]:
    codec = OpenAICodec("ws://127.0.0.1:1/v1/realtime", None, ANY_SERVER)
    return codec, codec.decode(json.dumps({"type": "session.created", "session": session}))


def updated(codec: OpenAICodec, settings: SessionSettings) -> dict[str, Any]:
    (frame,) = codec.encode(commands.UpdateSession(settings))
    message: dict[str, Any] = json.loads(frame)
    assert message["type"] == "session.update"
    session: dict[str, Any] = message["session"]
    return session


@pytest.mark.parametrize(
    ("session", "dialect"),
    [
        (NESTED, SERVER_GA),
        ({"id": "s", "audio": {}}, SERVER_GA),
        ({"type": "realtime"}, SERVER_GA),
        ({"id": "s"}, SERVER_GA),
        ({**NESTED, "modalities": ["text"]}, SERVER_GA),
        (FLAT, SERVER_BETA),
        ({"output_audio_format": "pcm16"}, SERVER_BETA),
        ({**NESTED, "expires_at": 1_790_000_000}, GENERAL),
        ({**NESTED, "expires_at": None}, SERVER_GA),
        ({**NESTED, "expires_at": "never"}, SERVER_GA),
    ],
)
def test_the_announced_session_shows_the_dialect(session, dialect) -> None:
    assert recognize(session) is dialect
    codec, events = created(session)
    assert [type(event) for event in events] == [SessionCreated]
    assert codec.capabilities == dialect.capabilities


@pytest.mark.parametrize(
    "session", [None, [], 7, "x", {"audio": 3}, {"modalities": 1}, {"type": []}]
)
def test_any_announced_session_is_survived(session) -> None:
    codec, events = created(session)
    assert [type(event) for event in events] == [SessionCreated]
    assert updated(codec, SessionSettings())


def test_only_numbers_of_the_announced_silence_are_taken_over() -> None:
    announced = {"type": "server_vad", "threshold": "loud", "silence_duration_ms": 500}
    settings = adapt(SessionSettings(), {"turn_detection": announced})
    assert settings.turn_detection == ServerVad(silence_duration_ms=500)


def test_openai_behind_another_address_is_treated_as_openai() -> None:
    codec, _ = created({**NESTED, "expires_at": 1_790_000_000})
    assert updated(codec, SessionSettings()) == GENERAL.session(SessionSettings())


def test_the_transcription_model_of_the_server_is_kept() -> None:
    heard = {"transcription": {"model": "whisper-large"}}
    codec, _ = created({**NESTED, "audio": {"input": heard}})
    assert "transcription" not in updated(codec, SessionSettings())["audio"]["input"]
    codec, _ = created({**NESTED, "audio": {"input": heard}})
    german = SessionSettings(transcription=Transcription(language="de"))
    said = updated(codec, german)["audio"]["input"]["transcription"]
    assert said == {"model": "whisper-large", "language": "de"}
    own = SessionSettings(transcription=Transcription(model="mine"))
    said = updated(created({**NESTED, "audio": {"input": heard}})[0], own)["audio"]["input"]
    assert said["transcription"] == {"model": "mine"}


def test_turns_end_by_silence_with_the_values_of_the_server() -> None:
    known = {"type": "server_vad", "threshold": 0.6, "silence_duration_ms": 350}
    codec, _ = created({**FLAT, "turn_detection": known})
    assert "turn_detection" not in updated(codec, SessionSettings(turn_detection=SemanticVad()))
    session = updated(codec, SessionSettings(turn_detection=None))
    assert session["turn_detection"] is None
    session = updated(codec, SessionSettings(turn_detection=ServerVad(threshold=0.3)))
    assert session["turn_detection"]["silence_duration_ms"] == 350
    assert session["turn_detection"]["threshold"] == 0.3
    eager = SessionSettings(turn_detection=SemanticVad(eagerness="high"))
    assert updated(codec, eager)["turn_detection"]["type"] == "semantic_vad"


def test_only_the_first_update_leaves_out_announced_values() -> None:
    codec, _ = created({**FLAT, "instructions": "Be brief."})
    brief, kind = SessionSettings(instructions="Be brief."), SessionSettings(instructions="Be kind")
    assert "instructions" not in updated(codec, brief)
    assert updated(codec, kind)["instructions"] == "Be kind"
    assert updated(codec, brief)["instructions"] == "Be brief."


def test_a_null_is_always_sent() -> None:
    assert unannounced({"a": None, "b": 1}, {"a": None, "b": 1}) == {"a": None}


def test_the_beta_has_its_own_names() -> None:
    codec, _ = created(FLAT)
    (frame,) = codec.encode(commands.CreateResponse("Hi.", output="audio"))
    assert json.loads(frame)["response"]["modalities"] == ["audio", "text"]
    (frame,) = codec.encode(commands.CreateMessage("i", "assistant", "hi"))
    assert json.loads(frame)["item"]["content"] == [{"type": "text", "text": "hi"}]
    assert codec.encode(commands.CreateResponse("Hi.", out_of_band=True)) == []


def test_a_server_without_a_first_frame_is_prompted_and_its_answer_opens_the_session() -> None:
    codec = OpenAICodec("ws://127.0.0.1:1/v1/realtime", None, ANY_SERVER)
    assert [json.loads(frame)["type"] for frame in codec.prompting()] == ["session.update"]
    events = codec.decode(json.dumps({"type": "session.updated", "session": FLAT}))
    assert [type(event) for event in events] == [SessionCreated, SessionUpdated]
    assert codec.capabilities == SERVER_BETA.capabilities
    assert OpenAICodec("ws://127.0.0.1:1/v1/realtime").prompting() == []


def test_an_error_about_the_session_belongs_to_the_update() -> None:
    codec, _ = created(NESTED)
    error = {"code": "session_update_error", "message": "Failed to update session"}
    frame = json.dumps({"type": "error", "error": error})
    (before,) = codec.decode(frame)
    updated(codec, SessionSettings())
    (after,) = codec.decode(frame)
    assert isinstance(before, ProviderError)
    assert isinstance(after, ProviderError)
    assert before.command is None
    assert after.command is CommandName.UPDATE_SESSION
    codec.decode(json.dumps({"type": "session.updated", "session": NESTED}))
    assert codec.decode(frame) == [before]


def test_a_busy_server_may_send_the_code_as_the_type() -> None:
    codec, _ = created(NESTED)
    kind = "conversation_already_has_active_response"
    error = {"type": kind, "message": "Cannot create response.", "code": None}
    (event,) = codec.decode(json.dumps({"type": "error", "error": error}))
    assert isinstance(event, ProviderError)
    assert event.code == kind


def test_an_announced_id_without_a_session_only_transcribes() -> None:
    codec = OpenAICodec("ws://127.0.0.1:1/v1/realtime", None, ANY_SERVER)
    (event,) = codec.decode('{"type": "session.created", "id": "sess-1", "created": 1}')
    assert isinstance(event, ProviderError)
    assert event.fatal
    assert "only transcribes" in event.message


def test_a_partial_transcript_of_speaches() -> None:
    codec, _ = created(FLAT)
    kind = "input_audio_buffer.partial_transcription"
    (event,) = codec.decode(json.dumps({"type": kind, "item_id": "i", "transcript": "set a"}))
    assert (event.item_id, event.text, event.replace) == ("i", "set a", True)


_COMPLETED = "conversation.item.input_audio_transcription.completed"


def heard(codec: OpenAICodec, *frames: tuple[str, str | None]) -> list[str]:
    """Return the item ids of the events in frames with a wire type and an item id."""
    ids = []
    for kind, item_id in frames:
        frame = {"type": kind, "transcript": "hello"} | ({"item_id": item_id} if item_id else {})
        ids += [event.item_id for event in codec.decode(json.dumps(frame))]
    return ids


def test_a_turn_of_localai_has_one_id() -> None:
    codec, _ = created({**NESTED, "id": "sess_9"})
    for number, (committed, transcribed) in enumerate([("x", "y"), ("v", "w")], 1):
        ids = heard(
            codec,
            ("input_audio_buffer.speech_started", None),
            ("input_audio_buffer.speech_stopped", None),
            ("input_audio_buffer.committed", committed),
            (_COMPLETED, transcribed),
        )
        assert ids == [f"turn_sess_9_{number}"] * 4


def test_a_manual_turn_of_localai_has_the_committed_id() -> None:
    codec, _ = created(NESTED)
    assert heard(codec, ("input_audio_buffer.committed", "x"), (_COMPLETED, "y")) == ["x", "x"]


def test_turns_with_ids_of_their_own_keep_them() -> None:
    codec, _ = created(NESTED)
    frames = [
        ("input_audio_buffer.speech_started", "a"), ("input_audio_buffer.committed", "a"),
        ("input_audio_buffer.speech_started", "b"), (_COMPLETED, "a"),
        ("input_audio_buffer.committed", "b"), (_COMPLETED, "b"), (_COMPLETED, "other"),
    ]  # fmt: skip
    assert heard(codec, *frames) == [item_id for _, item_id in frames]
