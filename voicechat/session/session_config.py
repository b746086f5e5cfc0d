"""The session configuration that a web page sends, checked and read into our settings.

Fields that are not listed here are ignored: a client applies them itself when it connects.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4SessionConfig`; the engine behind
`useRealtime` in `ai`, `src/realtime/realtime-session.ts`, posts it as `{"sessionConfig": …}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from voicechat.core.settings import SessionSettings, ToolSpec
from voicechat.core.text import clean
from voicechat.errors import UsageError

MAX_TOOLS = 128
"""Tools of a session, as providers accept them."""

_Short = Annotated[str, Meta(max_length=200)]
_Text = Annotated[str, Meta(max_length=100_000)]
_ToolName = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
_Milliseconds = Annotated[float, Meta(ge=0, le=60_000)]


class _Format(msgspec.Struct, omit_defaults=True):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Annotated[int, Meta(ge=8_000, le=48_000)] | None = None


class _Transcription(msgspec.Struct, omit_defaults=True):
    model: _Short | None = None
    language: _Short | None = None
    prompt: _Text | None = None


class _TurnDetection(msgspec.Struct, omit_defaults=True, rename="camel"):
    type: Literal["server-vad", "semantic-vad", "disabled"]
    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    silence_duration_ms: _Milliseconds | None = None
    prefix_padding_ms: _Milliseconds | None = None


class _Tool(msgspec.Struct, omit_defaults=True):
    type: Literal["function"]
    name: _ToolName
    parameters: dict[str, Any]
    description: _Text | None = None


class _Config(msgspec.Struct, omit_defaults=True, rename="camel"):
    instructions: _Text | None = None
    voice: _Short | None = None
    output_modalities: (
        Annotated[list[Literal["text", "audio"]], Meta(min_length=1, max_length=2)] | None
    ) = None
    input_audio_format: _Format | None = None
    output_audio_format: _Format | None = None
    input_audio_transcription: _Transcription | None = None
    output_audio_transcription: _Transcription | None = None
    turn_detection: _TurnDetection | msgspec.UnsetType | None = msgspec.UNSET
    tools: Annotated[list[_Tool], Meta(max_length=MAX_TOOLS)] | None = None


class _Body(msgspec.Struct, rename="camel"):
    session_config: _Config | None = None


def settings_from(config: object, where: str = "session_config") -> SessionSettings:
    """Return the settings of a configuration. Raises `UsageError` if it has another shape.

    where: the beginning of the error.
    """
    try:
        return _settings(msgspec.convert(config, _Config))
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"{where} is not a session configuration: {_reason(error)}.") from None


def settings_in(body: bytes) -> SessionSettings:
    """Return the settings in a request `{"sessionConfig": …}`, which may be empty.

    Raises `UsageError` if the body has another shape.
    """
    try:
        found = msgspec.json.decode(body or b"{}", type=_Body)
        return _settings(found.session_config or _Config())
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageError(f"The body is not a setup request: {_reason(error)}.") from None


def with_defaults(
    settings: SessionSettings,
    tools: Iterable[ToolSpec],
    instructions: str | None,
    voice: str | None,
) -> SessionSettings:
    """Return settings with further tools, and with values for what they leave open.

    A given tool replaces the one of the settings with the same name.
    """
    given = tuple(tools)
    names = {tool.name for tool in given}
    others = [tool for tool in settings.tools if tool.name not in names]
    return replace(
        settings,
        tools=(*given, *others)[:MAX_TOOLS],
        instructions=settings.instructions or instructions,
        voice=settings.voice or voice,
    )


def _settings(config: _Config) -> SessionSettings:
    from voicechat.providers.gateway.normalized_config import settings_of

    fields: dict[str, object] = msgspec.to_builtins(config)
    return settings_of(fields)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return clean(str(error))[:200].rstrip(".")
