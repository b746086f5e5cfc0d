"""Continuous sessions as normalized events, and their client events as frames."""

from __future__ import annotations

import json

import pytest
from openai.types.live.client_event import ClientEvent
from pydantic import TypeAdapter
from wire_examples import frames

from voicechat.errors import UsageError
from voicechat.providers import catalog
from voicechat.providers.gateway.normalized import NormalizedWire

LIVE, TRANSLATOR = "openai/gpt-live-1", "openai/gpt-realtime-translate"
CLIENT = TypeAdapter(ClientEvent)


def wire(model: str = LIVE) -> NormalizedWire:
    return NormalizedWire(catalog.codec_of(model, environ={}))


def decoded(model: str, name: str, scenario: str | None = None) -> list[dict]:
    reader = wire(model)
    found = []
    for frame in frames(name, scenario):
        (event,) = reader.decode(frame)
        assert event.pop("raw")["type"] == json.loads(frame)["type"]
        found.append(event)
    return found


def test_a_live_session_with_client_delegation() -> None:
    events = decoded(LIVE, "openai_live_server", "live-client-delegation")
    kinds = [event["type"] for event in events]
    assert kinds == [
        "session-started", "transcript-fragment", "transcript-fragment", "delegation-created",
        "audio-chunk", "transcript-fragment", *["command-acknowledged"] * 5, "custom", "custom",
        "session-usage", "error", "custom", "session-closed",
    ]  # fmt: skip
    assert events[0]["delegationMode"] == "client"
    assert events[1] == {
        "type": "transcript-fragment", "speaker": "user", "delta": "Can you check",
        "startMs": 420, "endMs": 980,
    }  # fmt: skip
    assert events[3]["target"] == "client"
    assert events[6] == {
        "type": "command-acknowledged", "command": "session.thinking.append",
        "clientEventId": "c_think",
    }  # fmt: skip
    assert events[13] == {
        "type": "session-usage", "usage": {"seconds": 30.0}, "contextWindowUsageRatio": 0.04,
    }  # fmt: skip
    assert events[14]["clientEventId"] == "c_bad"
    assert events[-1]["reason"] == "close_requested"


def test_responses_delegation_is_the_providers() -> None:
    events = decoded(LIVE, "openai_live_server", "live-responses-delegation")
    assert [event["type"] for event in events] == [
        "session-updated",
        "delegation-created",
        "custom",
    ]
    assert events[1]["target"] == "provider"


def test_a_translation() -> None:
    kinds = [e["type"] for e in decoded(TRANSLATOR, "openai_translation_server")]
    assert kinds == [
        "session-created", "session-updated", "transcript-fragment", "transcript-fragment",
        "audio-chunk", "session-closed", "error",
    ]  # fmt: skip


def test_client_events_become_frames_that_the_server_takes() -> None:
    talk = wire()
    said = [
        {"type": "session-start", "eventId": "e1", "config": {"instructions": "Be brief."}},
        {"type": "input-audio-append", "audio": "AAAA"},
        {"type": "context-append", "content": "Wait.", "delegationId": None, "eventId": "e2"},
        {
            "type": "context-append", "content": "Done.", "delegationId": "d",
            "providerOptions": {"openai": {"channel": "commentary"}},
        },
        {"type": "input-audio-mute"}, {"type": "input-audio-unmute"},
        {"type": "conversation-item-create", "item": {"type": "text-message", "text": "Hi."}},
        {"type": "response-create"},
        {"type": "session-close", "eventId": "e3"},
    ]  # fmt: skip
    written = [json.loads(frame) for event in said for frame in talk.encode(event)]
    for frame in written:
        CLIENT.validate_python(frame)
    assert [frame["type"] for frame in written] == [
        "session.start", "session.input_audio.append", "session.thinking.append",
        "session.commentary.append", "session.input_audio.mute", "session.input_audio.unmute",
        "response.item.create", "session.thinking.append", "response.create", "session.close",
    ]  # fmt: skip
    assert [written[0]["event_id"], written[2]["event_id"], written[-1]["event_id"]] == [
        "e1", "e2", "e3",
    ]  # fmt: skip
    assert talk.encode({"type": "input-audio-commit"}) == []


def test_an_own_delegation_replaces_the_default() -> None:
    config = {"providerOptions": {"openai": {"delegation": {"type": "client"}, "store": True}}}
    session = wire().session(config)
    assert session["delegation"] == {"type": "client"}
    assert session["store"] is True


def test_a_translation_takes_its_language_from_the_output() -> None:
    session = wire(TRANSLATOR).session({"outputAudioTranscription": {"language": "fr"}})
    assert session["audio"]["output"] == {"language": "fr"}


def test_an_unknown_channel_is_refused() -> None:
    options = {"openai": {"channel": "shouting"}}
    with pytest.raises(UsageError, match="There is no channel 'shouting'"):
        wire().encode({"type": "context-append", "content": "x", "providerOptions": options})
