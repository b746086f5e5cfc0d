"""The session object of one connection: defaults, updates, and the plan of a response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voicechat.server.realtime.item_store import StoredItem
from voicechat.server.realtime.server_frames import Json, new_id
from voicechat.server.realtime.server_response import ResponsePlan, offers
from voicechat.speech.formats import Format

_PCM = {"type": "audio/pcm", "rate": 24_000}
_MERGED = ("audio", "input", "output")


def new_session(
    model: str, voice: str, expires_at: int, defaults: Mapping[str, Any] | None = None
) -> Json:
    """Return the session before the first update.

    expires_at: Unix time in seconds. defaults: a checked update that the session starts with.
    """
    session: Json = {
        "type": "realtime",
        "object": "realtime.session",
        "id": new_id("sess"),
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "include": None,
        "audio": {
            "input": {
                "format": dict(_PCM),
                "transcription": {"model": model},
                "noise_reduction": None,
                "turn_detection": {
                    "type": "semantic_vad",
                    "eagerness": "auto",
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": dict(_PCM), "voice": voice, "speed": 1.0},
        },
    }
    merge(session, defaults or {})
    return session


def session_echo(session: Json, transcription: bool) -> Json:
    """Return the session for the wire, in the form of a transcription session if it is one."""
    if not transcription:
        return session
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": session["id"],
        "expires_at": session["expires_at"],
        "include": session["include"],
        "audio": {"input": session["audio"]["input"]},
    }


def merge(session: Json, update: Mapping[str, Any]) -> None:
    """Apply a checked update to the session. The model and the type never change."""
    for name, value in update.items():
        if name in _MERGED:
            merge(session[name], value)
        elif name not in ("model", "type"):
            session[name] = value


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> Json:
    """Return a checked update with the fields of two; those of `above` win."""
    both = {
        name: overlaid(below[name], above[name])
        for name in _MERGED
        if name in below and name in above
    }
    return {**below, **above, **both}


def input_format(session: Json) -> Format:
    """Return the format of the input audio."""
    return Format(session["audio"]["input"]["format"]["type"])


def plan(
    session: Json, response: Mapping[str, Any], context: Sequence[StoredItem] | None
) -> ResponsePlan:
    """Return the plan of a response: the session, overridden by the checked `response`."""
    merged = {**session, **{name: value for name, value in response.items() if value is not None}}
    output = {**session["audio"]["output"], **response.get("audio", {}).get("output", {})}
    voice, choice, limit = output["voice"], merged["tool_choice"], merged["max_output_tokens"]
    return ResponsePlan(
        instructions=merged["instructions"],
        own_instructions=response.get("instructions") or "",
        spoken=merged["output_modalities"] == ["audio"],
        voice=voice["id"] if isinstance(voice, dict) else voice,
        speed=output["speed"],
        format=Format(output["format"]["type"]),
        tools=offers(merged["tools"]),
        tool_choice=choice["name"] if isinstance(choice, dict) else choice,
        max_tokens=None if limit == "inf" else limit,
        metadata=response.get("metadata"),
        out_of_band=response.get("conversation") == "none",
        context=None if context is None else tuple(context),
    )
