"""Recorded client sessions: every frame is accepted, or refused for a known reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripted import check

from voicechat.server.realtime.server_protocol import ServerProtocol

_WIRE = Path(__file__).parents[2] / "support" / "wire" / "openai_ga_client.jsonl"
_REFUSED = {
    # Items with ids of other connections, remote tools, WebRTC and transcription sessions.
    "conversation.item.truncate": "item_truncate_invalid_item_id",
    "conversation.item.retrieve": "item_retrieve_invalid_item_id",
    "conversation.item.delete": "item_delete_invalid_item_id",
    "response.cancel": "response_cancel_not_active",
    "output_audio_buffer.clear": "invalid_event",
}


def _frames() -> list[dict[str, Any]]:
    lines = _WIRE.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("recorded", _frames(), ids=lambda recorded: recorded["id"])
def test_recorded_frame_is_understood(recorded: dict[str, Any]) -> None:
    protocol = ServerProtocol("m")
    protocol.take()
    protocol.receive(json.dumps(recorded["raw"]))
    events = [check(frame) for frame in protocol.take()]
    errors = [event["error"] for event in events if event["type"] == "error"]
    if recorded["scenario"] in ("mcp", "transcription-session"):
        return
    kind = recorded["raw"]["type"]
    unknown_call = recorded["raw"].get("item", {}).get("type") == "function_call_output"
    expected = "invalid_tool_call_id" if unknown_call else _REFUSED.get(kind)
    if kind == "input_audio_buffer.commit":
        expected = "input_audio_buffer_commit_empty"
    assert [error["code"] for error in errors] == ([expected] if expected else [])
