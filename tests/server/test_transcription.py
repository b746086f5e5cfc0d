"""Transcription sessions, without a socket."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from scripted import check, tone

from voicechat.server.access import is_transcription
from voicechat.server.realtime.protocol_actions import AudioCommitted, InputSound
from voicechat.server.realtime.server_protocol import ServerProtocol

MANUAL = {"audio": {"input": {"turn_detection": None}}}


def opened(**session: Any) -> ServerProtocol:
    protocol = ServerProtocol("m", ("plain",), now=lambda: 1_000.0, transcription=True)
    if session:
        send(protocol, "session.update", session={"type": "transcription", **session})
    protocol.take()
    return protocol


def send(protocol: ServerProtocol, kind: str, **fields: Any) -> list[Any]:
    return protocol.receive(msgspec.json.encode({"type": kind, **fields}))


def append(protocol: ServerProtocol, sound: bytes) -> list[Any]:
    return send(protocol, "input_audio_buffer.append", audio=base64.b64encode(sound).decode())


def out(protocol: ServerProtocol) -> list[dict[str, Any]]:
    return [check(frame) for frame in protocol.take()]


@pytest.mark.parametrize(
    ("path", "transcription"),
    [
        ("/v1/realtime?intent=transcription", True),
        ("/v1/realtime?model=m&intent=transcription", True),
        ("/v1/realtime?intent=realtime", False),
        ("/v1/realtime?model=transcription", False),
        ("/v1/realtime", False),
    ],
)
def test_the_address_selects_a_transcription_session(path: str, transcription: bool) -> None:
    assert is_transcription(path) is transcription


def test_a_transcription_session_has_its_own_shape() -> None:
    protocol = ServerProtocol("m", now=lambda: 1_000.0, transcription=True)
    (created,) = out(protocol)
    session = created["session"]
    assert session["type"] == "transcription"
    assert set(session["audio"]) == {"input"}
    assert not {"voice", "tools", "instructions", "output_modalities"} & session.keys()
    send(protocol, "session.update", session={"type": "transcription", **MANUAL})
    (updated,) = out(protocol)
    assert updated["type"] == "session.updated"
    assert updated["session"]["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize(
    ("kind", "fields", "param"),
    [
        ("response.create", {}, "type"),
        ("conversation.item.truncate", {"item_id": "i"}, "type"),
        ("session.update", {"session": {"type": "realtime"}}, "session.type"),
        (
            "session.update",
            {"session": {"type": "transcription", "voice": "plain"}},
            "session.voice",
        ),
    ],
)
def test_response_events_are_refused(kind: str, fields: Any, param: str) -> None:
    protocol = opened()
    send(protocol, kind, **fields)
    (error,) = out(protocol)
    assert error["type"] == "error"
    assert error["error"]["param"] == param


def test_a_client_committed_turn_is_transcribed_while_it_is_spoken() -> None:
    protocol = opened(**MANUAL)
    (sound,) = append(protocol, tone(500))
    assert isinstance(sound, InputSound)
    item_id = protocol.speech
    assert item_id is not None
    protocol.transcript_delta(item_id, "one")
    (committed,) = send(protocol, "input_audio_buffer.commit")
    assert committed == AudioCommitted(item_id)
    append(protocol, tone(500))
    assert protocol.speech not in (None, item_id)
    protocol.transcribed(item_id, "one two")
    reported = [(event["type"].rpartition(".")[2], event.get("item_id")) for event in out(protocol)]
    assert reported == [
        ("delta", item_id),
        ("committed", item_id),
        ("added", None),
        ("done", None),
        ("completed", item_id),
    ]


def test_a_server_detected_turn_gets_no_response() -> None:
    protocol = opened()
    append(protocol, tone(500))
    protocol.speech_started(0.0)
    (committed,) = protocol.speech_stopped(400.0, 500.0)
    assert isinstance(committed, AudioCommitted)
    assert protocol.announce("Time is up.") == []
    assert protocol.idle(0.0) == []
    assert not [event for event in out(protocol) if event["type"].startswith("response")]
