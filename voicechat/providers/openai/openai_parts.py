"""Parts of a session object that several wires of the OpenAI Realtime family share.

Sources: OpenAI Realtime API reference, "Session"; the guides "Voice activity detection (VAD)"
and "Realtime transcription" (which transcription model takes which fields).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from voicechat.core.settings import (
    McpChoice,
    McpServer,
    NoiseReduction,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
    Tracing,
    Transcription,
    TurnDetection,
)

Message = dict[str, object]
"""A JSON object."""

TRANSCRIBER = "gpt-transcribe"
"""The default: works with every kind of turn detection."""

STREAMING_TRANSCRIBER = "gpt-realtime-whisper"
"""Transcribes during speech; takes a delay, but neither a prompt nor turn detection."""

LIVE_TRANSCRIBER = "gpt-live-transcribe"
"""Transcribes during speech; takes no turn detection, so the client ends turns."""

KEYWORD_TRANSCRIBERS = ("gpt-transcribe", "gpt-live-transcribe")
"""Models that take several languages and keywords."""


def without_none(settings: Mapping[str, object]) -> Message:
    """Return the settings without the ones that are None."""
    return {name: value for name, value in settings.items() if value is not None}


def transcription(wanted: Transcription | None, default: str = TRANSCRIBER) -> Message | None:
    """Return the transcription object with the fields that its model accepts.

    `default` is the model to use if none is named.
    """
    if wanted is None:
        return None
    model = wanted.model or default
    asked: Message = {"model": model}
    if model != STREAMING_TRANSCRIBER:
        asked |= without_none({"prompt": wanted.prompt})
    else:
        asked |= without_none({"delay": wanted.delay})
    languages = wanted.languages or ((wanted.language,) if wanted.language else ())
    if model in KEYWORD_TRANSCRIBERS:
        asked |= {"languages": list(languages)} if languages else {}
        asked |= {"keywords": list(wanted.keywords)} if wanted.keywords else {}
    elif languages:
        asked["language"] = languages[0]
    return asked


def unsupported_transcription(
    wanted: Transcription | None, default: str = TRANSCRIBER
) -> list[str]:
    """Return the names of the fields that the transcription model does not accept."""
    if wanted is None:
        return []
    model = wanted.model or default
    listed, streams = model in KEYWORD_TRANSCRIBERS, model == STREAMING_TRANSCRIBER
    lost = {
        "languages": len(wanted.languages) > 1 and not listed,
        "keywords": bool(wanted.keywords) and not listed,
        "prompt": bool(wanted.prompt) and streams,
        "delay": wanted.delay is not None and not streams,
    }
    return [f"transcription.{name} with {model}" for name, is_lost in lost.items() if is_lost]


def turn_detection(wanted: TurnDetection) -> Message | None:
    """Return the turn detection object; null if the user ends turns."""
    if wanted is None:
        return None
    reply = {
        "create_response": wanted.create_response,
        "interrupt_response": wanted.interrupt_response,
    }
    if isinstance(wanted, SemanticVad):
        return {"type": "semantic_vad", "eagerness": wanted.eagerness, **reply}
    return {"type": "server_vad", **without_none(silence(wanted)), **reply}


def silence(wanted: ServerVad) -> Message:
    """Return the thresholds of server VAD."""
    return {
        "threshold": wanted.threshold,
        "prefix_padding_ms": wanted.prefix_padding_ms,
        "silence_duration_ms": wanted.silence_duration_ms,
        "idle_timeout_ms": wanted.idle_timeout_ms,
    }


def noise_reduction(wanted: NoiseReduction | None) -> Message | None:
    """Return the noise reduction object of the microphone's audio."""
    if wanted is None:
        return None
    return without_none({"type": wanted.kind, "strength": wanted.strength})


def tools(settings: SessionSettings) -> list[Message]:
    """Return functions, then MCP servers."""
    return [*map(_tool, settings.tools), *map(_mcp, settings.mcp_servers)]


def _tool(tool: ToolSpec) -> Message:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }


def _mcp(server: McpServer) -> Message:
    return {
        "type": "mcp",
        "server_label": server.label,
        "require_approval": server.require_approval,
        **without_none({
            "server_url": server.url,
            "connector_id": server.connector,
            "authorization": server.authorization,
            "server_description": server.description,
            "allowed_tools": list(server.allowed_tools) or None,
            "tunnel_id": server.tunnel,
            "headers": dict(server.headers) or None,
            "defer_loading": server.defer_loading,
            "allowed_callers": list(server.allowed_callers) or None,
        }),
    }  # fmt: skip


def tool_choice(wanted: str | McpChoice | None) -> object:
    """Return auto, none or required, or the one tool that must be used."""
    if isinstance(wanted, McpChoice):
        return without_none({"type": "mcp", "server_label": wanted.label, "name": wanted.name})
    if wanted in {None, "auto", "none", "required"}:
        return wanted
    return {"type": "function", "name": wanted}


def tracing(wanted: object) -> object:
    """Return `auto`, or how the session is named in traces."""
    if not isinstance(wanted, Tracing):
        return wanted
    return without_none({
        "workflow_name": wanted.workflow_name,
        "group_id": wanted.group_id,
        "metadata": dict(wanted.metadata) or None,
    })  # fmt: skip


def truncation(wanted: object) -> object:
    """Return auto or disabled, or how much of the conversation is kept."""
    if not isinstance(wanted, RetentionRatio):
        return wanted
    limits = wanted.post_instructions and {"post_instructions": wanted.post_instructions}
    return {
        "type": "retention_ratio",
        "retention_ratio": wanted.ratio,
        **without_none({"token_limits": limits}),
    }


def prompt(settings: SessionSettings) -> Message | None:
    """Return the stored prompt."""
    stored = settings.prompt
    if stored is None:
        return None
    return without_none({
        "id": stored.id,
        "version": stored.version,
        "variables": dict(stored.variables) or None,
    })  # fmt: skip


# --------------------------------------------------------------------------- updates

RESETS: Mapping[str, object] = {
    "instructions": "",
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "max_response_output_tokens": "inf",
    "noise_reduction": None,
    "input_audio_noise_reduction": None,
    "speed": 1.0,
    "temperature": 0.8,
    "parallel_tool_calls": True,
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "include": [],
}
"""Values that reset a setting. A voice and a reasoning effort cannot be reset."""


def changes(before: Message, after: Message) -> Message:
    """Return the part of a session object that changed; removed fields are reset."""
    kind = {"type": after["type"]} if "type" in after else {}
    return {**kind, **_difference(before, after)}


def everything(before: Message, after: Message) -> Message:
    """Return the whole session object, for servers that may drop what an update leaves out."""
    return after


def _difference(before: Message, after: Message) -> Message:
    changed: Message = {name: RESETS[name] for name in before if name in RESETS.keys() - after}
    for name, value in after.items():
        known = before.get(name)
        if name in {"audio", "input", "output"} and isinstance(known, dict):
            if inner := _difference(known, cast("Message", value)):
                changed[name] = inner
        elif name not in before or known != value:
            changed[name] = value
    return changed


# --------------------------------------------------------------------------- unsupported


CONTINUOUS = ("backing_model", "translate_to")
"""Settings that only continuous sessions have."""

UNCOMMON = (*CONTINUOUS, "pronunciation")
"""Settings that few providers have."""


def ignored(provider: str, settings: SessionSettings, names: Iterable[str]) -> list[str]:
    """Return a sentence for each of these fields that is set; the provider has no such setting.

    A name may be a path, like `transcription.prompt`.
    """
    default = SessionSettings()
    return [
        no_setting(provider, name)
        for name in names
        if _at(settings, name) not in (None, _at(default, name))
    ]


def no_setting(provider: str, name: str, instead: str = "it is ignored") -> str:
    """Return the sentence that a provider has no such setting, and what happens instead."""
    return f"{provider} has no setting {name}: {instead}."


def _at(settings: object, path: str) -> object:
    for name in path.split("."):
        settings = getattr(settings, name, None)
    return settings
