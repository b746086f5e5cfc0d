"""Clients of the beta, by header and by subprotocol: beta names in both directions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import pytest
import wire_examples
from openai.types.beta.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from scripted import TOKEN, ScriptedServer, scripted_server
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from voicechat.server.engine_protocols import Call, Say
from voicechat.server.realtime.beta_protocol import BetaServerProtocol, to_ga

_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
_KINDS = {
    get_args(kind.model_fields["type"].annotation)[0]
    for kind in get_args(get_args(RealtimeServerEvent)[0])
}
_FLAT = {
    "modalities": ["text", "audio"],
    "instructions": "Be brief.",
    "voice": "deep",
    "input_audio_format": "g711_ulaw",
    "output_audio_format": "pcm16",
    "input_audio_transcription": {"model": "whisper-1"},
    "input_audio_noise_reduction": None,
    "turn_detection": None,
    "tools": [{"name": "look_up", "parameters": {"type": "object"}}],
    "tool_choice": "auto",
    "max_response_output_tokens": "inf",
    "speed": 1.2,
}


def check(frame: str | bytes) -> dict[str, Any]:
    """Decode a frame of the beta after the class of the openai package has validated it."""
    raw: dict[str, Any] = json.loads(frame)
    assert raw["type"] in _KINDS
    _EVENTS.validate_python(raw)
    return raw


@asynccontextmanager
async def opened(
    backend: ScriptedServer, *, by_header: bool = True
) -> AsyncIterator[ClientConnection]:
    """Open a beta session."""
    headers = {"Authorization": f"Bearer {TOKEN}", "OpenAI-Beta": "realtime=v1"}
    names = ["realtime", f"openai-insecure-api-key.{TOKEN}", "openai-beta.realtime-v1"]
    async with connect(
        f"{backend.app.url}?model=gpt-realtime",
        additional_headers=headers if by_header else None,
        subprotocols=None if by_header else [Subprotocol(name) for name in names],
        proxy=None,
    ) as socket:
        yield socket


async def ask(socket: ClientConnection, last: str, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """Send the events; return the answers up to the first of the type `last`."""
    for event in events:
        await socket.send(json.dumps(event))
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not seen or seen[-1]["type"] != last:
            seen.append(check(await socket.recv()))
    return seen


def said(text: str, role: str = "user", kind: str = "input_text") -> dict[str, Any]:
    """Return the event that creates a message."""
    content = [{"type": kind, "text": text}]
    item = {"type": "message", "role": role, "content": content}
    return {"type": "conversation.item.create", "item": item}


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_session_in_beta_names(by_header: bool) -> None:
    async with scripted_server() as backend, opened(backend, by_header=by_header) as socket:
        first = await ask(socket, "conversation.created")
        assert first[0]["type"] == "session.created"
        assert first[0]["session"]["modalities"] == ["audio", "text"]
        update = {"type": "session.update", "session": {**_FLAT, "temperature": 0.7}}
        (updated,) = await ask(socket, "session.updated", update)
        session = updated["session"]
        tool = session.pop("tools")[0]
        assert (tool["type"], tool["name"]) == ("function", "look_up")
        expected = {
            name: value for name, value in _FLAT.items() if name not in ("tools", "modalities")
        }
        assert {name: session[name] for name in expected} == expected
        assert "audio" not in session
        assert "output_modalities" not in session


async def test_replies_in_beta_names() -> None:
    async with scripted_server() as backend, opened(backend) as socket:
        backend.assistant.answer = lambda request: [
            Say("Hello there."),
            Call("c1", "look_up", "{}"),
        ]
        events = await ask(
            socket,
            "response.done",
            said("Earlier I said hello.", "assistant", "text"),
            said("Hi"),
            {
                "type": "response.create",
                "response": {"temperature": 0.6, "modalities": ["audio", "text"]},
            },
        )
        found = list(dict.fromkeys(event["type"] for event in events))
        assert found[2:] == [
            "conversation.item.created",
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.audio_transcript.delta",
            "response.audio.delta",
            "response.audio.done",
            "response.audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.done",
        ]
        assert [m.text for m in backend.assistant.requests[0].messages] == [
            "Earlier I said hello.",
            "Hi",
        ]
        response = events[-1]["response"]
        assert response["modalities"] == ["audio", "text"]
        assert response["output_audio_format"] == "pcm16"
        assert response["output"][0]["content"] == [{"type": "audio", "transcript": "Hello there."}]
        text = {
            "type": "response.create",
            "response": {"modalities": ["text"], "conversation": "none"},
        }
        events = await ask(socket, "response.done", text)
        assert {"response.text.delta", "response.text.done"} <= {event["type"] for event in events}
        assert events[-1]["response"]["output"][0]["content"][0]["type"] == "text"


async def test_errors_name_the_fields_of_the_beta() -> None:
    async with scripted_server() as backend, opened(backend) as socket:
        for session, param in (
            ({"input_audio_format": "opus"}, "session.input_audio_format"),
            ({"turn_detection": {"threshold": 7}}, "session.turn_detection.threshold"),
            ({"modalities": ["smell"]}, "session.modalities[0]"),
        ):
            update = {"type": "session.update", "session": session}
            error = (await ask(socket, "error", update))[-1]["error"]
            assert error["param"] == param


def test_example_frames_of_the_beta_are_understood() -> None:
    protocol = BetaServerProtocol("gpt-realtime")
    for frame in wire_examples.frames("openai_beta_client", "beta-turn"):
        protocol.take()
        protocol.receive(frame)
        errors = [
            event["error"]["code"]
            for event in map(check, protocol.take())
            if event["type"] == "error"
        ]
        # The examples name items of another session, and none of these is refused for its form.
        refused = {"invalid_type", "unknown_parameter", "missing_required_parameter"}
        assert not refused & set(errors)


def test_a_transcription_session_in_beta_names() -> None:
    protocol = BetaServerProtocol("gpt-realtime", transcription=True)
    (update,) = wire_examples.frames("openai_beta_client", "beta-transcription")
    protocol.receive(update)
    created, updated = (json.loads(frame) for frame in protocol.take())
    assert created["type"] == "transcription_session.created"
    assert updated["type"] == "transcription_session.updated"
    assert updated["session"]["input_audio_format"] == "pcm16"
    assert updated["session"]["turn_detection"]["type"] == "server_vad"


@pytest.mark.parametrize(
    "session", [None, 7, {"tools": 7, "turn_detection": 7}, {"audio": 7, "voice": "x"}]
)
def test_wrong_types_pass_through_to_the_checks(session: Any) -> None:
    for kind in ("session.update", "transcription_session.update"):
        assert to_ga({"type": kind, "session": session})["type"] == "session.update"
    to_ga({"type": "response.create", "response": session})
    to_ga({"type": "conversation.item.create", "item": {"role": "assistant", "content": [session]}})
