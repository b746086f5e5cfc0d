"""What servers of the OpenAI Realtime family are told: settings and commands as JSON objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from voicechat.core.events import (
    CancelResponse,
    ClearAudio,
    ClearOutput,
    Command,
    CommitAudio,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    RetrieveItem,
    ToolResult,
    TruncateItem,
)
from voicechat.core.settings import (
    AudioFormat,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
    Transcription,
    TurnDetection,
)
from voicechat.providers.openai_replies import APART

Message = dict[str, object]
"""A JSON object."""

TRANSCRIBER = "gpt-transcribe"
"""Writes down the person's words under every kind of turn detection."""

_LISTS_LANGUAGES = ("gpt-transcribe", "gpt-live-transcribe")


def session_object(settings: SessionSettings) -> Message:
    """The whole session object of today's wire; a setting that is None is left out.

    Turn detection and transcription are always there, as null when they are off.
    """
    heard = {
        "format": _format(settings.input_format),
        "transcription": _transcription(settings.transcription),
        "turn_detection": _turn_detection(settings.turn_detection),
    }
    if settings.noise_reduction is not None:
        heard["noise_reduction"] = {"type": settings.noise_reduction}
    audio: Message = {"input": heard}
    if settings.output == "audio":
        spoken: Message = {"voice": settings.voice, "speed": settings.speed}
        audio["output"] = {"format": _format(settings.output_format), **_said(spoken)}
    return {
        "type": "realtime",
        "output_modalities": [settings.output],
        "audio": audio,
        "tools": [_tool(tool) for tool in settings.tools],
        **_said({
            "instructions": settings.instructions,
            "tool_choice": _tool_choice(settings.tool_choice),
            "max_output_tokens": settings.max_output_tokens,
        }),
    }  # fmt: skip


def changes(before: Message, after: Message) -> Message:
    """The part of a session object that an update has to carry; fields that vanished are reset."""
    changed = _difference(before, after)
    return {"type": after.get("type", "realtime"), **changed}


_RESETS: Mapping[str, object] = {
    "instructions": "",
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "noise_reduction": None,
    "speed": 1.0,
}
"""What undoes a setting. A voice cannot be unset."""


def _difference(before: Message, after: Message) -> Message:
    changed: Message = {name: _RESETS[name] for name in before if name in _RESETS.keys() - after}
    for name, value in after.items():
        known = before.get(name)
        if name in {"audio", "input", "output"} and isinstance(known, dict):
            if inner := _difference(known, cast("Message", value)):
                changed[name] = inner
        elif name not in before or known != value:
            changed[name] = value
    return changed


def _said(settings: Message) -> Message:
    return {name: value for name, value in settings.items() if value is not None}


def _format(sound: AudioFormat) -> Message:
    if sound.encoding == "pcm16":
        return {"type": "audio/pcm", "rate": sound.rate}
    return {"type": f"audio/{sound.encoding}"}


def _transcription(wanted: Transcription | None) -> Message | None:
    if wanted is None:
        return None
    model = wanted.model or TRANSCRIBER
    asked: Message = {"model": model, **_said({"prompt": wanted.prompt})}
    if wanted.language and model in _LISTS_LANGUAGES:
        asked["languages"] = [wanted.language]
    elif wanted.language:
        asked["language"] = wanted.language
    return asked


def _turn_detection(wanted: TurnDetection) -> Message | None:
    if wanted is None:
        return None
    reply = {
        "create_response": wanted.create_response,
        "interrupt_response": wanted.interrupt_response,
    }
    if isinstance(wanted, SemanticVad):
        return {"type": "semantic_vad", "eagerness": wanted.eagerness, **reply}
    return {"type": "server_vad", **_said(_silence(wanted)), **reply}


def _silence(wanted: ServerVad) -> Message:
    return {
        "threshold": wanted.threshold,
        "prefix_padding_ms": wanted.prefix_padding_ms,
        "silence_duration_ms": wanted.silence_duration_ms,
        "idle_timeout_ms": wanted.idle_timeout_ms,
    }


def _tool(tool: ToolSpec) -> Message:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }


def _tool_choice(wanted: str | None) -> object:
    if wanted in {None, "auto", "none", "required"}:
        return wanted
    return {"type": "function", "name": wanted}


# --------------------------------------------------------------------------- commands


def _create_message(command: CreateMessage) -> Message:
    content = "output_text" if command.role == "assistant" else "input_text"
    item = {
        "type": "message",
        "id": command.item_id,
        "role": command.role,
        "content": [{"type": content, "text": command.text}],
    }
    return _said({"item": item, "previous_item_id": command.previous_item_id})


def _tool_result(command: ToolResult) -> Message:
    return {
        "item": {
            "type": "function_call_output",
            "call_id": command.call_id,
            "output": command.output,
        }
    }


def _truncate(command: TruncateItem) -> Message:
    return {
        "item_id": command.item_id,
        "content_index": command.content_index,
        "audio_end_ms": command.audio_end_ms,
    }


def _create_response(command: CreateResponse) -> Message:
    metadata = {**command.metadata, **({APART: "1"} if command.out_of_band else {})}
    response = _said({
        "instructions": command.instructions,
        "conversation": "none" if command.out_of_band else None,
        "metadata": metadata or None,
    })  # fmt: skip
    return {"response": response} if response else {}


def _item_id(command: RetrieveItem | DeleteItem) -> Message:
    return {"item_id": command.item_id}


def _response_id(command: CancelResponse) -> Message:
    return _said({"response_id": command.response_id})


def _nothing(command: Command) -> Message:
    return {}


WRITERS: Mapping[type[Command], tuple[str, Callable[..., Message]]] = {
    CommitAudio: ("input_audio_buffer.commit", _nothing),
    ClearAudio: ("input_audio_buffer.clear", _nothing),
    CreateMessage: ("conversation.item.create", _create_message),
    ToolResult: ("conversation.item.create", _tool_result),
    RetrieveItem: ("conversation.item.retrieve", _item_id),
    DeleteItem: ("conversation.item.delete", _item_id),
    TruncateItem: ("conversation.item.truncate", _truncate),
    CreateResponse: ("response.create", _create_response),
    CancelResponse: ("response.cancel", _response_id),
    ClearOutput: ("output_audio_buffer.clear", _nothing),
}
"""Wire type and fields of each command that needs no memory."""
