"""Errors of `session.update`: which part of the settings they name."""

from __future__ import annotations

import json

import pytest

from voicechat.core import commands, events
from voicechat.core.settings import McpServer, SessionSettings, ToolSpec
from voicechat.providers.openai.openai_codec import OpenAICodec

SETTINGS = SessionSettings(
    voice="bob",
    tools=(ToolSpec("one", "", {}), ToolSpec("two", "", {})),
    mcp_servers=(McpServer("docs", "https://example.com"),),
)


def refusal(codec: OpenAICodec, param: str | None, **more: object) -> events.ProviderError:
    (frame,) = codec.encode(commands.UpdateSession(SETTINGS))
    error = {
        "type": "invalid_request_error", "code": "invalid_value", "message": "No.", "param": param,
        "event_id": json.loads(frame)["event_id"], **more,
    }  # fmt: skip
    (event,) = codec.decode(json.dumps({"type": "error", "event_id": "e", "error": error}))
    assert isinstance(event, events.ProviderError)
    assert event.command is commands.CommandName.UPDATE_SESSION
    return event


@pytest.mark.parametrize(
    ("param", "part"),
    [
        ("session.tools[1].parameters", "tools.two"),
        ("tools[0].name", "tools.one"),
        ("session.tools.0.parameters", "tools.one"),
        ("session.tools[2].server_url", "mcp_servers.docs"),
        ("session.tools[9]", "tools"),
        ("session.tools", "tools"),
        ("session.audio.output.voice", "voice"),
        ("session.voice", "voice"),
        ("session.audio.input.transcription.model", "transcription"),
        ("session.audio.input.turn_detection.threshold", "turn_detection"),
        ("session.reasoning.effort", "reasoning_effort"),
        ("session.tool_choice", "tool_choice"),
        ("session.type", None),
        (None, None),
    ],
)
def test_the_named_part(param: str | None, part: str | None) -> None:
    codec = OpenAICodec("ws://x")
    codec.encode(commands.UpdateSession(SessionSettings()))
    assert refusal(codec, param).part == part


def test_an_error_without_an_event_id_is_recognized_by_its_path() -> None:
    assert refusal(OpenAICodec("ws://x"), "session.voice", event_id=None).part == "voice"


def test_an_error_of_another_command_names_no_part() -> None:
    codec = OpenAICodec("ws://x")
    error = {"message": "No.", "param": "voice", "event_id": "CreateResponse-3"}
    (event,) = codec.decode(json.dumps({"type": "error", "error": error}))
    assert isinstance(event, events.ProviderError)
    assert event.part is None
