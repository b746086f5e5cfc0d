"""Clients that send null for each field that they do not set, over a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import wire_examples
from openai.types.realtime import RealtimeClientEvent, RealtimeSessionCreateRequest
from pydantic import BaseModel, TypeAdapter
from scripted import ScriptedServer, check, scripted_server

_EVENTS: TypeAdapter[BaseModel] = TypeAdapter(RealtimeClientEvent)
_LAST = {"type": "session.update", "session": {"type": "realtime", "instructions": "the last"}}


def _with_nulls(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as its class of the openai package writes it with every field."""
    found = _EVENTS.validate_python(event).model_dump(mode="json", by_alias=True)
    return {**found, "event_id": "from_the_client"}


def _examples() -> list[dict[str, Any]]:
    """Return an example of each form of each client event that this server carries out."""
    frames = map(json.loads, wire_examples.frames("openai_ga_client"))
    return [
        frame
        for frame in frames
        if "mcp" not in str(frame) and frame.get("session", {}).get("type") != "transcription"
    ]


async def _answers(backend: ScriptedServer, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """Send the events on one connection; return what the server sends up to its last answer."""
    seen: list[dict[str, Any]] = []
    # The client does not read what follows, so the server's close does not arrive.
    client = backend.client().realtime.connect(
        model="m", websocket_connection_options={"close_timeout": 0.1}
    )
    async with client as connection, asyncio.timeout(20):
        for event in (*events, _LAST):
            await connection.send(event)
        while seen[-1:] == [] or seen[-1].get("session", {}).get("instructions") != "the last":
            seen.append(check(await connection.recv_bytes()))
    return seen


async def test_null_means_not_given_in_every_client_event() -> None:
    async with scripted_server() as backend:
        plain = await _answers(backend, *_examples())
        nulls = await _answers(backend, *map(_with_nulls, _examples()))
    # The examples name items and calls of other sessions, so some are refused.
    found = [[e["error"]["code"] for e in seen if e["type"] == "error"] for seen in (plain, nulls)]
    assert found[0] == found[1]


async def test_null_changes_no_setting_that_cannot_be_null() -> None:
    session: dict[str, Any] = {
        "type": "realtime",
        "instructions": "be brief",
        "output_modalities": ["text"],
        "tools": [{"type": "function", "name": "look_up"}],
        "audio": {"input": {"turn_detection": None}, "output": {"speed": 1.2, "voice": "deep"}},
    }
    names = RealtimeSessionCreateRequest.model_fields
    nothing = {**dict.fromkeys(names), "type": "realtime"}
    unset = dict.fromkeys(("format", "voice", "speed"))
    nested = {"type": "realtime", "audio": {"output": unset, "input": {"format": None}}}
    async with scripted_server() as backend:
        events = await _answers(
            backend,
            {"type": "session.update", "session": session},
            {"type": "session.update", "session": nothing},
            {"type": "session.update", "session": nested},
        )
    before, *after = [e["session"] for e in events if e["type"] == "session.updated"]
    assert [one["instructions"] for one in after] == ["be brief", "be brief", "the last"]
    for one in after:
        assert {**one, "instructions": "be brief"} == before
