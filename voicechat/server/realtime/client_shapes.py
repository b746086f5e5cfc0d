"""Validation of client events: sessions, responses and items, as declarative shapes.

A checked object holds only the fields that the client sent, so that an update changes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voicechat.server.realtime.field_checks import (
    Check,
    anything,
    filled,
    flag,
    invalid,
    list_of,
    mapping,
    nullable,
    number,
    one_of,
    shape,
    short,
    tagged,
    text,
)
from voicechat.server.realtime.server_frames import Json, sound_bytes

OPENAI_VOICES = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)
"""Voice names that every client may use; the default voice of the engine speaks them."""


def _metadata(value: Any, path: str) -> dict[str, str]:
    if len(mapping(value, path)) > 16:
        raise invalid(path, f"Invalid '{path}': at most 16 pairs.")
    return {short(64)(key, path): text(entry, f"{path}.{key}") for key, entry in value.items()}


def _sound(value: Any, path: str) -> str:
    sound_bytes(text(value, path), path)
    return str(value)


def _function_only(value: Any, path: str) -> Json:
    raise invalid(path, "This server runs no MCP tools; offer function tools instead.")


def _modalities(value: Any, path: str) -> list[str]:
    kept: list[str] = list_of(one_of("text", "audio"), 2)(value, path)
    if kept not in (["text"], ["audio"]):
        raise invalid(
            path, f"Invalid modalities: {kept}. Supported combinations are: ['text'] and ['audio']."
        )
    return kept


def _token_limit(value: Any, path: str) -> Any:
    return "inf" if value == "inf" else number(1, 4096, whole=True)(value, path)


def _tool_choice(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return one_of("auto", "none", "required")(value, path)
    return shape({"type": one_of("function"), "name": short(64)}, ("type", "name"))(value, path)


def _word_or_object(*words: str) -> Check:
    return lambda value, path: (
        one_of(*words)(value, path) if isinstance(value, str) else mapping(value, path)
    )


# --------------------------------------------------------------------------- session

_FORMAT = tagged(
    {
        "audio/pcm": filled(
            shape({"type": text, "rate": number(24_000, 24_000, whole=True)}), {"rate": 24_000}
        ),
        "audio/pcmu": shape({"type": text}),
        "audio/pcma": shape({"type": text}),
    }
)
_RESPONDING = {"create_response": True, "interrupt_response": True}
_TURNS = {"type": text, "create_response": nullable(flag), "interrupt_response": nullable(flag)}
_SERVER_VAD = filled(
    shape(
        {
            **_TURNS,
            "threshold": nullable(number(0.0, 1.0)),
            "prefix_padding_ms": nullable(number(0, 5_000, whole=True)),
            "silence_duration_ms": nullable(number(0, 10_000, whole=True)),
            "idle_timeout_ms": nullable(number(5_000, 30_000, whole=True)),
        }
    ),
    {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        **_RESPONDING,
    },
)
_SEMANTIC_VAD = filled(
    shape({**_TURNS, "eagerness": nullable(one_of("low", "medium", "high", "auto"))}),
    {"type": "semantic_vad", "eagerness": "auto", **_RESPONDING},
)
_TRANSCRIPTION = shape(
    {
        "model": nullable(text),
        "language": nullable(text),
        "languages": nullable(list_of(text, 64)),
        "keywords": nullable(list_of(text, 1_000)),
        "prompt": nullable(text),
        "delay": nullable(text),
    }
)
_FUNCTION_TOOL = filled(
    shape(
        {
            "type": text,
            "name": short(64),
            "description": nullable(text),
            "parameters": nullable(mapping),
            "strict": nullable(flag),
        },
        ("name",),
    ),
    {"description": "", "parameters": {"type": "object", "properties": {}}},
)
_TOOLS = list_of(tagged({"function": _FUNCTION_TOOL, "mcp": _function_only}), 128)


def _voice(names: tuple[str, ...]) -> Check:
    known = one_of(*OPENAI_VOICES, *names)
    custom = shape({"id": short(128)}, ("id",))
    return lambda value, path: (
        custom(value, path) if isinstance(value, dict) else known(value, path)
    )


def _shared() -> dict[str, Check]:
    """Return the fields that sessions and responses have in common."""
    return {
        "instructions": text,
        "output_modalities": _modalities,
        "tools": _TOOLS,
        "tool_choice": _tool_choice,
        "parallel_tool_calls": flag,
        "reasoning": mapping,
        "prompt": nullable(mapping),
        "max_output_tokens": _token_limit,
    }


_INCOMING = shape(
    {
        "format": _FORMAT,
        "transcription": nullable(_TRANSCRIPTION),
        "noise_reduction": nullable(
            shape(
                {"type": one_of("near_field", "far_field"), "strength": nullable(anything)},
                ("type",),
            )
        ),
        "turn_detection": nullable(
            tagged({"server_vad": _SERVER_VAD, "semantic_vad": _SEMANTIC_VAD})
        ),
    }
)

TRANSCRIPTION_UPDATE = shape(
    {
        "type": one_of("transcription"),
        "audio": shape({"input": _INCOMING}),
        "include": nullable(list_of(text, 16)),
    },
    ("type",),
)
"""The `session` of `session.update` in a transcription session."""


def session_update(voices: tuple[str, ...]) -> Check:
    """Return the check for `session` of `session.update`.

    voices: the voice names of the engine.
    """
    outgoing = shape({"format": _FORMAT, "voice": _voice(voices), "speed": number(0.25, 1.5)})
    return shape(
        {
            **_shared(),
            "type": one_of("realtime"),
            "model": text,
            "audio": shape({"input": _INCOMING, "output": outgoing}),
            "include": nullable(list_of(text, 16)),
            "tracing": nullable(_word_or_object("auto")),
            "truncation": _word_or_object("auto", "disabled"),
        },
        ("type",),
    )


def any_session(voices: tuple[str, ...]) -> Check:
    """Return the check for a session of either type, with which a connection starts."""
    kinds = {"realtime": session_update(voices), "transcription": TRANSCRIPTION_UPDATE}
    return tagged(kinds)


# --------------------------------------------------------------------------- items

_PARTS: Mapping[str, Check] = {
    "input_text": shape({"type": text, "text": text}, ("text",)),
    "input_audio": shape(
        {"type": text, "audio": _sound, "transcript": nullable(text)}, ("audio",), strict=False
    ),
    "input_image": shape(
        {"type": text, "image_url": text, "detail": nullable(one_of("auto", "low", "high"))},
        ("image_url",),
    ),
    "output_text": shape({"type": text, "text": text}, ("text",), strict=False),
    "output_audio": shape(
        {"type": text, "audio": nullable(_sound), "transcript": nullable(text)}, strict=False
    ),
}
_ROLES: Mapping[str, tuple[str, ...]] = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text", "output_audio"),
}
_COMMON: Mapping[str, Check] = {
    "id": nullable(short(32)),
    "object": nullable(text),
    "type": text,
    "status": nullable(one_of("completed", "incomplete", "in_progress")),
}


def _message(role: str) -> Check:
    content = list_of(tagged({kind: _PARTS[kind] for kind in _ROLES[role]}), 256)
    return shape(
        {**_COMMON, "role": text, "content": content, "phase": nullable(text)}, ("content",)
    )


def _unsupported(value: Any, path: str) -> Json:
    raise invalid(f"{path}.type", "This server runs no MCP tools.")


_ITEM_KINDS: Mapping[str, Check] = {
    "message": tagged({role: _message(role) for role in _ROLES}, tag="role"),
    "function_call": shape(
        {**_COMMON, "call_id": nullable(short(128)), "name": short(128), "arguments": text},
        ("name", "arguments"),
    ),
    "function_call_output": shape(
        {**_COMMON, "call_id": short(128), "output": text}, ("call_id", "output")
    ),
    "mcp_approval_response": _unsupported,
}
ITEM = tagged(_ITEM_KINDS)
"""An item of `conversation.item.create`."""

_INPUT_ITEM = tagged(
    {**_ITEM_KINDS, "item_reference": shape({"type": text, "id": text}, ("id",), strict=False)}
)


def response_create(voices: tuple[str, ...]) -> Check:
    """Return the check for `response` of `response.create`."""
    outgoing = shape({"format": _FORMAT, "voice": _voice(voices)})
    return shape(
        {
            **_shared(),
            "audio": shape({"output": outgoing}),
            "conversation": nullable(one_of("auto", "none")),
            "input": nullable(list_of(_INPUT_ITEM, 1_000)),
            "metadata": nullable(_metadata),
        }
    )


# --------------------------------------------------------------------------- events

EVENTS: Mapping[str, Check] = {
    kind: shape(fields, required, strict=False)
    for kind, fields, required in (
        ("session.update", {"session": mapping}, ("session",)),
        ("input_audio_buffer.append", {"audio": text}, ("audio",)),
        ("input_audio_buffer.commit", {}, ()),
        ("input_audio_buffer.clear", {}, ()),
        (
            "conversation.item.create",
            {"item": ITEM, "previous_item_id": nullable(text)},
            ("item",),
        ),
        ("conversation.item.retrieve", {"item_id": text}, ("item_id",)),
        ("conversation.item.delete", {"item_id": text}, ("item_id",)),
        (
            "conversation.item.truncate",
            {
                "item_id": text,
                "content_index": number(0, 1_000, whole=True),
                "audio_end_ms": number(0, 86_400_000, whole=True),
            },
            ("item_id", "content_index", "audio_end_ms"),
        ),
        ("response.create", {"response": nullable(mapping)}, ()),
        ("response.cancel", {"response_id": nullable(text)}, ()),
        ("output_audio_buffer.clear", {}, ()),
    )
}
"""Each client event, with the fields that the server reads."""
