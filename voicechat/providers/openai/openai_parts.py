"""Parts of a session object that several wires of the OpenAI Realtime family share."""

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
"""Writes down the person's words under every kind of turn detection."""

STREAMING_TRANSCRIBER = "gpt-realtime-whisper"
"""Writes while the person speaks; takes a delay, but neither a prompt nor turn detection."""

LIVE_TRANSCRIBER = "gpt-live-transcribe"
"""Writes while the person speaks, who ends their turns: it takes no turn detection."""

KEYWORD_TRANSCRIBERS = ("gpt-transcribe", "gpt-live-transcribe")
"""Those that take several languages and keywords."""


def said(settings: Mapping[str, object]) -> Message:
    """What was set: without the fields that are None."""
    return {name: value for name, value in settings.items() if value is not None}


def transcription(wanted: Transcription | None, usual: str = TRANSCRIBER) -> Message | None:
    """How the person's words are written down, as far as the transcriber takes it.

    `usual` is the one that is asked for when none was named.
    """
    if wanted is None:
        return None
    model = wanted.model or usual
    asked: Message = {"model": model}
    if model != STREAMING_TRANSCRIBER:
        asked |= said({"prompt": wanted.prompt})
    else:
        asked |= said({"delay": wanted.delay})
    languages = wanted.languages or ((wanted.language,) if wanted.language else ())
    if model in KEYWORD_TRANSCRIBERS:
        asked |= {"languages": list(languages)} if languages else {}
        asked |= {"keywords": list(wanted.keywords)} if wanted.keywords else {}
    elif languages:
        asked["language"] = languages[0]
    return asked


def unheard(wanted: Transcription | None, usual: str = TRANSCRIBER) -> list[str]:
    """Names of the fields that the transcriber does not take."""
    if wanted is None:
        return []
    model = wanted.model or usual
    listed, streams = model in KEYWORD_TRANSCRIBERS, model == STREAMING_TRANSCRIBER
    lost = {
        "languages": len(wanted.languages) > 1 and not listed,
        "keywords": bool(wanted.keywords) and not listed,
        "prompt": bool(wanted.prompt) and streams,
        "delay": wanted.delay is not None and not streams,
    }
    return [f"transcription.{name} with {model}" for name, is_lost in lost.items() if is_lost]


def turn_detection(wanted: TurnDetection) -> Message | None:
    """Turn detection; null when the person decides."""
    if wanted is None:
        return None
    reply = {
        "create_response": wanted.create_response,
        "interrupt_response": wanted.interrupt_response,
    }
    if isinstance(wanted, SemanticVad):
        return {"type": "semantic_vad", "eagerness": wanted.eagerness, **reply}
    return {"type": "server_vad", **said(silence(wanted)), **reply}


def silence(wanted: ServerVad) -> Message:
    """The numbers that decide when a turn is over."""
    return {
        "threshold": wanted.threshold,
        "prefix_padding_ms": wanted.prefix_padding_ms,
        "silence_duration_ms": wanted.silence_duration_ms,
        "idle_timeout_ms": wanted.idle_timeout_ms,
    }


def noise_reduction(wanted: NoiseReduction | None) -> Message | None:
    """How the person's sound is cleaned."""
    if wanted is None:
        return None
    return said({"type": wanted.kind, "strength": wanted.strength})


def tools(settings: SessionSettings) -> list[Message]:
    """Functions first, then MCP servers."""
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
        **said({
            "server_url": server.url,
            "connector_id": server.connector,
            "authorization": server.authorization,
            "server_description": server.description,
            "allowed_tools": list(server.allowed_tools) or None,
        }),
    }  # fmt: skip


def tool_choice(wanted: str | McpChoice | None) -> object:
    """One of the three words, or the one tool that must be used."""
    if isinstance(wanted, McpChoice):
        return said({"type": "mcp", "server_label": wanted.label, "name": wanted.name})
    if wanted in {None, "auto", "none", "required"}:
        return wanted
    return {"type": "function", "name": wanted}


def tracing(wanted: object) -> object:
    """The word, or how the session is filed."""
    if not isinstance(wanted, Tracing):
        return wanted
    return said({
        "workflow_name": wanted.workflow_name,
        "group_id": wanted.group_id,
        "metadata": dict(wanted.metadata) or None,
    })  # fmt: skip


def truncation(wanted: object) -> object:
    """The word, or how much is kept."""
    if not isinstance(wanted, RetentionRatio):
        return wanted
    limits = wanted.post_instructions and {"post_instructions": wanted.post_instructions}
    return {
        "type": "retention_ratio",
        "retention_ratio": wanted.ratio,
        **said({"token_limits": limits}),
    }


def prompt(settings: SessionSettings) -> Message | None:
    """The stored prompt."""
    stored = settings.prompt
    if stored is None:
        return None
    return said({
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
"""What undoes a setting. A voice and a reasoning effort cannot be unset."""


def changes(before: Message, after: Message) -> Message:
    """The part of a session object that an update has to carry; fields that vanished are reset."""
    kind = {"type": after["type"]} if "type" in after else {}
    return {**kind, **_difference(before, after)}


def everything(before: Message, after: Message) -> Message:
    """The whole session object, for servers that may not keep what an update leaves out."""
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


# --------------------------------------------------------------------------- what is lacking


def ignored(provider: str, settings: SessionSettings, names: Iterable[str]) -> list[str]:
    """A sentence for each of these fields that was set: the provider has no such setting.

    A name may lead into a field, as in `transcription.prompt`.
    """
    usual = SessionSettings()
    return [
        lacks(provider, name)
        for name in names
        if _at(settings, name) not in (None, _at(usual, name))
    ]


def lacks(provider: str, name: str, instead: str = "it is ignored") -> str:
    """The sentence that a provider does not have a setting, and what happens instead."""
    return f"{provider} has no setting {name}: {instead}."


def _at(settings: object, path: str) -> object:
    for name in path.split("."):
        settings = getattr(settings, name, None)
    return settings
